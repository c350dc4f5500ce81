"""Score maps and, in each of their cells, the way to the nearest keypoint."""

import math

import torch
from jaxtyping import Bool, Float
from lp_core import ConfigError, Size
from torch import Tensor

from lp_heads.cells import map_size, nearest_claims, to_cells, zeros

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
    `radius` (plateau). Only cells round a keypoint are visited.

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
        self.reach = self.sigma * math.sqrt(-2 * math.log(FLOOR)) if kind == "gaussian" else radius

    def __call__(self, points: Points, known: Labeled) -> tuple[Tensor, Tensor, Tensor]:
        """Keypoints in input pixels → scores (batch, maps, H, W), offsets (batch, 2 maps, H, W; x, y of each map in turn),
        and a weight of the same shape: 1 within `radius` of a keypoint.
        """
        cells, way = self._claims(points, known)
        distance = way.norm(dim=-1)
        count = math.prod(cells.shape[:2]) * math.prod(self.size)
        order = torch.arange(points.shape[2], device=points.device)[:, None, None]
        own = nearest_claims(cells, distance, order, count)
        scores = self._filled(own.flatten(), self._score(distance).flatten(), count, points.shape[:2])
        near = torch.where(distance <= self.radius, own, count).flatten()
        pairs = self._pairs(near, count)
        offsets = self._filled(pairs, (way / self.std).flatten(), 2 * count, (points.shape[0], 2 * points.shape[1]))
        ones = torch.ones_like(pairs, dtype=points.dtype)
        return scores, offsets, self._filled(pairs, ones, 2 * count, (points.shape[0], 2 * points.shape[1]))

    def scores(self, points: Points, known: Labeled) -> Float[Tensor, "batch maps h w"]:
        """Scores alone."""
        cells, way = self._claims(points, known)
        count = math.prod(cells.shape[:2]) * math.prod(self.size)
        maps = way.new_zeros(count + 1).scatter_reduce_(
            0, cells.flatten(), self._score(way.norm(dim=-1)).flatten(), "amax"
        )
        return maps[:-1].view(*points.shape[:2], *self.size)

    def _claims(self, points: Points, known: Labeled) -> tuple[Tensor, Tensor]:
        """Cells (flat) round each keypoint, and the way from there to it in input pixels."""
        height, width = self.size
        centre = to_cells(torch.where(known[..., None], points, 0.0), self.stride)
        radius = math.ceil(self.reach / self.stride)
        steps = torch.arange(-radius, radius + 1, device=points.device)
        x, y = (centre[..., axis, None].round().long() + steps for axis in (0, 1))
        way_x, way_y = ((centre[..., axis, None] - cell) * self.stride for axis, cell in ((0, x), (1, y)))
        way = torch.stack(torch.broadcast_tensors(way_x[..., None, :], way_y[..., :, None]), dim=-1)
        inside = ((x >= 0) & (x < width))[..., None, :] & ((y >= 0) & (y < height))[..., :, None]
        inside = inside & known[..., None, None] & (way.square().sum(-1) <= self.reach**2)
        maps = torch.arange(math.prod(points.shape[:2]), device=points.device).view(*points.shape[:2], 1, 1, 1)
        flat = (maps * height + y[..., :, None]) * width + x[..., None, :]
        return torch.where(inside, flat, math.prod(points.shape[:2]) * height * width), way

    def _score(self, distance: Tensor) -> Tensor:
        return torch.exp(-0.5 * (distance / self.sigma) ** 2) if self.kind == "gaussian" else torch.ones_like(distance)

    def _pairs(self, cells: Tensor, count: int) -> Tensor:
        """Cells of one map per keypoint → cells of its maps of x and y."""
        area = math.prod(self.size)
        first = cells + cells // area * area
        pair = torch.stack([first, first + area], dim=-1)
        return torch.where((cells < count)[:, None], pair, 2 * count).flatten()

    def _filled(self, cells: Tensor, values: Tensor, count: int, maps: tuple[int, ...] | torch.Size) -> Tensor:
        """Zero but for `values` in `cells`; cell `count` is thrown away."""
        out = zeros(count + 1, values).scatter_(0, cells, values)
        return out[:-1].view(*maps, *self.size)
