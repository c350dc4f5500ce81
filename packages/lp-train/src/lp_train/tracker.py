"""The one LightningModule: any backbone, any head, any losses."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from lp_core.tensors import Augmentation, LabeledBatch
from lp_losses import LossFactory
from torch import Tensor

from lp_train.network import PoseNet
from lp_train.optimization import Schedule, make_optimizer
from lp_train.seeding import step_seed


def original_keypoints(
    keypoints: Float[Tensor, "batch keypoints 2"], original_size: Tensor, image_size: tuple[int, int]
) -> Float[Tensor, "batch keypoints 2"]:
    """Input pixels → original pixels, where each image of the batch had its own (height, width)."""
    target = torch.tensor(image_size, device=keypoints.device, dtype=keypoints.dtype)
    scale = (original_size.to(keypoints.dtype) / target).flip(-1)[:, None]  # (x, y)
    return keypoints * scale + (scale - 1) / 2


class Tracker(pl.LightningModule):
    """Trains a `PoseNet` on labeled frames.

    Args:
        net: the network; all that is saved for prediction.
        losses: called with everything the head and its target generator give, by name.
        augmentation: applied on the device to training batches only.
        schedule: learning rates per epoch.
        seed: every random draw of a step is a function of (seed, step), which is what makes resuming exact.
    """

    def __init__(
        self, net: PoseNet, losses: LossFactory, augmentation: Augmentation, *, schedule: Schedule, seed: int
    ) -> None:
        super().__init__()
        self.net, self.losses, self.augmentation = net, losses, augmentation
        self.schedule, self.seed = schedule, seed
        self.register_buffer("plateau_factor", torch.ones(()))  # lowered by the plateau schedule, saved for resuming

    def on_train_epoch_start(self) -> None:
        """Freeze or unfreeze the backbone; frozen means no gradient, no statistics, no compute wasted."""
        frozen = self.schedule.frozen(self.current_epoch)
        self.net.backbone.requires_grad_(not frozen)
        self.net.backbone.train(not frozen)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Dropout and drop path draw from the step's own seed."""
        torch.manual_seed(step_seed(self.seed, self.global_step, 1))

    def get_representations(self, images: Tensor) -> Float[Tensor, "batch channels h w"]:
        """RGB in 0–255 at input size → feature maps, without a graph while the backbone is frozen."""
        frozen = self.training and self.schedule.frozen(self.current_epoch)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            return self.net.get_representations(images)

    def get_loss_inputs_labeled(self, batch: LabeledBatch) -> dict[str, Tensor]:
        """Everything losses may ask for, keypoints in (augmented) input pixels."""
        images, keypoints, visibility = batch.images, batch.keypoints, batch.visibility
        if self.training:
            generator = torch.Generator().manual_seed(step_seed(self.seed, self.global_step, 2))
            augmented = self.augmentation(images, keypoints, visibility, generator)
            images, keypoints, visibility = augmented.images, augmented.keypoints, augmented.visibility
        outputs = self.net.outputs(self.get_representations(images))
        targets = self.net.head.target_generator(keypoints, visibility)
        inputs = {"keypoints_targ": keypoints, **outputs, **targets}
        if not self.training or {"keypoints_pred", "confidences"} & self.losses.needs - inputs.keys():
            predicted, inputs["confidences"] = self.net.head.predictor(outputs)
            inputs.setdefault("keypoints_pred", predicted)
        return inputs

    def training_step(self, batch: LabeledBatch, batch_idx: int) -> Tensor:
        """The weighted sum of all losses on labeled frames."""
        return self._evaluate(self.get_loss_inputs_labeled(batch), "train", batch)

    def validation_step(self, batch: LabeledBatch, batch_idx: int) -> None:
        """Losses, and the mean pixel error in original pixels."""
        inputs = self.get_loss_inputs_labeled(batch)
        self._evaluate(inputs, "val", batch)
        to_original = [
            original_keypoints(inputs[k], batch.original_size, self.net.image_size)
            for k in ("keypoints_pred", "keypoints_targ")
        ]
        error = (to_original[0] - to_original[1]).norm(dim=-1)
        labeled = error.isfinite()
        self.log(
            "val_pixel_error",
            error[labeled].mean() if labeled.any() else error.new_zeros(()),
            batch_size=max(int(labeled.sum()), 1),
        )

    def predict_step(self, batch: LabeledBatch, batch_idx: int = 0) -> tuple[Tensor, Tensor]:
        """Keypoints in original pixels, confidence."""
        keypoints, confidence = self.net(batch.images)
        return original_keypoints(keypoints, batch.original_size, self.net.image_size), confidence

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Every checkpoint knows the keypoints, so that predicting needs no label file."""
        checkpoint["keypoint_names"] = list(self.net.keypoint_names)

    def configure_optimizers(self) -> Any:
        """Two groups, backbone and head; the schedule multiplies the rate of each, once per epoch."""
        optimizer = make_optimizer(self.net.backbone.parameters(), self.net.head.parameters(), self.schedule.config)
        rates = [
            lambda epoch: self.schedule.backbone(epoch) * float(self.plateau_factor),
            lambda epoch: self.schedule.head(epoch) * float(self.plateau_factor),
        ]
        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, rates)]

    def _evaluate(self, inputs: Mapping[str, Tensor], stage: str, batch: LabeledBatch) -> Tensor:
        total, logs = self.losses(stage, inputs)
        self.log_dict(logs, on_step=False, on_epoch=True, batch_size=len(batch))
        self.log(f"{stage}_supervised_loss", total, on_step=False, on_epoch=True, batch_size=len(batch))
        return total
