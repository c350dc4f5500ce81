"""The decoder of Lightning Pose, number for number, for models that were trained with it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from lp_core import ConfigError, PredictorConfig, Size
from torch import Tensor
from torch.nn import functional as F

TEMPERATURE = 1000.0
CONFIDENCE_RADIUS = 2
OFFSETS = {1: 0.5, 2: 1.5, 3: 2.5}  # the last should be 3.5; kept, because models were trained against it


def _upsample(maps: Float[Tensor, "batch keypoints h w"]) -> Float[Tensor, "batch keypoints h2 w2"]:
    """Twice the size: bicubic, then the 5×5 pyramid kernel with zeros beyond the border."""
    maps = F.interpolate(maps, scale_factor=2, mode="bicubic", align_corners=False)
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=maps.device, dtype=maps.dtype) / 16
    kernel = (row[:, None] * row).expand(maps.shape[1], 1, 5, 5)
    return F.conv2d(maps, kernel, padding=2, groups=maps.shape[1])


class LightningPoseDecoder:
    """Upsample to input size, softmax with temperature 1000, expectation; 2.4.3's `run_subpixelmaxima`.

    Its pixels are the reference's: a map's cell i stands for input pixel `i * stride`, so they differ from ours by
    `(1 - input / original) / 2` original pixels. Near the border it is off by up to 4 px, as the original is.
    """

    def __init__(self, downsample_factor: int) -> None:
        self.downsample_factor = downsample_factor

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """`heatmaps_pred` → keypoints in the reference's input pixels, its confidence."""
        maps = outputs["heatmaps_pred"]
        for _ in range(self.downsample_factor):
            maps = _upsample(maps)
        height, width = maps.shape[-2:]
        soft = torch.softmax(maps.flatten(-2) * TEMPERATURE, dim=-1).unflatten(-1, (height, width))
        x = (soft.sum(-2) * torch.arange(width, device=maps.device)).sum(-1)
        y = (soft.sum(-1) * torch.arange(height, device=maps.device)).sum(-1)
        keypoints = torch.stack([x, y], dim=-1)
        return keypoints - OFFSETS.get(self.downsample_factor, 0.0), self._confidence(soft, keypoints.detach())

    def _confidence(self, soft: Tensor, keypoints: Tensor) -> Float[Tensor, "batch keypoints"]:
        """The mass in 5×5 cells round the truncated position."""
        size = 2 * CONFIDENCE_RADIUS + 1
        padded = F.pad(soft, [CONFIDENCE_RADIUS] * 4)
        cells = keypoints.long()
        side = torch.arange(size, device=soft.device)
        rows, columns = cells[..., 1, None, None] + side[:, None], cells[..., 0, None, None] + side
        index = (rows * padded.shape[-1] + columns).flatten(-2)
        return padded.flatten(-2).gather(-1, index).sum(-1)


@dataclass(slots=True, kw_only=True)
class LightningPoseDecoderConfig(PredictorConfig):
    """Lightning Pose's decoder, its faults included, for models trained with it."""

    def build(self, *, image_size: Size, stride: float) -> LightningPoseDecoder:
        """The decoder for maps of one cell per `stride` input pixels.

        Raises:
            ConfigError: the stride is not 1, 2, 4 or 8.
        """
        factor = math.log2(stride)
        if factor not in (0, 1, 2, 3):
            raise ConfigError(
                f"head.predictor=lightning_pose works at strides 1, 2, 4 and 8, not {stride:g}; use soft_argmax."
            )
        return LightningPoseDecoder(int(factor))
