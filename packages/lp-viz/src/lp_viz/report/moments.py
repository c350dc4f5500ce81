"""The moments of a video that most need a look."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SURE = 0.5  # a keypoint less sure is filtered by whoever analyses it; one as sure as this that errs is not
APART = 15  # frames between two moments
Values = Float[np.ndarray, "frames keypoints"]


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame that stands out.

    Attributes:
        kind: "jump", "fit" or "unsure".
        keypoint: the one that stands out most; its `value` is in pixels, or a confidence where unsure.
    """

    frame: int
    kind: str
    keypoint: int
    value: float


def jumps(keypoints: Float[np.ndarray, "frames keypoints 2"]) -> Values:
    """Pixels to where the keypoint was in the frame before; NaN in the first."""
    out = np.full(keypoints.shape[:2], np.nan)
    out[1:] = np.linalg.norm(np.diff(keypoints, axis=0), axis=-1)
    return out


def worst_moments(signals: Mapping[str, Values], confidence: Values, each: int) -> list[Moment]:
    """At most `each` of every kind, no two nearer than `APART` frames; in the order of the kinds, the worst first.

    Of jumps and of poses that fit badly, only sure keypoints count, as long as there are any: of at least `SURE`, or as sure
    as half of all where the network is never that sure.

    Args:
        signals: "jump" and, if there is one, "fit": pixels per frame and keypoint.
        confidence: of the same keypoints.
        each: how many of a kind.
    """
    found: list[Moment] = []
    known = confidence[np.isfinite(confidence)]
    trusted = confidence >= min(SURE, float(np.median(known)) if len(known) else 0.0)
    for kind, values in signals.items():
        sure = np.where(trusted, values, np.nan)
        if kind == "jump":
            sure[1:] = np.where(trusted[:-1], sure[1:], np.nan)
        found += _largest(kind, sure if np.isfinite(sure).any() else values, each, found)
    return found + [Moment(m.frame, m.kind, m.keypoint, -m.value) for m in _least_sure(confidence, each, found)]


def _largest(kind: str, values: Values, count: int, taken: list[Moment]) -> list[Moment]:
    score = np.where(np.isnan(values), -np.inf, values)
    worst = score.argmax(1)
    frames = list(_peaks(score.max(1), count, [m.frame for m in taken]))
    return [Moment(f, kind, int(worst[f]), float(values[f, worst[f]])) for f in frames]


def _least_sure(confidence: Values, count: int, taken: list[Moment]) -> list[Moment]:
    """By the mean over keypoints; a keypoint that was not found counts as 0."""
    if not np.isfinite(confidence).any():
        return []
    missing = np.nan_to_num(confidence)
    frames = list(_peaks(-missing.mean(1), count, [m.frame for m in taken]))
    return [Moment(f, "unsure", int(missing[f].argmin()), -float(missing[f].mean())) for f in frames]


def _peaks(score: Float[np.ndarray, " frames"], count: int, taken: list[int]) -> Iterator[int]:
    """Frames of the largest finite scores, the first first, apart from one another and from those taken."""
    free = np.isfinite(score)
    for frame in taken:
        free[max(0, frame - APART) : frame + APART + 1] = False
    for _ in range(count):
        if not free.any():
            return
        frame = int(np.where(free, score, -np.inf).argmax())
        free[max(0, frame - APART) : frame + APART + 1] = False
        yield frame
