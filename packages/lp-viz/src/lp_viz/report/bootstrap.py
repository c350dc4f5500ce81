"""How sure a mean or a median is: percentile intervals of the bootstrap, with frames drawn, not keypoints.

Keypoints of one frame err together, so that a frame with all its keypoints is what is drawn with replacement: Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13; Cameron, Gelbach and Miller, 2008, for clusters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

REPLICATES = 2000
CELLS = 20_000_000  # weights kept at a time; with more than 10 000 frames there are fewer replicates, at least 200
LEVEL = 95.0
Errors = Float[np.ndarray, "frames keypoints"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and its 95% interval, NaN where there is one frame only.

    Attributes:
        frames, labels: that the number is of.
    """

    value: float
    low: float
    high: float
    frames: int
    labels: int

    def __str__(self) -> str:
        if not np.isfinite(self.value):
            return "–"
        return f"{digits(self.value)} [{digits(self.low)}, {digits(self.high)}]" if self.known else digits(self.value)

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.low))

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval is on one side of 0."""
        return self.known and (self.low > 0 or self.high < 0)


def digits(value: float) -> str:
    """Two decimals for small numbers, none for large ones."""
    places = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{places}f}".replace("-", "−")


def mean_interval(errors: Errors) -> Interval:
    """The mean of all known values; NaN = not known."""
    errors = errors[np.isfinite(errors).any(-1)]
    if not len(errors):
        return _nothing()
    known = np.isfinite(errors)
    totals, counts = np.where(known, errors, 0).sum(-1), known.sum(-1)
    weights = frame_weights(len(errors))
    return _interval(float(totals.sum() / counts.sum()), (weights @ totals) / (weights @ counts), errors)


def median_interval(errors: Errors) -> Interval:
    """The median of all known values; NaN = not known."""
    errors = errors[np.isfinite(errors).any(-1)]
    if not len(errors):
        return _nothing()
    known = np.isfinite(errors)
    frame = np.nonzero(known)[0]
    order = np.argsort(errors[known], kind="stable")
    values, frame = errors[known][order], frame[order]
    replicates = np.concatenate([weighted_medians(values, w[:, frame]) for w in _chunks(len(errors), len(values))])
    return _interval(float(np.median(values)), replicates, errors)


def weighted_medians(
    values: Float[np.ndarray, " labels"], weights: Int[np.ndarray, "replicates labels"]
) -> Float[np.ndarray, " replicates"]:
    """The median of sorted `values`, each taken as many times as its weight says."""
    below = np.cumsum(weights, axis=1, dtype=np.int64)
    count = below[:, -1]
    lower, upper = ((below <= rank[:, None]).sum(1) for rank in ((count - 1) // 2, count // 2))
    return (values[lower] + values[upper]) / 2


@lru_cache(maxsize=8)
def frame_weights(frames: int, seed: int = 0) -> Int[np.ndarray, "replicates frames"]:
    """How often each frame is drawn, when as many as there are are drawn with replacement; the same every time."""
    rng = np.random.default_rng(seed)
    replicates = int(np.clip(CELLS // frames, 200, REPLICATES))
    rows = (np.bincount(rng.integers(frames, size=frames), minlength=frames) for _ in range(replicates))
    return np.stack([row.astype(np.int32) for row in rows])


def _chunks(frames: int, labels: int) -> Iterator[Int[np.ndarray, "some frames"]]:
    weights, size = frame_weights(frames), max(1, 2_000_000 // labels)
    for start in range(0, len(weights), size):
        yield weights[start : start + size]


def _interval(value: float, replicates: Float[np.ndarray, " replicates"], errors: Errors) -> Interval:
    low, high = np.percentile(replicates, [50 - LEVEL / 2, 50 + LEVEL / 2]) if len(errors) > 1 else (np.nan, np.nan)
    return Interval(value, float(low), float(high), len(errors), int(np.isfinite(errors).sum()))


def _nothing() -> Interval:
    return Interval(np.nan, np.nan, np.nan, 0, 0)
