"""The validation error of every keypoint, in TensorBoard only: `metrics.csv` keeps its columns."""

from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from lp_train.network import PoseNet


class KeypointErrors(pl.Callback):
    """Logs `error_per_keypoint/<name>`: the mean over the labeled validation frames, in pixels of the original frames."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None  # errors and how many there were, (2, keypoints)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._sums = None

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        error = outputs.detach().float()
        sums = torch.stack([error.nansum(0), error.isfinite().sum(0).to(error)])
        self._sums = sums if self._sums is None else self._sums + sums

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._sums is None or trainer.sanity_checking:
            return
        total, count = trainer.strategy.reduce(self._sums, reduce_op="sum").tolist()
        if not trainer.is_global_zero or trainer.logger is None:
            return
        names = cast(PoseNet, pl_module.pose).keypoint_names
        for name, error, labels in zip(names, total, count, strict=True):
            if labels:
                trainer.logger.experiment.add_scalar(f"error_per_keypoint/{name}", error / labels, trainer.global_step)
