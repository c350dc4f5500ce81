"""The linear subspace that poses lie in: principal components that tolerate missing labels. NumPy, float64."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from lp_core import ConfigError

Observations = Float[np.ndarray, "observations dims"]
CENTERINGS = (None, "mean", "median")


@dataclass(frozen=True, slots=True)
class Subspace:
    """A mean, and orthonormal directions round it.

    Attributes:
        components: the kept directions, one per row.
        variances: along every direction, the largest first; those after `len(components)` are given up.
    """

    mean: Float[np.ndarray, " dims"]
    components: Float[np.ndarray, "kept dims"]
    variances: Float[np.ndarray, " dims"]

    def reconstruct(self, observations: Observations) -> Observations:
        """The nearest point of the subspace; NaN for an observation that is not complete."""
        return (observations - self.mean) @ self.components.T @ self.components + self.mean


def fit_subspace(observations: Observations, keep: float) -> Subspace:
    """Principal components of `observations`, where NaN is a value that was not measured.

    Means are over what is known of each column, covariances over the rows in which both columns are known
    (pairwise complete); directions whose variance comes out negative have none.

    Args:
        keep: a number of directions, or, below 1, the share of the variance that they must explain.

    Raises:
        ConfigError: too little is known, or `keep` is impossible.
    """
    rows, dims = observations.shape
    known = np.isfinite(observations)
    if rows < dims or (known.T.astype(float) @ known).min() < 2:
        raise ConfigError(
            f"it has {rows} observations of {dims} coordinates, and needs at least {dims}, with every pair labeled twice"
        )
    if not 0 < keep <= dims or (keep > 1 and keep % 1):
        raise ConfigError(f"components_to_keep={keep:g} must be a share of the variance, or a number up to {dims}")
    mean = np.nanmean(observations, axis=0)
    centred = np.where(known, observations - mean, 0.0)
    pairs = known.T.astype(np.float64) @ known
    variances, directions = np.linalg.eigh(centred.T @ centred / np.maximum(pairs - 1, 1))
    variances, directions = variances[::-1].clip(min=0), directions.T[::-1]
    return Subspace(mean, directions[: _count(variances, keep)].copy(), variances)


def _count(variances: Float[np.ndarray, " dims"], keep: float) -> int:
    if keep >= 1:
        return int(keep)
    share = np.cumsum(variances) / max(variances.sum(), np.finfo(float).tiny)
    return min(int(np.searchsorted(share, keep - 1e-12)) + 1, len(variances))


def centred_poses(
    poses: Float[np.ndarray, "frames keypoints 2"], how: str | None
) -> Float[np.ndarray, "frames keypoints 2"]:
    """Poses relative to the mean or median of their own keypoints, or as they are."""
    if how is None:
        return poses
    centre = {"mean": np.nanmean, "median": np.nanmedian}[how]
    out, known = np.full_like(poses, np.nan), np.isfinite(poses).any((1, 2))
    out[known] = poses[known] - centre(poses[known], axis=1, keepdims=True)
    return out
