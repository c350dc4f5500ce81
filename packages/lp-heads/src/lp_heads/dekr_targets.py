"""Labels as the targets of DEKR: score maps of parts and centres, and offsets round the centres."""

import torch
from jaxtyping import Bool, Float, Int
from lp_core import VISIBLE, Animals, Size
from torch import Tensor

from lp_heads.gaussian_heatmap import inside

REACH = 3.0  # standard deviations after which a Gaussian is cut off


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
        self.size: Size = (round(image_size[0] / stride), round(image_size[1] / stride))

    def __call__(
        self, keypoints: Float[Tensor, "batch keypoints 2"], visibility: Int[Tensor, "batch keypoints"]
    ) -> dict[str, Tensor]:
        """Keypoints in input pixels → `scoremaps_targ`, `offsets_targ` and the weight of each of their cells."""
        visible = (visibility == VISIBLE) & inside(keypoints, self.image_size)
        cells = torch.where(visible[..., None], (keypoints + 0.5) / self.stride - 0.5, 0.0)
        owned, shape = self.animals.owned, (len(self.animals.individuals), len(self.animals.parts))
        parts, seen = cells[:, :owned].unflatten(1, shape), visible[:, :owned].unflatten(1, shape)
        centres = parts.sum(-2) / seen.sum(-1, keepdim=True).clamp_min(1)
        maps = torch.cat(
            [
                self._scores(parts, seen, self.sigma),
                self._scores(centres[:, :, None], seen.any(-1, keepdim=True), self.centre_sigma),
                self._scores(cells[:, None, owned:], visible[:, None, owned:], self.sigma),
            ],
            dim=1,
        )
        weights = torch.where(maps > 0, 1.0, self.background)
        return {"scoremaps_targ": maps, "scoremaps_weight_targ": weights, **self._offsets(parts, seen, centres)}

    def _scores(
        self, points: Float[Tensor, "batch animals maps 2"], shown: Bool[Tensor, "batch animals maps"], sigma: float
    ) -> Float[Tensor, "batch maps h w"]:
        rows, columns = self._curve(points[..., 1], 0, sigma), self._curve(points[..., 0], 1, sigma)
        return ((rows * shown[..., None])[..., :, None] * columns[..., None, :]).amax(1)

    def _curve(self, centre: Float[Tensor, "*batch"], axis: int, sigma: float) -> Float[Tensor, "*batch cells"]:
        distance = self._grid(axis, centre) - centre[..., None]
        return torch.exp(-0.5 * (distance / sigma) ** 2) * (distance.abs() <= REACH * sigma)

    def _grid(self, axis: int, like: Tensor) -> Float[Tensor, " cells"]:
        return torch.arange(self.size[axis], device=like.device, dtype=like.dtype)

    def _offsets(
        self,
        parts: Float[Tensor, "batch animals parts 2"],
        seen: Bool[Tensor, "batch animals parts"],
        centres: Float[Tensor, "batch animals 2"],
    ) -> dict[str, Tensor]:
        area = box_area(parts, seen, self.radius)
        x, y = self._grid(1, parts), self._grid(0, parts)
        near_x = ((x - centres[..., :1]).abs() <= self.radius) & seen.any(-1, keepdim=True)
        near = ((y - centres[..., 1:]).abs() <= self.radius)[..., :, None] & near_x[..., None, :]
        smallest, owner = torch.where(near, area[..., None, None], torch.inf).min(1)  # per cell
        owner = owner.flatten(1)[:, None]

        def of_owner(values: Float[Tensor, "batch animals maps"]) -> Float[Tensor, "batch maps h w"]:
            spread = values.transpose(1, 2).gather(2, owner.expand(-1, values.shape[2], -1))
            return spread.unflatten(2, self.size)

        weights = of_owner(seen * area[..., None].rsqrt()) * smallest.isfinite()[:, None]
        known = weights > 0
        offsets = [
            torch.where(known, cells - of_owner(parts[..., axis]), 0.0)
            for axis, cells in ((0, x[None, :]), (1, y[:, None]))
        ]
        return {
            "offsets_targ": torch.stack(offsets, dim=2).flatten(1, 2),
            "offsets_weight_targ": weights.repeat_interleave(2, dim=1),
        }


def box_area(
    points: Float[Tensor, "*batch parts 2"], shown: Bool[Tensor, "*batch parts"], shortest: float
) -> Float[Tensor, "*batch"]:
    """The area of the box round the points that are shown, no side taken shorter than `shortest`."""
    low = torch.where(shown[..., None], points, torch.inf).amin(-2)
    high = torch.where(shown[..., None], points, -torch.inf).amax(-2)
    return (high - low).clamp_min(shortest).prod(-1)
