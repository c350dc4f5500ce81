"""A number per frame, drawn on few pixels without losing its peaks."""

import numpy as np
from jaxtyping import Float, Int

PEAK = 0.97  # quantile above which a frame is part of a peak
APART = 8  # frames between two peaks, at least
MOST = 400  # peaks that are told


def worst(values: Float[np.ndarray, "frames keypoints"]) -> Float[np.ndarray, " frames"]:
    """The highest keypoint of every frame; NaN where no keypoint has a value."""
    if not values.shape[1]:
        return np.full(len(values), np.nan, dtype=np.float32)
    return np.fmax.reduce(values, axis=1)


def mean(values: Float[np.ndarray, "frames keypoints"]) -> Float[np.ndarray, " frames"]:
    """The mean of the keypoints that have a value; NaN where none has."""
    known = np.isfinite(values)
    count = known.sum(1)
    return np.where(count > 0, np.where(known, values, 0).sum(1) / np.maximum(count, 1), np.nan)


def envelope(
    series: Float[np.ndarray, " frames"], start: int, stop: int, bins: int
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """The lowest and the highest value in each of at most `bins` equal stretches of frames `start` to `stop - 1`.

    NaN only where a stretch has no value.
    """
    part = series[start:stop]
    if not len(part):
        return part, part
    edges = np.linspace(0, len(part), min(bins, len(part)), endpoint=False).astype(np.int64)
    return np.fmin.reduceat(part, edges), np.fmax.reduceat(part, edges)


def peaks(series: Float[np.ndarray, " frames"], low: bool) -> Int[np.ndarray, " peaks"]:
    """Frames to look at: the highest of each run of unusually high values, in order; the lowest of low ones if `low`."""
    height = -series if low else series
    known = height[np.isfinite(height)]
    if len(known) < 3 or known.min() == known.max():
        return np.zeros(0, dtype=np.int64)
    limit = np.quantile(known, PEAK)
    frames = np.flatnonzero(height > limit if limit < known.max() else height >= limit)
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > APART) + 1)
    tops = np.array([run[np.argmax(height[run])] for run in runs], dtype=np.int64)
    strongest = np.argsort(-height[tops], kind="stable")[:MOST]
    return np.sort(tops[strongest])
