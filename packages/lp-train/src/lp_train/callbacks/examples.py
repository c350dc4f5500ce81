"""Pictures in TensorBoard: example frames with predictions over labels, heatmaps, and the subspaces of the labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from lp_core.tensors import LabeledBatch, PoseModel
from torch import Tensor

from lp_train.network import predict
from lp_train.subspaces import SubspaceFacts
from lp_train.unsupervised import with_heatmaps

MOST = 10  # pictures of a kind in one run if not told how many; as many as TensorBoard keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawers:
    """What draws; an app passes functions of lp_viz. Pictures are uint8 (height, width, 3).

    Attributes:
        labels: (images NHWC uint8, labels, predictions in pixels of the images) → a picture.
        heatmaps: (images NHWC uint8, maps NKHW) → a picture.
        limbs: (images NHWC uint8, part affinity fields N(2L)HW) → a picture; for heads that give `paf_pred`.
        subspace: a subspace of the labels → a picture.
    """

    labels: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
    heatmaps: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    limbs: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    subspace: Callable[[SubspaceFacts], np.ndarray] | None = None


class ExampleImages(pl.Callback):
    """Draws the first validation frames after validations, and the subspaces of the labels once.

    Args:
        batch: a few frames.
        draw: what draws.
        subspaces: of the training labels.
        every: epochs at least between two pictures; None = `MOST` times in the whole run.
    """

    def __init__(
        self, batch: LabeledBatch, draw: Drawers, subspaces: Sequence[SubspaceFacts] = (), every: int | None = None
    ) -> None:
        self.batch, self.draw, self.subspaces, self.every = batch, draw, subspaces, every

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and self.draw.subspace and not trainer.current_epoch:
            for facts in self.subspaces:
                _add(trainer, f"subspaces of the labels/{facts.name}", self.draw.subspace(facts))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero or not self._due(trainer):
            return
        batch = self.batch.to(pl_module.device)
        with torch.inference_mode():
            if self.draw.labels:
                keypoints, _ = predict(cast(PoseModel, pl_module.net), batch)
                picture = self.draw.labels(_shown(batch.images), _array(batch.keypoints), _array(keypoints))
                _add(trainer, "examples/labels (circles) and predictions (dots)", picture)
            if self.draw.heatmaps or self.draw.limbs:
                images, maps = network_maps(pl_module, batch)
                drawn = {"heatmaps": (self.draw.heatmaps, "heatmaps_pred"), "limbs": (self.draw.limbs, "paf_pred")}
                for name, (draw, key) in drawn.items():
                    if draw and key in maps:
                        _add(trainer, f"examples/{name}", draw(_shown(images), _array(maps[key])))

    def _due(self, trainer: pl.Trainer) -> bool:
        """Known from the epoch alone, so that a resumed run draws at the same ones: where another stretch has begun since
        the last validation, and at the end."""
        epochs, between = trainer.max_epochs or 1, trainer.check_val_every_n_epoch or 1
        every = self.every or max(1, -(-epochs // MOST))
        done = trainer.current_epoch + 1
        return done // every > (done - between) // every or done + between > epochs or done <= between


def network_maps(tracker: Any, batch: LabeledBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The frames, or of a top-down network as many crops of labeled animals, and what the head gives for each."""
    frames = None
    count = len(batch)
    if tracker.crops:
        batch, frames = tracker.crops.validation(batch)
    outputs = with_heatmaps(tracker.pose, tracker.get_loss_inputs_labeled(batch, frames))
    return (frames or batch).images[:count], {key: value[:count] for key, value in outputs.items()}


def _shown(images: Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).round().clamp(0, 255).byte().cpu().numpy()


def _array(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()


def _add(trainer: pl.Trainer, tag: str, picture: np.ndarray) -> None:
    if trainer.logger is not None:
        trainer.logger.experiment.add_image(tag, picture, trainer.global_step, dataformats="HWC")
