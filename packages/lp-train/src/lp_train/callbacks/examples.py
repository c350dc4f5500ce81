"""Example frames with predictions over labels, in TensorBoard."""

from collections.abc import Callable

import numpy as np
import pytorch_lightning as pl
import torch
from lp_core.tensors import LabeledBatch

from lp_train.network import predict

Draw = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class ExampleImages(pl.Callback):
    """Draws the first validation frames after every validation.

    Args:
        batch: a few frames.
        draw: (images NHWC uint8, labels, predictions in input pixels) → one uint8 picture; an app passes lp_viz's.
    """

    def __init__(self, batch: LabeledBatch, draw: Draw) -> None:
        self.batch, self.draw = batch, draw

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero or trainer.logger is None:
            return
        batch = self.batch.to(pl_module.device)
        with torch.inference_mode():
            keypoints, _ = predict(pl_module.net, batch)
        images = batch.images.permute(0, 2, 3, 1).cpu().numpy()
        picture = self.draw(images, batch.keypoints.cpu().numpy(), keypoints.float().cpu().numpy())
        trainer.logger.experiment.add_image("validation frames", picture, trainer.global_step, dataformats="HWC")
