"""Images that look alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from lp_core import LabelSet

from lp_viz.check.finding import Finding
from lp_viz.check.images import Look, Thumbnail

BLOCK = 5  # thumbnail pixels: the side of the square in which two images must differ to be different
SAME = 4.0  # grey values of difference below which two images show the same moment
ALIKE = 0.2  # of the difference of two ordinary images of the project: below, they look almost the same
NEIGHBOURS = 6  # images that each one is compared with closely
SAMPLES = 400  # pairs from which an ordinary difference is taken
DIFFERENT = 0.03  # of the size of a pose: labels farther apart are in conflict
PIXELS = 5.0  # px: and at least this


@dataclass(frozen=True, slots=True)
class Pair:
    """Rows `first` < `second`, and how far the images differ: 0 is equal, 1 is usual for the project."""

    first: int
    second: int
    difference: float
    same: bool


def difference(a: Thumbnail, b: Thumbnail) -> float:
    """Grey values: the mean difference in the square of `BLOCK` pixels where it is largest."""
    return float(cv2.blur(np.abs(a - b), (BLOCK, BLOCK)).max())


def alike(looks: Sequence[Look]) -> list[Pair]:
    """Pairs of images that look almost the same, the most similar first; images of other sizes are never alike."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, look in enumerate(looks):
        if look.thumbnail is not None and look.size is not None:
            groups.setdefault(look.size, []).append(row)
    found = [pair for rows in groups.values() for pair in _alike(looks, np.array(rows))]
    return sorted(found, key=lambda pair: pair.difference)


def _alike(looks: Sequence[Look], rows: np.ndarray) -> list[Pair]:
    if len(rows) < 2:
        return []
    thumbnails = [t for row in rows if (t := looks[row].thumbnail) is not None]
    usual = max(_usual(thumbnails), SAME)
    found = []
    for i, j in _nearest(np.stack([t.ravel() for t in thumbnails])):
        gap = difference(thumbnails[i], thumbnails[j])
        first, second = int(rows[i]), int(rows[j])
        same = looks[first].digest == looks[second].digest or gap <= min(SAME, ALIKE * usual)
        if same or gap <= ALIKE * usual:
            found.append(Pair(first, second, gap / usual, same))
    return found


def _usual(thumbnails: list[Thumbnail]) -> float:
    pairs = np.random.default_rng(0).integers(len(thumbnails), size=(SAMPLES, 2))
    gaps = [difference(thumbnails[i], thumbnails[j]) for i, j in pairs if i != j]
    return float(np.median(gaps)) if gaps else 0.0


def _nearest(flat: np.ndarray) -> list[tuple[int, int]]:
    """Pairs i < j of which one is among the `NEIGHBOURS` nearest of the other by mean squared difference."""
    squares = (flat**2).sum(1)
    distance = squares[:, None] + squares[None] - 2 * flat @ flat.T
    np.fill_diagonal(distance, np.inf)
    count = min(NEIGHBOURS, len(flat) - 1)
    near = np.argpartition(distance, count - 1, axis=1)[:, :count]
    return sorted({(min(i, int(j)), max(i, int(j))) for i in range(len(flat)) for j in near[i]})


def duplicate_findings(labels: LabelSet, pairs: Sequence[Pair], size: float) -> list[Finding]:
    """The same picture twice: with the same labels, or in conflict. `size`: px, of an ordinary pose."""
    found = []
    for pair in pairs:
        if not pair.same:
            continue
        apart = np.linalg.norm(labels.keypoints[pair.first] - labels.keypoints[pair.second], axis=-1)
        far = np.flatnonzero(np.nan_to_num(apart) > max(PIXELS, DIFFERENT * size))
        kind, other = ("conflict" if len(far) else "duplicate"), labels.images[pair.second]
        what = f"looks the same as {other}"
        if len(far):
            worst = int(np.nanargmax(apart))
            what += f", but {labels.keypoint_names[worst]} is {apart[worst]:.0f} px apart"
        keys = tuple(int(k) for k in far)
        value = float(np.nan_to_num(apart).max())
        found.append(Finding(kind=kind, what=what, row=pair.first, other=pair.second, keypoints=keys, value=value))
    return found


def leakage_findings(labels: LabelSet, pairs: Sequence[Pair], parts: Sequence[str]) -> list[Finding]:
    """Validation and test frames that look almost like a training frame: the error on them is too good.

    Args:
        parts: per row "train", "validation", "test" or "unused".
    """
    seen: dict[int, Finding] = {}
    for pair in pairs:
        for held, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if parts[held] in ("validation", "test") and parts[other] == "train" and held not in seen:
                what = f"{parts[held]} frame, looks almost like the training frame {labels.images[other]}"
                seen[held] = Finding(kind="leakage", what=what, row=held, other=other, value=1 - pair.difference)
    return list(seen.values())
