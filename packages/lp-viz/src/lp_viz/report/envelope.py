"""Long curves in few points: of every stretch of frames the lowest and the highest value, so that no peak is lost."""

import numpy as np
from jaxtyping import Float


def stride_of(frames: int, bins: int) -> int:
    """Frames per bin: 1 as long as every frame has room, two points in a bin otherwise."""
    return 1 if frames <= 2 * bins else -(-frames // bins)


def envelope(
    values: Float[np.ndarray, " frames"], stride: int
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """First frame of the bin of each point, and its value.

    Of `stride` frames two points are kept, the lowest and the highest in the order in which they come; NaN where all are.
    """
    if stride == 1:
        return np.arange(len(values), dtype=float), np.asarray(values, dtype=float)
    bins = -(-len(values) // stride)
    padded = np.full(bins * stride, np.nan)
    padded[: len(values)] = values
    rows = padded.reshape(bins, stride)
    low = np.where(np.isnan(rows), np.inf, rows).argmin(1)
    high = np.where(np.isnan(rows), -np.inf, rows).argmax(1)
    at = np.sort(np.stack([low, high], -1), axis=-1)
    return np.repeat(np.arange(bins) * float(stride), 2), np.take_along_axis(rows, at, 1).ravel()
