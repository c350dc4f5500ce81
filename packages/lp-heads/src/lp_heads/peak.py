"""The sub-cell position of a peak, from a few cells round it."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

TINY = 1e-12
FLATTEST = 1e-3  # curvature of log p per cell² below which a window has no peak worth fitting: a sigma above 22 cells


def window_start(peak: Int[Tensor, "*batch"], length: int, radius: int) -> Int[Tensor, "*batch"]:
    """The first cell of the window of `2 radius + 1` cells round `peak`, moved inside 0 … length - 1 at the ends."""
    return (peak - radius).clamp(0, max(length - (2 * radius + 1), 0))


def fit_peak(values: Float[Tensor, "*batch window"], peak: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The position of the maximum in cells of the window, exact for a sampled Gaussian wherever the window lies.

    The logarithm of a Gaussian is a parabola; it is fitted by least squares with weights `values²` (which is what errors
    of equal size in `values` ask for), and its vertex returned. Where the fit has no maximum within 1 cell of `peak`, the
    mean position is returned. The vertex is differentiable in `values`; the weights are held fixed.
    Thompson, Larson and Webb, "Precise nanometer localization analysis", 2002, discuss such estimators.

    Args:
        values: non-negative.
        peak: cell of the largest value.
    """
    u = torch.arange(values.shape[-1], device=values.device, dtype=values.dtype) - peak[..., None]
    share = values / values.sum(-1, keepdim=True).clamp_min(TINY)
    weights = share.detach() ** 2
    weights = weights / weights.sum(-1, keepdim=True).clamp_min(TINY)
    logs = torch.log(share.clamp_min(TINY))
    mean_u, mean_u2, mean_l = ((weights * t).sum(-1, keepdim=True) for t in (u, u**2, logs))
    du, du2, dl = u - mean_u, u**2 - mean_u2, logs - mean_l
    s11, s12, s22, t1, t2 = (
        (weights * a * b).sum(-1) for a, b in ((du, du), (du, du2), (du2, du2), (du, dl), (du2, dl))
    )
    determinant = (s11 * s22 - s12 * s12).clamp_min(TINY)
    slope, curvature = (t1 * s22 - t2 * s12) / determinant, (t2 * s11 - t1 * s12) / determinant
    fits = curvature < -FLATTEST / 2
    vertex = -slope / (2 * torch.where(fits, curvature, -1.0))
    mean = (share * u).sum(-1)
    return peak + torch.where(fits & (vertex.abs() <= 1), vertex, mean)


def gaussian_mass(sigma: float, radius: int) -> float:
    """The share of a Gaussian (one axis) within `radius` cells, and half a cell, of its centre."""
    return math.erf((radius + 0.5) / (sigma * math.sqrt(2)))
