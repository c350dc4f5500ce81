"""Heatmap → keypoint, decoded in a window round the peak only."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from lp_core import ConfigError, PredictorConfig, Size
from torch import Tensor

from lp_heads.gaussian_heatmap import SIGMA
from lp_heads.peak import fit_peak, gaussian_mass, window_start


class SoftArgmax:
    """The peak of each map to a small part of a cell, and how much of the map's mass lies at it.

    Exact for the maps of `GaussianHeatmap`, at the border too. Confidence is the mass in the window over the mass that a
    perfect map has there, at most 1.
    """

    stride: float
    radius: int
    perfect_mass: float

    def __init__(self, stride: float, radius: int, sigma: float) -> None:
        self.stride, self.radius = stride, radius
        self.perfect_mass = gaussian_mass(sigma, radius) ** 2

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """`heatmaps_pred` (batch, keypoints, h, w) → keypoints in input pixels, confidence."""
        maps = outputs["heatmaps_pred"]
        height, width = maps.shape[-2:]
        flat = maps.flatten(-2)
        best = flat.detach().argmax(-1)
        y, x = best // width, best % width
        top, left = window_start(y, height, self.radius), window_start(x, width, self.radius)
        side = torch.arange(2 * self.radius + 1, device=maps.device)
        rows = (top[..., None] + side[: min(len(side), height)])[..., :, None]
        columns = (left[..., None] + side[: min(len(side), width)])[..., None, :]
        window = flat.gather(-1, (rows * width + columns).flatten(-2)).unflatten(
            -1, (rows.shape[-2], columns.shape[-1])
        )
        cell_x = left + fit_peak(window.sum(-2), (x - left).to(maps.dtype))
        cell_y = top + fit_peak(window.sum(-1), (y - top).to(maps.dtype))
        keypoints = (torch.stack([cell_x, cell_y], dim=-1) + 0.5) * self.stride - 0.5
        return keypoints, (window.sum((-1, -2)) / self.perfect_mass).clamp(0, 1)


@dataclass(slots=True, kw_only=True)
class SoftArgmaxConfig(PredictorConfig):
    """Sub-cell peak by a weighted parabola in a window: exact, differentiable, cheap.

    Attributes:
        radius: the window has `2 radius + 1` cells on a side.
        sigma: of the target maps in cells, for confidence alone.
    """

    radius: int = 2
    sigma: float = SIGMA

    def __post_init__(self) -> None:
        if self.radius < 1:
            raise ConfigError(f"radius={self.radius} must be at least 1 heatmap cell.")

    def build(self, *, image_size: Size, stride: float) -> SoftArgmax:
        """The predictor for maps of one cell per `stride` input pixels."""
        return SoftArgmax(stride, self.radius, self.sigma)
