"""What the other keypoints of a pose say about each one: a Gaussian of poses that tolerates missing labels. NumPy, float64."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Poses = Float[np.ndarray, "poses keypoints 2"]
Pose = Float[np.ndarray, "keypoints 2"]
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class PoseGaussian:
    """Mean and covariance of x₀, y₀, x₁, y₁, …, in pixels; `noise` is added to every variance, in px².

    Mean and covariance are those of the subspaces that `lpose train` learns: means over what is known of each column,
    covariances over the poses in which both columns are known, negative variances set to zero.
    """

    mean: Float[np.ndarray, " dims"]
    covariance: Float[np.ndarray, "dims dims"]
    noise: float = 0.0

    def precision(self, known: Bool[np.ndarray, " dims"]) -> Float[np.ndarray, "known known"]:
        """The inverse covariance of the dims that are known."""
        return np.linalg.inv(self.covariance[np.ix_(known, known)] + (self.noise + TINY) * np.eye(int(known.sum())))

    def expected(self, pose: Pose, targets: Int[np.ndarray, " targets"]) -> tuple[np.ndarray, np.ndarray]:
        """Where `targets`, together, should be, given the other keypoints of the pose: mean (2·targets) and covariance."""
        flat = pose.reshape(-1)
        wanted = (2 * targets[:, None] + np.arange(2)).reshape(-1)
        known = np.isfinite(flat)
        known[wanted] = False
        own = self.covariance[np.ix_(wanted, wanted)] + (self.noise + TINY) * np.eye(len(wanted))
        if not known.any():
            return self.mean[wanted], own
        cross = self.covariance[np.ix_(wanted, known)] @ self.precision(known)
        mean = self.mean[wanted] + cross @ (flat[known] - self.mean[known])
        return mean, own - cross @ self.covariance[np.ix_(known, wanted)]

    def misfits(self, pose: Pose) -> tuple[Float[np.ndarray, " keypoints"], Pose]:
        """Of each labeled keypoint the Mahalanobis distance from where the others expect it, and that place; NaN without label.

        The block of the precision matrix that belongs to a keypoint is the inverse of its conditional covariance.
        """
        flat = pose.reshape(-1)
        known = np.isfinite(flat)
        distance, places = np.full(len(pose), np.nan), np.full_like(pose, np.nan)
        if known.sum() < 4:
            return distance, places
        precision = self.precision(known)
        pull = precision @ (flat[known] - self.mean[known])
        blocks = np.arange(int(known.sum())).reshape(-1, 2)
        own = precision[blocks[:, :, None], blocks[:, None, :]]
        residual = np.linalg.solve(own, pull[blocks][..., None])[..., 0]
        labeled = known.reshape(-1, 2).all(1)
        distance[labeled] = np.sqrt(np.einsum("ki,kij,kj->k", residual, own, residual).clip(min=0))
        places[labeled] = pose[labeled] - residual
        return distance, places

    def far(self, poses: Poses) -> Float[np.ndarray, " poses"]:
        """Squared Mahalanobis distances of whole poses, all with labels for the same keypoints."""
        known = np.isfinite(poses[0].reshape(-1))
        off = poses.reshape(len(poses), -1)[:, known] - self.mean[known]
        return np.einsum("pi,ij,pj->p", off, self.precision(known), off)


def fit_gaussian(poses: Poses, noise: float = 0.0) -> PoseGaussian:
    """Mean and pairwise complete covariance of `poses`, NaN = not labeled; columns never labeled have neither."""
    rows = poses.reshape(len(poses), -1)
    known = np.isfinite(rows)
    counts = known.sum(0)
    mean = np.where(counts > 0, np.where(known, rows, 0).sum(0) / np.maximum(counts, 1), 0.0)
    centred = np.where(known, rows - mean, 0.0)
    pairs = known.T.astype(np.float64) @ known
    variances, directions = np.linalg.eigh(centred.T @ centred / np.maximum(pairs - 1, 1))
    return PoseGaussian(mean, directions * variances.clip(min=0) @ directions.T, noise)


def refined(start: PoseGaussian, poses: Poses, rounds: int) -> PoseGaussian:
    """`start` after some rounds of expectation maximisation over what is not labeled (Dempster, Laird & Rubin 1977), because a
    pairwise complete covariance contradicts itself by more than labels are precise. Without missing labels it stays as it is.
    """
    rows = poses.reshape(len(poses), -1)
    known = np.isfinite(rows)
    ever = known.any(0)
    if known[:, ever].all():
        return start
    found = start
    for _ in range(rounds):
        found = _maximised(found, rows, known)
    return found


def _maximised(before: PoseGaussian, rows: Float[np.ndarray, "poses dims"], known: np.ndarray) -> PoseGaussian:
    filled, unsure = np.where(known, rows, before.mean), np.zeros_like(before.covariance)
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    for number, seen in enumerate(patterns):
        own = which == number
        hidden = ~seen
        if seen.all() or not seen.any():
            unsure += own.sum() * (0 if seen.all() else before.covariance)
            continue
        cross = before.covariance[np.ix_(hidden, seen)] @ before.precision(seen)
        filled[np.ix_(own, hidden)] = before.mean[hidden] + (rows[np.ix_(own, seen)] - before.mean[seen]) @ cross.T
        rest = before.covariance[np.ix_(hidden, hidden)] - cross @ before.covariance[np.ix_(seen, hidden)]
        unsure[np.ix_(hidden, hidden)] += own.sum() * rest
    mean = filled.mean(0)
    centred = filled - mean
    return PoseGaussian(mean, (centred.T @ centred + unsure) / max(len(rows) - 1, 1), before.noise)
