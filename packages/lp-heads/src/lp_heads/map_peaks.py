"""Several peaks of one map, and what a map says at a point between cells."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from lp_heads.peak import fit_peak, window_start

Maps = Float[Tensor, "batch maps h w"]


def best_peaks(
    maps: Maps, count: int, window: int = 5
) -> tuple[Float[Tensor, "batch maps count"], Int[Tensor, "batch maps count"]]:
    """Values and cells (row by row) of the best peaks, best first; a peak is the largest in `window`² cells round it.

    Where a map has fewer, the rest has values of 0 or below.
    """
    rank = maps.detach()
    highest = F.max_pool2d(rank, (window, 1), stride=1, padding=(window // 2, 0))
    highest = F.max_pool2d(highest, (1, window), stride=1, padding=(0, window // 2))
    cells = torch.where((rank == highest) & (rank > 0), rank, 0.0).flatten(-2).topk(count, dim=-1).indices
    is_peak = (rank == highest).flatten(-2).gather(-1, cells)
    return torch.where(is_peak, maps.flatten(-2).gather(-1, cells), 0.0), cells


def refined(maps: Maps, cells: Int[Tensor, "batch maps count"], radius: int = 2) -> Float[Tensor, "batch maps count 2"]:
    """The (x, y) in cells of the peaks at `cells`, by a fit in `2 radius + 1` cells on a side; see `fit_peak`."""
    height, width = maps.shape[-2:]
    y, x = cells // width, cells % width
    top, left = window_start(y, height, radius), window_start(x, width, radius)
    side = torch.arange(2 * radius + 1, device=maps.device)
    rows, columns = top[..., None] + side[: min(len(side), height)], left[..., None] + side[: min(len(side), width)]
    index = rows[..., :, None] * width + columns[..., None, :]
    window = maps.flatten(-2).gather(-1, index.flatten(2)).view(index.shape).clamp_min(0)
    cell_x = left + fit_peak(window.sum(-2), (x - left).to(maps.dtype))
    cell_y = top + fit_peak(window.sum(-1), (y - top).to(maps.dtype))
    return torch.stack([cell_x, cell_y], dim=-1)


def nearest_peaks(
    maps: Maps, points: Float[Tensor, "batch animals maps 2"], reach: float, least: float
) -> tuple[Int[Tensor, "batch animals maps"], Bool[Tensor, "batch animals maps"]]:
    """The peak of its map that is nearest to each point (x, y) in cells, and whether there is one.

    Args:
        reach: cells within which a peak counts; a peak is the largest in 3² cells.
        least: value of a peak.
    """
    height, width = maps.shape[-2:]
    radius = math.ceil(reach) + 1
    side = torch.arange(-radius, radius + 1, device=maps.device)
    x, y = (points.detach().round().long()[..., axis, None] + side for axis in (0, 1))
    index = (y.clamp(0, height - 1) * width)[..., :, None] + x.clamp(0, width - 1)[..., None, :]
    inside = ((y >= 0) & (y < height))[..., :, None] & ((x >= 0) & (x < width))[..., None, :]
    flat = maps.detach().flatten(-2)[:, None].expand(-1, points.shape[1], -1, -1)
    values = torch.where(inside, flat.gather(-1, index.flatten(-2)).view(index.shape), -torch.inf)
    highest = F.max_pool2d(values.flatten(0, 1), 3, stride=1, padding=1).view(values.shape)
    dx, dy = x - points.detach()[..., :1], y - points.detach()[..., 1:]
    distance = (dy.square()[..., :, None] + dx.square()[..., None, :]).sqrt()
    counts = (values == highest) & (values >= least) & (distance <= reach)
    nearest = torch.where(counts, distance, torch.inf).flatten(-2).argmin(-1, keepdim=True)
    return index.flatten(-2).gather(-1, nearest)[..., 0], counts.flatten(-2).any(-1)


def at_points(maps: Maps, points: Float[Tensor, "batch animals maps 2"]) -> Float[Tensor, "batch animals maps"]:
    """Each map's value at its own points (x, y) in cells, bilinear; beyond the border the border's."""
    batch, count, height, width = maps.shape
    scale = torch.tensor([width, height], device=maps.device, dtype=maps.dtype)
    where = ((2 * points + 1) / scale - 1).transpose(1, 2).flatten(0, 1)[:, :, None]
    values = F.grid_sample(maps.reshape(-1, 1, height, width), where, padding_mode="border", align_corners=False)
    return values.view(batch, count, -1).transpose(1, 2)
