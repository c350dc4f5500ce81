"""Which cells of score maps are peaks, and where exactly the keypoints lie that they mean."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from lp_heads.cells import to_pixels

Maps = Float[Tensor, "batch maps h w"]
Offsets = Float[Tensor, "batch maps 2 h w"]


def probability(maps: Tensor, *, logits: bool) -> Tensor:
    """Scores in 0–1."""
    return maps.sigmoid() if logits else maps.clamp(0, 1)


def rank(scores: Maps, offsets: Offsets, spread: float) -> Maps:
    """Scores, the lower the farther off the keypoint is: of the many equal cells of a plateau the nearest one is best.

    Args:
        offsets: in input pixels.
        spread: input pixels, a Gaussian's standard deviation; 0 = scores alone, for maps that have a peak by themselves.
    """
    if not spread:
        return scores.detach()
    x, y = offsets.detach().unbind(2)
    return scores.detach() * torch.exp((x.square() + y.square()) * (-0.5 / spread**2))


def at(values: Float[Tensor, "batch maps *more h w"], cells: Int[Tensor, "batch maps count"]) -> Tensor:
    """The values in `cells` (row by row) of each map → (batch, maps, count, *more)."""
    flat = values.flatten(-2).flatten(2, -2) if values.ndim > 4 else values.flatten(-2)[:, :, None]
    taken = flat.gather(-1, cells[:, :, None].expand(-1, -1, flat.shape[2], -1)).transpose(2, 3)
    return taken if values.ndim > 4 else taken[..., 0]


def pixels(
    cells: Int[Tensor, "batch maps count"], offsets: Offsets, stride: float
) -> Float[Tensor, "batch maps count 2"]:
    """Cells, moved by their offsets, in input pixels."""
    width = offsets.shape[-1]
    centres = torch.stack([cells % width, cells // width], dim=-1).to(offsets.dtype)
    return to_pixels(centres, stride) + at(offsets, cells)


def peaks(
    ranks: Maps, count: int, radius: int
) -> tuple[Int[Tensor, "batch maps count"], Bool[Tensor, "batch maps count"]]:
    """The best `count` peaks of each map, best first, and which of them are: a map may have fewer.

    A peak is above zero and the best within `radius` cells to each side.
    """
    values, cells = (ranks * (ranks == highest(ranks, radius))).flatten(-2).topk(count, dim=-1)
    return cells, values > 0


def highest(maps: Maps, radius: int) -> Maps:
    """The largest value within `radius` cells to each side of each cell; on a CPU several times as fast as pooling."""
    out = F.pad(maps, (radius, radius, radius, radius), value=-torch.inf)
    for axis in (-1, -2):
        seen, window = 1, 2 * radius + 1
        while seen < window:
            step = min(seen, window - seen)
            length = out.shape[axis] - step
            out = torch.maximum(out.narrow(axis, 0, length), out.narrow(axis, step, length))
            seen += step
    return out


def distinct(points: Float[Tensor, "*batch count 2"], apart: float) -> Bool[Tensor, "*batch count"]:
    """Which points, best first, have no better one within `apart` pixels."""
    close = (points[..., :, None, :] - points[..., None, :, :]).square().sum(-1) < apart**2
    return ~close.tril(-1).any(-1)


def relative(confidence: Tensor, way: Float[Tensor, "*batch 2"], stride: float, sigma: float) -> Tensor:
    """The score of a Gaussian's cell over that of a perfect one as far from the keypoint, which is half a cell at most.

    Args:
        way: from the cell to the keypoint in input pixels.
        sigma: in input pixels; 0 = the map is a plateau, nothing changes.
    """
    if not sigma:
        return confidence
    way = way.detach().clamp(-stride / 2, stride / 2)
    return confidence * torch.exp(0.5 * way.square().sum(-1) / sigma**2)
