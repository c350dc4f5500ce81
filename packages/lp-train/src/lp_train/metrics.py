"""Pose metrics: pure functions of arrays."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

PERCENTILES = (25, 50, 75, 90, 95)


def pixel_error(
    predicted: Float[np.ndarray, "frames keypoints 2"], labeled: Float[np.ndarray, "frames keypoints 2"]
) -> Float[np.ndarray, "frames keypoints"]:
    """Euclidean distance in pixels of the original frame; NaN where not labeled or not predicted."""
    return np.linalg.norm(predicted - labeled, axis=-1)


def pck(
    error: Float[np.ndarray, "frames keypoints"],
    labeled: Float[np.ndarray, "frames keypoints 2"],
    threshold: float,
) -> float:
    """Percentage of correct keypoints: error at most `threshold` times the diagonal of the labeled keypoints' box.

    Frames with fewer than two labeled keypoints have no box and do not count; an unpredicted keypoint is not correct.
    Yang and Ramanan, "Articulated human detection with flexible mixtures of parts", 2013, with the box of the keypoints.
    """
    valid = np.isfinite(labeled).all(-1)
    frames = valid.sum(-1) >= 2
    if not frames.any():
        return float("nan")
    points, error, valid = labeled[frames], error[frames], valid[frames]
    diagonal = np.linalg.norm(np.nanmax(points, axis=1) - np.nanmin(points, axis=1), axis=-1)
    correct = error <= threshold * diagonal[:, None]  # NaN compares false
    return float(100 * correct[valid].mean())


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """Pixel errors of a set of keypoints: count, mean and percentiles; NaN for an empty set."""

    count: int
    mean: float
    percentiles: dict[int, float]

    @classmethod
    def of(cls, error: Float[np.ndarray, "..."]) -> "ErrorSummary":
        """Of all finite values in `error`."""
        values = error[np.isfinite(error)]
        if not values.size:
            return cls(0, float("nan"), dict.fromkeys(PERCENTILES, float("nan")))
        quantiles = np.percentile(values, PERCENTILES)
        return cls(values.size, float(values.mean()), dict(zip(PERCENTILES, quantiles.tolist(), strict=True)))
