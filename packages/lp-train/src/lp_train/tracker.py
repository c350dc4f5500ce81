"""The one LightningModule: any backbone, any head, any losses, with or without unlabeled frames."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from lp_core.tensors import Augmentation, Augmented, Clip, LabeledBatch
from lp_data.augmentation.geometry import apply, invert
from lp_detectors.boxes import boxes_of
from lp_detectors.top_down import TopDownNet
from lp_losses import LossFactory
from torch import Tensor

from lp_train.animals import matched_keypoints
from lp_train.certain import Certain, proposed
from lp_train.crops import CropRule, Told
from lp_train.network import PoseNet, predict, separate_windows
from lp_train.normalisation import as_at_prediction
from lp_train.optimization import Schedule, make_optimizer
from lp_train.seeding import step_seed
from lp_train.streams import TrainBatch, augment
from lp_train.unsupervised import Unsupervised, original_keypoints, with_heatmaps

Outputs = dict[str, Tensor]
Frames = tuple[Tensor, Tensor]  # images, and for each output the rows of those that it is of


def labeled_frames(frames: LabeledBatch | Augmented) -> Frames:
    """The frames, those round each labeled one too where there are any."""
    if frames.windows is None:
        return frames.images, torch.arange(len(frames.images), device=frames.images.device)[:, None]
    shape = frames.windows.shape[:2]
    return frames.windows.flatten(0, 1), separate_windows(*shape, device=frames.windows.device)


class Tracker(pl.LightningModule):
    """Trains a `PoseNet` on labeled frames, and on unlabeled ones where a loss asks for them.

    Top-down, where a detector finds several animals and a network for one animal sees a crop of each, both are trained at
    once: the detector on the boxes of the labeled keypoints, the other on crops of the same frames.

    Args:
        net: the network; all that is saved for prediction.
        losses: supervised, called with everything the head and its target generator give, by name.
        unsupervised: the other losses.
        augmentation: applied to training batches only.
        schedule: learning rates per epoch.
        seed: every random draw of a step is a function of (seed, step), which is what makes resuming exact.
        crops: how they are taken, for a top-down network.
    """

    def __init__(
        self,
        net: PoseNet | TopDownNet,
        losses: LossFactory,
        unsupervised: Unsupervised,
        augmentation: Augmentation,
        *,
        schedule: Schedule,
        seed: int,
        crops: CropRule | None = None,
    ) -> None:
        super().__init__()
        self.net, self.crops = net, crops
        self.losses, self.unsupervised, self.augmentation = losses, unsupervised, augmentation
        self.schedule, self.seed, self.steps_before = schedule, seed, 0
        self.register_buffer("plateau_factor", torch.ones(()))  # lowered by the plateau schedule, saved for resuming

    @property
    def pose(self) -> PoseNet:
        """What finds keypoints: the network itself, or of a top-down one that of the crops."""
        return self.net.pose if isinstance(self.net, TopDownNet) else self.net  # pyright: ignore[reportReturnType]

    @property
    def _trains_detector(self) -> bool:
        detector = self.net.detector if isinstance(self.net, TopDownNet) else None
        told = self.crops is None or self.crops.errors is not None
        return not told and detector is not None and any(p.requires_grad for p in detector.parameters())

    def on_train_epoch_start(self) -> None:
        """Freeze or unfreeze the backbone; frozen means no gradient, no statistics, no compute wasted."""
        frozen = self.schedule.frozen(self.current_epoch)
        self.pose.backbone.requires_grad_(not frozen)
        self.pose.backbone.train(not frozen or not self.schedule.pretrained)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Dropout and drop path draw from the batch's own seed."""
        number = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        torch.manual_seed(step_seed(self.seed, number, 1))
        self.steps_before = self.global_step

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The teacher follows where the weights have changed: with accumulated batches not after each."""
        if self.global_step > self.steps_before:
            self.unsupervised.follow(self.pose, self.global_step)

    def get_representations(
        self, images: Tensor, conditions: Float[Tensor, "batch keypoints 2"] | None = None
    ) -> Float[Tensor, "batch channels h w"]:
        """RGB in 0–255 at input size → feature maps, without a graph while the backbone is frozen."""
        frozen = self.training and self.schedule.frozen(self.current_epoch)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            return self.pose.get_representations(images, conditions)

    def outputs_of(self, parts: list[Frames]) -> list[Outputs]:
        """The head's outputs of each part; all pass the network as one batch."""
        images = [part.float() for part, _ in parts]
        lengths = [len(part) for part in images]
        features = self.get_representations(torch.cat(images) if len(images) > 1 else images[0])
        firsts = [sum(lengths[:n]) for n in range(len(parts))]
        rows = [first + windows for first, (_, windows) in zip(firsts, parts, strict=True)]
        outputs = self.pose.outputs(features, torch.cat(rows) if self.pose.context else None)
        each = [len(windows) for _, windows in parts]
        split = {key: value.split(each) for key, value in outputs.items()}
        return [{key: values[n] for key, values in split.items()} for n in range(len(parts))]

    def outputs_of_clips(self, clips: list[Clip]) -> list[Outputs]:
        """The head's outputs of unlabeled frames: consecutive ones are too much alike to tell a batch norm anything about
        the videos, so they are normalised as at prediction.
        """
        if not clips:
            return []
        with as_at_prediction(self.pose):
            return self.outputs_of([self._clip_frames(clip) for clip in clips])

    def get_loss_inputs_labeled(self, batch: LabeledBatch, augmented: Augmented | None = None) -> dict[str, Tensor]:
        """Everything supervised losses may ask for, keypoints in (augmented) input pixels."""
        frames = augmented or batch
        if isinstance(frames, Told):
            outputs = self.pose.outputs(self.get_representations(frames.images, frames.conditions))
        else:
            (outputs,) = self.outputs_of([labeled_frames(frames)])
        targets = self.pose.head.target_generator(frames.keypoints, frames.visibility)
        inputs = {"keypoints_targ": frames.keypoints, **outputs, **targets}
        if not self.training or {"keypoints_pred", "confidences"} & self.losses.needs - inputs.keys():
            predicted, inputs["confidences"] = self.pose.head.predictor(outputs)
            inputs.setdefault("keypoints_pred", predicted)
        return inputs

    def get_loss_inputs_unlabeled(self, clip: Clip, outputs: Outputs | None = None) -> dict[str, Tensor]:
        """Everything losses on unlabeled frames may ask for; see `Unsupervised.inputs` for the pixel frames."""
        count = len(clip)
        if outputs is None:
            (outputs,) = self.outputs_of_clips([clip])
        sizes = clip.original_size.expand(count, -1)
        return self.unsupervised.inputs(self.pose, outputs, clip.transform.expand(count, -1, -1), sizes, clip.valid)

    def training_step(self, batch: TrainBatch, batch_idx: int) -> Tensor:
        """The weighted sum of all losses on labeled and unlabeled frames."""
        labeled = batch.labeled
        augmented, found = batch.augmented or augment(labeled, self.augmentation, batch.seed), 0.0
        if self.crops:
            found = self._detection(augmented.images, augmented.keypoints, "train")
            generator = torch.Generator().manual_seed(step_seed(batch.seed, 0, 4))
            labeled, augmented = self.crops.training(labeled, augmented, generator)
        factor = self.unsupervised.anneal(self.current_epoch)
        taught, clips = self._on_video(batch.clip, batch.seed, factor) if batch.clip and factor else (0.0, [])
        inputs = self.get_loss_inputs_labeled(labeled, augmented)
        total = self._supervised(inputs, "train", len(labeled)) + found + taught
        if not factor:
            return total
        total = total + self._on_labeled(inputs, labeled, augmented.transforms, stage="train", factor=factor)
        return total + self._on_clips(clips, batch.seed, factor) if clips else total

    def validation_step(self, batch: LabeledBatch, batch_idx: int) -> Float[Tensor, "frames keypoints"]:
        """Losses, and the mean pixel error in original pixels; of a top-down network both on crops of labeled animals.

        Returns:
            the error of every keypoint of every frame or crop; NaN = not labeled.
        """
        transforms, augmented = torch.eye(2, 3).expand(len(batch), -1, -1), None
        if self.crops:
            self._detection(batch.images.float(), batch.keypoints, "val")
            batch, augmented = self.crops.validation(batch)
            transforms = augmented.transforms
        inputs = self.get_loss_inputs_labeled(batch, augmented)
        self._supervised(inputs, "val", len(batch))
        self._on_labeled(inputs, batch, transforms, stage="val", factor=1.0)
        back = invert(transforms).to(self.device)
        to_original = [
            original_keypoints(apply(back, inputs[k]), batch.original_size, self.pose.image_size)
            for k in ("keypoints_pred", "keypoints_targ")
        ]
        error = (matched_keypoints(*to_original, self.pose.animals) - to_original[1]).norm(dim=-1)
        labeled = error.isfinite()
        mean = error[labeled].mean() if labeled.any() else error.new_full((), torch.nan)
        self._log({"val_pixel_error": mean}, max(int(labeled.sum()), 1))
        return error

    def check(self) -> None:
        """Raise `ConfigError` if a loss needs what this head does not give; cheap, for before training."""
        net, count = self.pose, len(self.pose.keypoint_names)
        height, width = (side // net.backbone.stride for side in net.image_size)
        with torch.no_grad():
            outputs = net.outputs(torch.zeros(2, net.backbone.channels, height, width))  # pyright: ignore
            targets = net.head.target_generator(torch.zeros(2, count, 2), torch.full((2, count), 2))
        produced = {*with_heatmaps(net, outputs), "keypoints_pred", "confidences"}
        self.losses.check({"keypoints_targ", *targets, *produced})
        maps = bool({"heatmaps_targ", "scoremaps_targ"} & targets.keys())
        self.unsupervised.check(net, produced, maps=maps, detector=self._trains_detector)

    def predict_step(self, batch: LabeledBatch, batch_idx: int = 0) -> tuple[Tensor, Tensor]:
        """Keypoints in original pixels, confidence."""
        keypoints, confidence = predict(self.net, batch)
        return original_keypoints(keypoints, batch.original_size, self.net.image_size), confidence

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Every checkpoint knows the keypoints, so that predicting needs no label file."""
        checkpoint["keypoint_names"] = list(self.net.keypoint_names)
        checkpoint["skeleton"] = [list(pair) for pair in self.net.animals.skeleton] if self.net.animals else []

    def configure_optimizers(self) -> Any:
        """Two groups, the backbone and all else; the schedule multiplies the rate of each, once per epoch."""
        backbone = list(self.pose.backbone.parameters())
        known = {id(parameter) for parameter in backbone}
        others = [parameter for parameter in self.net.parameters() if id(parameter) not in known]
        optimizer = make_optimizer(backbone, others, self.schedule.config)
        rates = [
            lambda epoch: self.schedule.backbone(epoch) * float(self.plateau_factor),
            lambda epoch: self.schedule.head(epoch) * float(self.plateau_factor),
        ]
        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, rates)]

    def _supervised(self, inputs: Mapping[str, Tensor], stage: str, count: int) -> Tensor:
        total, logs = self.losses(stage, inputs)
        self._log({**logs, f"{stage}_supervised_loss": total}, count)
        return total

    def _on_labeled(
        self, outputs: dict[str, Tensor], batch: LabeledBatch, transforms: Tensor, *, stage: str, factor: float
    ) -> Tensor | float:
        """Unsupervised losses on labeled frames."""
        losses = self.unsupervised.plain
        if "labeled" not in losses.streams:
            return 0.0
        known = {key: value for key, value in outputs.items() if not key.endswith("_targ")}
        unmirrored = (torch.linalg.det(transforms[..., :2].cpu()) > 0).to(self.device)  # flips swap keypoints
        inputs = self.unsupervised.inputs(self.pose, known, transforms, batch.original_size, unmirrored)
        total, logs = losses(f"{stage}_labeled", inputs, factor)
        self._log(logs, len(batch))
        return total

    def _detection(self, images: Tensor, keypoints: Tensor, stage: str) -> Tensor:
        """The detector's own objective, on the boxes of the labeled keypoints; 0 where crops are not of its boxes."""
        assert self.crops
        if self.crops.errors:
            return keypoints.new_zeros(())
        loss = self.net.detector.loss(images, self.crops.boxes(keypoints))
        self._log({f"{stage}_detection_loss": loss.detach()}, len(images))
        return loss

    def _on_video(self, clip: Clip, seed: int, factor: float) -> tuple[Tensor | float, list[Clip]]:
        """What the detector learns, and the clips for the other network: the clip itself, or one of crops for each animal."""
        if self.crops is None or not isinstance(self.net, TopDownNet):
            return 0.0, [clip]
        known = self.unsupervised.certain(self.net, clip) if self.unsupervised.detection.losses else None
        taught = self._taught(clip, known, seed, factor) if known else 0.0
        if not self.unsupervised.wants_clips:
            return taught, []
        clips = self.crops.clips(clip, boxes_of(known.poses)) if known else []
        if not clips:  # nobody is certain
            boxes = known.boxes if known else proposed(self.net.detector, clip.images)
            clips = self.crops.clips(clip, boxes[:, : len(self.net.animals.individuals)])
        return taught, clips

    def _taught(self, clip: Clip, known: Certain, seed: int, factor: float) -> Tensor:
        """The detector's objective on the frames of the clip that are known, augmented as labeled ones are."""
        assert self.crops
        rows, generator = known.known.nonzero()[:, 0], torch.Generator().manual_seed(step_seed(seed, 0, 5))
        loss = torch.zeros((), device=self.device)
        if len(rows):
            keypoints = known.poses[rows].flatten(1, 2)
            shown = 2 * keypoints.isfinite().all(-1).long()
            changed = self.augmentation(clip.images[rows], keypoints, shown, generator)
            with as_at_prediction(self.net.detector):
                loss = self.net.detector.loss(changed.images, self.crops.boxes(changed.keypoints))
        inputs = {"detection_pred": loss[None], "valid": known.known.any()[None]}
        factor /= self.unsupervised.anneal.scale  # which is of the head's loss
        total, logs = self.unsupervised.detection("train", inputs, factor, stream="unlabeled")
        self._log({**logs, "train_pseudo_boxes_frames": known.known.float().mean()}, len(clip))
        return total

    def _on_clips(self, clips: list[Clip], seed: int, factor: float) -> Tensor:
        """Unsupervised losses on unlabeled frames."""
        known, total = self.unsupervised, torch.zeros((), device=self.device)
        as_they_are = clips if "unlabeled" in known.plain.streams else []
        outputs = self.outputs_of_clips(as_they_are)
        lessons = [
            (known.plain, self.get_loss_inputs_unlabeled(clip, own))
            for clip, own in zip(as_they_are, outputs, strict=True)
        ]
        for number, clip in enumerate(clips if known.taught.losses else []):
            generator = torch.Generator().manual_seed(step_seed(seed, number, 3))
            lessons.append((known.taught, known.lesson(self.pose, clip, self.augmentation, generator)))
        for losses, inputs in lessons:
            part, logs = losses("train", inputs, factor, stream="unlabeled")
            self._log(logs, len(clips[0]))
            total = total + part / len(clips)
        self._log({"train_unsupervised_loss": total.detach()}, len(clips[0]))
        return total

    def _clip_frames(self, clip: Clip) -> Frames:
        count = len(clip)
        return clip.images, self.pose.windows(count, self.unsupervised.cameras, clip.images.device)

    def _log(self, values: Mapping[str, Tensor], count: int) -> None:
        """Means over the epoch, and over the processes that train together."""
        self.log_dict(dict(values), on_step=False, on_epoch=True, batch_size=count, sync_dist=True)
