"""Centre, shape and length of poses; all of them NaN where they cannot be known. NumPy only."""

import numpy as np
from jaxtyping import Bool, Float, Int

Poses = Float[np.ndarray, "*poses keypoints 2"]


def visible(poses: Poses) -> Bool[np.ndarray, "*poses keypoints"]:
    """Which keypoints there are."""
    return np.isfinite(poses[..., 0] + poses[..., 1])


def centres(poses: Poses) -> Float[np.ndarray, "*poses 2"]:
    """Mean of the keypoints there are."""
    seen = visible(poses)[..., None]
    count = seen.sum(-2)
    return np.where(count > 0, np.where(seen, poses, 0.0).sum(-2) / np.maximum(count, 1), np.nan)


def covariances(poses: Poses) -> Float[np.ndarray, "*poses 3"]:
    """xx, xy and yy of the keypoints there are; of three of them at least, or of all if a pose has fewer."""
    seen = visible(poses)
    count = seen.sum(-1)
    apart = np.where(seen[..., None], poses - centres(poses)[..., None, :], 0.0)
    x, y = apart[..., 0], apart[..., 1]
    total = np.stack([(x * x).sum(-1), (x * y).sum(-1), (y * y).sum(-1)], axis=-1)
    enough = count >= least_visible(poses.shape[-2])
    return np.where(enough[..., None], total / np.maximum(count, 1)[..., None], np.nan)


def least_visible(keypoints: int) -> int:
    """How many keypoints of a pose say something of its shape."""
    return max(min(keypoints, 3), 2)


def lengths(covariance: Float[np.ndarray, "*poses 3"]) -> Float[np.ndarray, "*poses"]:
    """Four standard deviations along the longest axis: the length of the ellipse that has 2 of them on each side."""
    xx, xy, yy = covariance[..., 0], covariance[..., 1], covariance[..., 2]
    return 4 * np.sqrt((xx + yy) / 2 + np.hypot((xx - yy) / 2, xy))


def elongations(covariance: Float[np.ndarray, "*poses 3"]) -> Float[np.ndarray, "*poses 2"]:
    """A vector at twice the angle of the longest axis; its length is 0 for a circle and 1 for a line."""
    xx, xy, yy = covariance[..., 0], covariance[..., 1], covariance[..., 2]
    total = np.maximum(xx + yy, np.finfo(float).tiny)
    return np.stack([(xx - yy) / total, 2 * xy / total], axis=-1)


def nearest_neighbour(points: Float[np.ndarray, "n 2"]) -> float:
    """Mean distance of points to the nearest other; NaN of fewer than two."""
    if len(points) < 2:
        return float("nan")
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    return float(distance.min(1).mean())


def typical_length(poses: Float[np.ndarray, "frames animals keypoints 2"]) -> float:
    """Median length of the animals of a video; see `UNKNOWN_LENGTH` where no pose has a shape."""
    found = lengths(covariances(poses))
    found = found[found > 0]
    if found.size:
        return float(np.median(found))
    spaces = np.array([nearest_neighbour(c[np.isfinite(c).all(-1)]) for c in centres(poses)[:1000]])
    spaces = spaces[spaces > 0]
    return float(np.median(spaces)) / 2 if spaces.size else UNKNOWN_LENGTH


UNKNOWN_LENGTH = 50.0  # pixels, of an animal that is one point and alone


def mean_distances(
    a: Float[np.ndarray, "n keypoints 2"], b: Float[np.ndarray, "m keypoints 2"]
) -> Float[np.ndarray, "n m"]:
    """Mean distance of the keypoints that both poses have; NaN if there is none."""
    distance = np.linalg.norm(a[:, None] - b[None], axis=-1)
    both = np.isfinite(distance)
    count = both.sum(-1)
    return np.where(count > 0, np.where(both, distance, 0.0).sum(-1) / np.maximum(count, 1), np.nan)


def counts(poses: Poses) -> Int[np.ndarray, "*poses"]:
    """How many keypoints there are."""
    return visible(poses).sum(-1)
