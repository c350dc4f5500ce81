"""Which frames: hard ones, unlike one another and what is labeled, apart in time, spread over the videos."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Indices = Int[np.ndarray, " candidates"]
Weights = Float[np.ndarray, " candidates"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Frames to choose from, of all videos.

    Attributes:
        video: number of the video.
        frame: number in it.
        hardness: 0 to 1.
        allowed: whether it may be chosen; others count only as frames to be covered.
    """

    video: Indices
    frame: Indices
    hardness: Weights
    allowed: Bool[np.ndarray, " candidates"]


def quotas(need: Sequence[float], room: Sequence[int], count: int) -> list[int]:
    """`count` shared out in proportion to `need`, no more than `room` each, at least one each if there are enough.

    Largest remainders; what one video has no room for goes to the others.
    """
    limit = np.array(room)
    count = min(count, int(limit.sum()))
    given = np.minimum(1, limit) if count >= (limit > 0).sum() else np.zeros(len(limit), int)
    weight = np.maximum(np.array(need, float), 1e-9)
    while given.sum() < count:
        free = given < limit
        share = count * weight / weight[free].sum()
        given[int(np.where(free, share - given, -np.inf).argmax())] += 1
    return given.tolist()


def choose(
    candidates: Candidates,
    similarity: Float[np.ndarray, "candidates candidates"],
    covered: Weights,
    quota: Sequence[int],
    gaps: Sequence[int],
) -> tuple[list[int], list[float]]:
    """Greedy: again and again the frame that covers most of what is hard and not covered yet.

    Maximises F(S) = Σ_t h_t · max(c_t, max_{s in S} h_s · similarity(t, s)), h the hardness and c what labeled frames cover.
    F is monotone and submodular; without quotas and gaps the greedy choice reaches at least 1 - 1/e of the best F
    (Nemhauser, Wolsey & Fisher, Mathematical Programming 1978). When no frame covers more, the one with the largest
    hardness · (1 - similarity to what is labeled or chosen) follows.

    Args:
        covered: per candidate its similarity to the labeled frame most like it.
        quota: per video how many frames at most.
        gaps: per video the number of frames that two choices are apart at least.

    Returns:
        Rows of the candidates in the order of choice, and how new each was: 1 - its own cover when it was chosen.
    """
    weight = candidates.hardness.astype(similarity.dtype)
    covers = similarity * weight[None]
    cover, seen = covered.astype(similarity.dtype), covered.astype(similarity.dtype)
    free, left = candidates.allowed & (np.array(quota)[candidates.video] > 0), list(quota)
    chosen, novelty = list[int](), list[float]()
    while free.any():
        gain = np.where(free, weight @ np.maximum(covers - cover[:, None], 0), -1.0)
        if gain.max() <= 0:
            gain = np.where(free, weight * (1 - seen.clip(0, 1)), -1.0)
        best = int(gain.argmax())
        video = int(candidates.video[best])
        chosen.append(best)
        novelty.append(float(1 - seen[best].clip(0, 1)))
        cover, seen = np.maximum(cover, covers[:, best]), np.maximum(seen, similarity[:, best])
        left[video] -= 1
        same = candidates.video == video
        near = np.abs(candidates.frame - candidates.frame[best]) < gaps[video]
        free &= ~(same & (near | (left[video] <= 0)))
        free[best] = False
    return chosen, novelty
