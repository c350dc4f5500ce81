"""Pixels, likelihoods and variances made comparable: normal scores of ranks."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float
from lp_core import ConfigError, nearest

from lp_viz.suggest.evidence import CRITERIA, Evidence

SHARP = (
    4  # the frame in the middle counts 1/16 of the hardest; on the demo, frames so chosen have the largest true errors
)
PerFrame = Float[np.ndarray, " frames"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one video.

    Attributes:
        parts: per criterion the normal score of every frame; NaN = nothing known.
        total: their mean.
        rank: 0 to 1: that of `total` among all frames of all videos, as a share.
    """

    parts: dict[str, PerFrame]
    total: PerFrame
    rank: PerFrame

    @property
    def hardness(self) -> PerFrame:
        """0 to 1: the rank to the power `SHARP`."""
        return self.rank**SHARP


def criteria_of(evidence: Sequence[Evidence], by: Sequence[str] = ()) -> list[str]:
    """Those in `by`, or all that are known of any video.

    Raises:
        ConfigError: a name that does not exist, or of which nothing is known.
    """
    known = [name for name in CRITERIA if any(name in one.values for one in evidence)]
    for name in by:
        if name not in CRITERIA:
            raise ConfigError(f"by={name} is not known{nearest(name, list(CRITERIA))} There are {', '.join(CRITERIA)}.")
        if name not in known:
            raise ConfigError(f"by={name}: the run has no such values of these videos; there are {', '.join(known)}.")
    return list(by) or known


def score(evidence: Sequence[Evidence], by: Sequence[str] = ()) -> list[Scores]:
    """For every video the scores of its frames.

    A frame's raw value is the mean over its keypoints. Raw values of all frames of all videos are ranked together, and rank
    r of N becomes z = Φ⁻¹((r - ½) / N), so that units, scales and outliers do not count; the score is the mean of z over the
    criteria.
    """
    lengths = [len(one.table.index) for one in evidence]
    ends = np.cumsum(lengths)[:-1]
    parts = {name: normal_scores(_pooled(evidence, name, lengths)) for name in criteria_of(evidence, by)}
    stacked = np.stack(list(parts.values()))
    known = np.isfinite(stacked)
    total = np.where(known, stacked, 0).sum(0) / np.maximum(known.sum(0), 1)
    rank = (ranks(total) - 0.5) / len(total)
    split = {name: np.split(values, ends) for name, values in parts.items()}
    return [
        Scores({name: values[n] for name, values in split.items()}, own, hard)
        for n, (own, hard) in enumerate(zip(np.split(total, ends), np.split(rank, ends), strict=True))
    ]


def _pooled(evidence: Sequence[Evidence], name: str, lengths: Sequence[int]) -> PerFrame:
    return np.concatenate([
        _per_frame(one.values[name]) if name in one.values else np.full(length, np.nan)
        for one, length in zip(evidence, lengths, strict=True)
    ])  # fmt: skip


def _per_frame(values: Float[np.ndarray, "frames keypoints"]) -> PerFrame:
    known = np.isfinite(values)
    mean = np.where(known, values, 0).sum(1) / np.maximum(known.sum(1), 1)
    return np.where(known.any(1), mean, np.nan)


def normal_scores(values: PerFrame) -> PerFrame:
    """Φ⁻¹((rank - ½) / N) of what is known; equal values share their mean rank."""
    out, known = np.full(len(values), np.nan), np.isfinite(values)
    if known.any():
        quantiles, where = np.unique((ranks(values[known]) - 0.5) / known.sum(), return_inverse=True)
        out[known] = np.array([NormalDist().inv_cdf(q) for q in quantiles])[where]
    return out


def ranks(values: PerFrame) -> PerFrame:
    """1 for the smallest; equal values share their mean rank."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[where]
