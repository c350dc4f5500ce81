"""Labels as the targets of DEKR: score maps of parts and centres, and offsets round the centres."""

import math

import torch
from jaxtyping import Bool, Float, Int, Shaped
from lp_core import VISIBLE, Animals, Size
from torch import Tensor

from lp_heads.cells import map_size, to_cells
from lp_heads.curves import gaussian_curves, largest_product
from lp_heads.gaussian_heatmap import inside
from lp_heads.windows import FAR, draw, of_nearest, windows, zero_maps

REACH = 3.0  # standard deviations after which a Gaussian is cut off
Points = Float[Tensor, "batch maps animals 2"]
Shown = Bool[Tensor, "batch maps animals"]


def score_sigmas(radius: float, stride: float) -> tuple[float, float]:
    """Standard deviations in cells of keypoints' and of centres' Gaussians, at least one cell."""
    return max(radius / stride / 2, 1.0), max(radius / stride, 1.0)


class DEKRTargets:
    """Encodes labels of several animals; cell i stands for input pixel `(i + 0.5) * stride - 0.5`.

    Score maps: of each part, of the centres (mean of an animal's visible keypoints), of each unique point; the larger
    one where Gaussians (peak 1) overlap. Their weight is 1 within them and `background` elsewhere.
    Offsets: (x, y) of each part in turn, cell minus keypoint in cells, in the square round the centre. Their weight is
    `1 / sqrt(area)` of the box round the visible keypoints in cells, no side taken shorter than `radius`; 0 for keypoints
    that are not visible. Where animals overlap, the one with the smaller box has the cell.
    """

    animals: Animals
    image_size: Size
    stride: float
    background: float
    radius: float
    sigma: float
    centre_sigma: float

    def __init__(self, animals: Animals, image_size: Size, stride: float, radius: float, background: float) -> None:
        self.animals, self.image_size, self.stride, self.background = animals, image_size, stride, background
        self.radius = max(radius / stride, 1.0)
        self.sigma, self.centre_sigma = score_sigmas(radius, stride)
        self.size: Size = map_size(image_size, stride)

    def __call__(
        self, keypoints: Float[Tensor, "batch keypoints 2"], visibility: Int[Tensor, "batch keypoints"]
    ) -> dict[str, Tensor]:
        """Keypoints in input pixels → `scoremaps_targ`, `offsets_targ` and the weight of each of their cells."""
        visible = (visibility == VISIBLE) & inside(keypoints, self.image_size)
        cells = torch.where(visible[..., None], to_cells(keypoints, self.stride), 0.0)
        parts, unique = self._split(cells)
        seen, unique_seen = self._split(visible)
        present = seen.any(1)
        centres = parts.sum(1) / seen.sum(1)[..., None].clamp_min(1)
        owned = parts.shape[1]
        scores, weights, offsets, offset_weights = zero_maps(
            len(cells), 2 * (owned + 1 + unique.shape[1],) + 2 * (2 * owned,), self.size, cells
        )
        self._scores(parts, seen, self.sigma, scores[:, :owned])
        self._scores(centres[:, None], present[:, None], self.centre_sigma, scores[:, owned : owned + 1])
        self._scores(unique[:, :, None], unique_seen[:, :, None], self.sigma, scores[:, owned + 1 :])
        torch.sign(scores, out=weights).clamp_(min=self.background)
        self._offsets(parts, seen, torch.where(present[..., None], centres, FAR), (offsets, offset_weights))
        return {
            "scoremaps_targ": scores,
            "scoremaps_weight_targ": weights,
            "offsets_targ": offsets,
            "offsets_weight_targ": offset_weights,
        }

    def _split(self, values: Shaped[Tensor, "batch keypoints *more"]) -> tuple[Tensor, Tensor]:
        """The axis of keypoints → (batch, parts, animals, …) and (batch, unique, …)."""
        shape = (len(self.animals.individuals), len(self.animals.parts))
        return values[:, : self.animals.owned].unflatten(1, shape).transpose(1, 2), values[:, self.animals.owned :]

    def _scores(self, points: Points, shown: Shown, sigma: float, out: Float[Tensor, "batch maps h w"]) -> None:
        rows, columns = gaussian_curves(points, self.size, sigma, REACH * sigma)
        largest_product(rows * shown[..., None], columns, out)

    def _offsets(
        self, parts: Points, seen: Shown, centres: Float[Tensor, "batch animals 2"], out: tuple[Tensor, Tensor]
    ) -> None:
        """Offsets and their weight into `out`; only the squares round the centres are visited."""
        area = box_area(parts.transpose(1, 2), seen.transpose(1, 2), self.radius)
        w = windows(centres, self.radius, self.size)
        inside = (w.way_x.abs() <= self.radius) & (w.way_y.abs() <= self.radius)
        rank = area.argsort(stable=True).argsort().to(area)[..., None, None]  # of equal boxes the first animal's
        own = of_nearest(inside, w.cells, rank, math.prod(self.size))[:, None] & seen[..., None, None]
        x, y = (parts[..., axis, None, None] for axis in (0, 1))
        ways = [torch.where(own, cells[:, None] - part, 0.0) for cells, part in ((w.x, x), (w.y, y))]
        weight = torch.where(own, area.rsqrt()[:, None, :, None, None], 0.0)
        draw(out[0], torch.stack(ways, dim=2).flatten(1, 2), w.cells)
        draw(out[1], weight.repeat_interleave(2, dim=1), w.cells)


def box_area(
    points: Float[Tensor, "*batch parts 2"], shown: Bool[Tensor, "*batch parts"], shortest: float
) -> Float[Tensor, "*batch"]:
    """The area of the box round the points that are shown, no side taken shorter than `shortest`."""
    low = torch.where(shown[..., None], points, torch.inf).amin(-2)
    high = torch.where(shown[..., None], points, -torch.inf).amax(-2)
    return (high - low).clamp_min(shortest).prod(-1)
