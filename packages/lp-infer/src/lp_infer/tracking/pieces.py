"""Cut tracklets where the tracker may have gone from one animal to another. NumPy only."""

import numpy as np
from jaxtyping import Bool, Float, Int

from lp_infer.tracking import geometry
from lp_infer.tracking.tracklets import Tracklet

TOUCHING = 0.2  # in lengths of an animal: keypoints nearer to each other than that may change owners
STEP = 4  # poses of a piece, where animals touch


def doubtful(poses: Float[np.ndarray, "frames animals keypoints 2"], count: int) -> Bool[np.ndarray, "frames animals"]:
    """Poses that another one of the frame touches, or that an animal which is missing may lie under."""
    reach = TOUCHING * geometry.typical_length(poses)
    missing = (geometry.counts(poses) > 0).sum(1) < count
    out = np.repeat(missing[:, None], poses.shape[1], axis=1)
    for one, other in zip(*np.triu_indices(poses.shape[1], k=1), strict=True):
        apart = poses[:, one, :, None] - poses[:, other, None]
        near = ((apart**2).sum(-1) < reach**2).any((1, 2))  # NaN compares false
        out[near, one] = out[near, other] = True
    return out


def pieces_of(
    tracklets: list[Tracklet], doubt: Bool[np.ndarray, "frames animals"], step: int = STEP
) -> tuple[list[Tracklet], Int[np.ndarray, " pieces"]]:
    """Short pieces where there is doubt, whole stretches elsewhere; cut where poses are missing too.

    Returns:
        in order of their first frame, and for each the number of the piece that the tracker saw before it, −1 = none.
    """
    found = list[tuple[Tracklet, int]]()
    for tracklet in tracklets:
        unsure = doubt[tracklet.frames, tracklet.rows]
        change = (np.diff(unsure.astype(int)) != 0) | (np.diff(tracklet.frames) > 1)
        begin = np.concatenate([[0], np.flatnonzero(change) + 1])
        since = np.arange(len(tracklet)) - np.repeat(begin, np.diff(np.append(begin, len(tracklet))))
        cuts = np.flatnonzero((since == 0) | (unsure & (since % step == 0))).tolist()
        for start, stop in zip(cuts, [*cuts[1:], len(tracklet)], strict=True):
            found.append((tracklet.part(start, stop), len(found) - 1 if start else -1))
    order = sorted(range(len(found)), key=lambda i: (int(found[i][0].frames[0]), i))
    place = np.argsort(order)
    before = np.array([found[i][1] for i in order], dtype=int)
    return [found[i][0] for i in order], np.where(before >= 0, place[before], -1)
