"""Gaussians as products of two curves, one along each axis: an exponential per row and column instead of one per cell."""

import math

import torch
from jaxtyping import Float
from lp_core import Size
from torch import Tensor

AT_ONCE = 1_000_000  # cells of all Gaussians in one go


def gaussian_curves(
    centres: Float[Tensor, "*batch 2"], size: Size, sigma: float, reach: float
) -> tuple[Float[Tensor, "*batch h"], Float[Tensor, "*batch w"]]:
    """Gaussians with peak 1 sampled in the rows and in the columns of a map, 0 farther than `reach` from the centre; in
    cells.
    """
    cells = torch.arange(max(size), device=centres.device, dtype=centres.dtype)
    distance = cells - centres[..., None]
    far = distance.abs() > reach
    curves = distance.square_().mul_(-0.5 / sigma**2).masked_fill_(far, -torch.inf).exp_()
    return curves[..., 1, : size[0]], curves[..., 0, : size[1]]


def largest_product(
    rows: Float[Tensor, "batch maps animals h"],
    columns: Float[Tensor, "batch maps animals w"],
    out: Float[Tensor, "batch maps h w"],
) -> None:
    """Into each cell of each map the largest `rows * columns` of its animals."""
    if rows.shape[2] == 1:
        torch.mul(rows.transpose(2, 3), columns, out=out)
        return
    frames = max(AT_ONCE // max(math.prod(rows.shape[1:]) * columns.shape[3], 1), 1)
    for first in range(0, len(rows), frames):
        some = slice(first, first + frames)
        torch.amax(rows[some, ..., None] * columns[some, :, :, None], dim=2, out=out[some])
