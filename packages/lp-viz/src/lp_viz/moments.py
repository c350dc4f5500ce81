"""Where in a video predictions are worst, as far as that can be told without labels."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lp_viz.rows import Rows, Span
from lp_viz.style import SlowMotion

Scores = Float[np.ndarray, " frames"]


def worst_moments(tables: Sequence[Rows], fps: float, options: SlowMotion) -> list[Span]:
    """The worst moments, none overlapping, in order of time.

    Args:
        tables: of the same frames; what one of them finds bad is bad.
        fps: frames per second.
        options: how many, how long, and what counts as bad.
    """
    jumps, doubts = zip(*map(frame_scores, tables), strict=True)
    jump, doubt = np.maximum.reduce(jumps), np.maximum.reduce(doubts)
    badness = {"jumps": jump, "unsure": doubt, "worst": np.maximum(_ranks(jump), _ranks(doubt))}[options.by]
    length = max(1, round(options.seconds * fps))
    found = pick(badness, length, options.moments)
    spans = [
        Span(start, min(start + length, len(badness)), f"worst {place + 1} of {len(found)}")
        for place, (start, _) in enumerate(found)
    ]
    return sorted(spans)


def frame_scores(rows: Rows) -> tuple[Scores, Scores]:
    """Of every frame: how far the keypoint that moved most has moved in pixels, and 1 − mean confidence."""
    jumps, doubts, before = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)], None
    for chunk in rows.chunks():
        joined = np.concatenate([chunk.keypoints[:1] if before is None else before, chunk.keypoints])
        moved = np.linalg.norm(np.diff(joined, axis=0), axis=-1)
        jumps.append(np.nan_to_num(moved).max(-1, initial=0).astype(np.float32))
        doubts.append((1 - np.nan_to_num(chunk.confidence).mean(-1)).astype(np.float32))
        before = chunk.keypoints[-1:]
    return np.concatenate(jumps), np.concatenate(doubts)


def pick(badness: Scores, length: int, count: int) -> list[tuple[int, int]]:
    """(first frame, worst frame) of at most `count` stretches of `length` frames that do not overlap, the worst first."""
    frames = len(badness)
    starts = np.clip(np.arange(frames) - length // 2, 0, max(frames - length, 0))
    left, found = np.array(badness, dtype=np.float64), []
    while len(found) < count and frames and np.isfinite(left.max()):
        worst = int(left.argmax())
        found.append((int(starts[worst]), worst))
        left[np.abs(starts - starts[worst]) < length] = -np.inf
    return found


def _ranks(values: Scores) -> Scores:
    """0 for the smallest, 1 for the largest; equals share a rank."""
    _, place = np.unique(values, return_inverse=True)
    return place / max(place.max(initial=0), 1)
