"""Where the cells of a map lie in the input, and which of several things that claim a cell gets it."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from lp_core import Size
from torch import Tensor

from lp_heads.gaussian_heatmap import inside

EVEN = 1e-4  # input pixels per place in the order: things nearer to each other than that are equally near

NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


def map_size(image_size: Size, stride: float) -> Size:
    """(height, width) in cells."""
    return round(image_size[0] / stride), round(image_size[1] / stride)


def to_cells(points: Float[Tensor, "*batch 2"], stride: float) -> Float[Tensor, "*batch 2"]:
    """Input pixels → cells: the centre of cell i is input pixel `(i + 0.5) stride - 0.5`."""
    return (points + 0.5) / stride - 0.5


def to_pixels(cells: Float[Tensor, "*batch 2"], stride: float) -> Float[Tensor, "*batch 2"]:
    """Cells → input pixels."""
    return (cells + 0.5) * stride - 0.5


def zeros(count: int, like: Tensor) -> Float[Tensor, " {count}"]:
    """Zeros of the type and on the device of `like`.

    On a CPU the operating system's, which are there for nothing until they are written to: large maps are mostly empty.
    """
    if like.device.type != "cpu" or like.dtype not in NUMPY:
        return like.new_zeros(count)
    return torch.from_numpy(np.zeros(count, NUMPY[like.dtype]))


def is_nearest(
    cells: Int[Tensor, "*claims"], distance: Float[Tensor, "*claims"], nearest: Float[Tensor, " cells"]
) -> Bool[Tensor, "*claims"]:
    """Whether there is no smaller distance among the claims on the same cell; `nearest` is overwritten by the smallest."""
    nearest.fill_(torch.inf).scatter_reduce_(0, cells.flatten(), distance.flatten(), "amin")
    return distance == nearest.index_select(0, cells.flatten()).view_as(distance)


def nearest_claims(
    cells: Int[Tensor, "*claims"], distance: Float[Tensor, "*claims"], order: Int[Tensor, "..."], count: int
) -> Int[Tensor, "*claims"]:
    """The cell that each claim gets: `cells` for the nearest claim on a cell, `count` for all others.

    Args:
        cells: claimed, 0 … count - 1; `count` claims nothing.
        distance: in input pixels.
        order: broadcasts to the claims; of claims equally near the smallest gets the cell.
    """
    nearest = is_nearest(cells, distance + EVEN * order, distance.new_empty(count + 1))
    return cells.masked_fill(~nearest, count)


def labeled(
    keypoints: Float[Tensor, "*batch 2"], visibility: Int[Tensor, "*batch"], image_size: Size
) -> Bool[Tensor, "*batch"]:
    """Whether keypoints, seen or occluded, have a position in the image."""
    return (visibility > 0) & inside(keypoints, image_size)
