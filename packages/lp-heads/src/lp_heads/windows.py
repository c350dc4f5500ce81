"""Square windows of cells round points, and maps that are zero but for what is drawn in them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from lp_core import Size
from torch import Tensor

from lp_heads.cells import nearest_claims, zeros

FAR = -1e6  # where points that are not there are put, out of reach of every cell; in cells or in input pixels


class Windows(NamedTuple):
    """The same number of cells for each point; in place of those past an edge of the map there is the one at the edge.

    Attributes:
        cells: of the flattened map.
        x, y: their columns and rows.
        way_x, way_y: from there to the point in cells, infinite past an edge.
    """

    cells: Int[Tensor, "*batch near near"]
    x: Int[Tensor, "*batch 1 near"]
    y: Int[Tensor, "*batch near 1"]
    way_x: Float[Tensor, "*batch 1 near"]
    way_y: Float[Tensor, "*batch near 1"]


def windows(centres: Float[Tensor, "*batch 2"], reach: float, size: Size) -> Windows:
    """The columns and rows that can be within `reach` of each centre; all in cells of a map of `size`."""
    most = math.floor(reach + 0.5)  # a centre is half a cell from the nearest one at most
    steps = torch.arange(-most, most + 1, device=centres.device)
    last = torch.linspace(size[1] - 1, size[0] - 1, 2, device=centres.device, dtype=centres.dtype)[:, None]
    lines = centres.round()[..., None] + steps
    there = lines.clamp(torch.zeros_like(last), last)
    way_x, way_y = (centres[..., None] - lines).masked_fill_(lines != there, torch.inf).unbind(-2)
    x, y = there.long().unbind(-2)
    cells = (y * size[1])[..., :, None] + x[..., None, :]
    return Windows(cells, x[..., None, :], y[..., :, None], way_x[..., None, :], way_y[..., :, None])


def of_nearest(
    inside: Bool[Tensor, "*maps animals near near"],
    cells: Int[Tensor, "*maps animals near near"],
    distance: Float[Tensor, "*maps animals #near #near"],
    area: int,
) -> Bool[Tensor, "*maps animals near near"]:
    """Which cells an animal has: those `inside` that are inside of no other one that is nearer (`nearest_claims`).

    Args:
        cells: of the map that the animal is in.
        area: cells of a map.
    """
    *maps, animals, _, _ = inside.shape
    if animals == 1:
        return inside
    count = math.prod(maps) * area
    first = torch.arange(0, count, area, device=cells.device).view(*maps, 1, 1, 1)
    order = torch.arange(animals, device=cells.device)[:, None, None]
    claimed = torch.where(inside, cells + first, count)
    return nearest_claims(claimed, distance.expand(inside.shape), order, count) != count


def zero_maps(batch: int, channels: Sequence[int], size: Size, like: Tensor) -> list[Float[Tensor, "batch _ h w"]]:
    """Zero maps of so many channels each, in one piece of memory.

    An allocator keeps a large piece for the next batch; of several it gives some back and fetches them again, which takes
    longer than filling them.
    """
    cells = [batch * count * math.prod(size) for count in channels]
    pieces = zeros(sum(cells), like).split(cells)
    return [piece.view(batch, count, *size) for piece, count in zip(pieces, channels, strict=True)]


def draw(
    maps: Float[Tensor, "batch maps h w"],
    values: Float[Tensor, "batch maps animals near near"],
    cells: Int[Tensor, "batch animals near near"],
) -> None:
    """Add `values` to `cells` of zero maps; of those for the same cell all but one are zero."""
    where = cells.flatten(1)[:, None].expand(-1, maps.shape[1], -1)
    maps.flatten(2).scatter_add_(2, where, values.flatten(2))
