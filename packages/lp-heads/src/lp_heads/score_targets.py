"""Score maps and, in each of their cells, the way to the nearest keypoint."""

import math

import torch
from jaxtyping import Bool, Float, Int
from lp_core import ConfigError, Size
from torch import Tensor
from torch.nn.functional import threshold_

from lp_heads.cells import map_size, to_cells
from lp_heads.curves import gaussian_curves, largest_product
from lp_heads.windows import FAR, Windows, draw, of_nearest, windows, zero_maps

KINDS = ("gaussian", "plateau")
RADIUS, LOCREF_STD = 17.0, 7.2801  # input pixels; DeepLabCut's
FLOOR = 1e-4  # a Gaussian is zero from here on
Points = Float[Tensor, "batch maps animals 2"]
Labeled = Bool[Tensor, "batch maps animals"]


def gaussian_sigma(radius: float) -> float:
    """In input pixels, as DeepLabCut has it."""
    return 2 * radius / 3


class ScoreTargets:
    """Encodes the keypoints of each map, any number of them.

    A cell's value depends on its distance d to the nearest keypoint: `exp(-d² / 2σ²)` with `σ = 2 radius / 3`, or 1 up to
    `radius` (plateau).

    Args:
        kind: gaussian or plateau.
        radius: input pixels.
        std: input pixels per unit of the offsets.
    """

    size: Size
    stride: float
    kind: str
    radius: float
    std: float
    sigma: float
    reach: float

    def __init__(self, image_size: Size, stride: float, *, kind: str, radius: float, std: float) -> None:
        if radius < stride / math.sqrt(2):
            raise ConfigError(
                f"pos_dist_thresh={radius:g} px does not reach a cell of {stride:g} px; it must be {0.75 * stride:g} or more."
            )
        self.size, self.stride = map_size(image_size, stride), stride
        self.kind, self.radius, self.std = kind, radius, std
        self.sigma = gaussian_sigma(radius)
        self.reach = self.sigma * math.sqrt(-2 * math.log(FLOOR)) / stride

    def __call__(self, points: Points, known: Labeled) -> tuple[Tensor, Tensor, Tensor]:
        """Keypoints in input pixels → scores (batch, maps, H, W), offsets (batch, 2 maps, H, W; x, y of each map in turn),
        and a weight of the same shape: 1 within `radius` of a keypoint.
        """
        centres = self._centres(points, known)
        batch, maps = known.shape[:2]
        scores, offsets, near = zero_maps(batch, (maps, 2 * maps, 2 * maps), self.size, centres)
        cells, ways, own = (found.flatten(0, 1) for found in self._discs(centres))
        draw(offsets.view(batch * maps, 2, *self.size), ways, cells)
        draw(near.view(batch * maps, 2, *self.size), own.expand_as(ways), cells)
        if self.kind == "plateau":
            scores.copy_(near[:, ::2])
        else:
            self._gaussians(centres, scores)
        return scores, offsets, near

    def scores(self, points: Points, known: Labeled) -> Float[Tensor, "batch maps h w"]:
        """Scores alone."""
        centres = self._centres(points, known)
        (scores,) = zero_maps(len(known), known.shape[1:2], self.size, centres)
        if self.kind == "plateau":
            self._plateaus(centres, scores)
        else:
            self._gaussians(centres, scores)
        return scores

    def _centres(self, points: Points, known: Labeled) -> Points:
        return to_cells(points.masked_fill(~known[..., None], FAR), self.stride)

    def _gaussians(self, centres: Points, scores: Float[Tensor, "batch maps h w"]) -> None:
        largest_product(*gaussian_curves(centres, self.size, self.sigma / self.stride, self.reach), scores)
        threshold_(scores, FLOOR, 0.0)

    def _plateaus(self, centres: Points, scores: Float[Tensor, "batch maps h w"]) -> None:
        w, distance = self._windows(centres)
        inside = (distance <= self.radius).to(scores)
        draw(scores.view(-1, 1, *self.size), inside.flatten(0, 1)[:, None], w.cells.flatten(0, 1))
        scores.clamp_(max=1.0)  # where animals overlap

    def _windows(self, centres: Points) -> tuple[Windows, Float[Tensor, "batch maps animals near near"]]:
        """The cells round each keypoint, and how far they are from it in input pixels."""
        w = windows(centres, self.radius / self.stride, self.size)
        return w, torch.hypot(w.way_x, w.way_y) * self.stride

    def _discs(
        self, centres: Points
    ) -> tuple[
        Int[Tensor, "batch maps animals near near"],
        Float[Tensor, "batch maps 2 animals near near"],
        Float[Tensor, "batch maps 1 animals near near"],
    ]:
        """The cells round each keypoint, the way from there to it in units of offsets, and 1; both 0 in cells that are not
        its own.
        """
        w, distance = self._windows(centres)
        own = of_nearest(distance <= self.radius, w.cells, distance, math.prod(self.size))
        ways = torch.stack([way.masked_fill(~own, 0.0) for way in (w.way_x, w.way_y)], dim=2)
        return w.cells, ways.mul_(self.stride / self.std), own.to(ways)[:, :, None]
