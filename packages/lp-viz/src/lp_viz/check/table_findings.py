"""What the label table alone tells, with the sizes of the images."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from lp_core import LabelSet
from lp_io.labels import HALF

from lp_viz.check.finding import Finding
from lp_viz.check.images import Look

RARELY = 1 / 3  # of what the keypoint in the middle has
FEW = 5
SPOT = 0.01  # px: two labels nearer are on the same spot


def image_findings(labels: LabelSet, looks: Sequence[Look]) -> list[Finding]:
    """Images that cannot be read, and images listed more than once."""
    found = [
        Finding(kind="unreadable", what=look.problem.split(";")[0], row=row)
        for row, look in enumerate(looks)
        if look.problem
    ]
    for name, count in Counter(labels.images).items():
        if count > 1:
            found.append(Finding(kind="listed twice", what=f"{count} rows", row=labels.images.index(name), value=count))
    return found


def outside_findings(labels: LabelSet, looks: Sequence[Look]) -> list[Finding]:
    """Labels outside their image, which covers -0.5 to its width - 0.5."""
    found = []
    for row, look in enumerate(looks):
        if look.size is None:
            continue
        height, width = look.size
        over = np.maximum(-HALF - labels.keypoints[row], labels.keypoints[row] - (np.array([width, height]) - HALF))
        for k in np.flatnonzero(np.nan_to_num(over.max(-1)) > 0):
            x, y = labels.keypoints[row, k]
            what = f"{labels.keypoint_names[k]} is at ({x:g}, {y:g}) in an image of {width}×{height}"
            found.append(Finding(kind="outside", what=what, row=row, keypoints=(int(k),), value=float(over[k].max())))
    return found


def spot_findings(labels: LabelSet) -> list[Finding]:
    """Two keypoints of one frame with the same coordinates."""
    found = []
    for row, pose in enumerate(labels.keypoints):
        apart = np.abs(pose[:, None] - pose[None]).max(-1)
        for a, b in np.argwhere(np.triu(apart < SPOT, 1)):
            what = f"{labels.keypoint_names[a]} and {labels.keypoint_names[b]} are on the same spot"
            found.append(Finding(kind="identical", what=what, row=row, keypoints=(int(a), int(b))))
    return found


def count_findings(labels: LabelSet) -> list[Finding]:
    """Frames without a label, and keypoints with few."""
    labeled = labels.visibility > 0
    found = [
        Finding(kind="no label", what="no keypoint is labeled", row=int(row)) for row in np.flatnonzero(~labeled.any(1))
    ]
    counts = _counts(labels, labeled)
    usual = float(np.median([count for _, count, _ in counts]))
    for name, count, column in counts:
        what = f"{name} is labeled {count} times; half of the keypoints have {usual:.0f} or more"
        if count == 0:
            found.append(Finding(kind="never labeled", what=what, keypoints=(column,)))
        elif count < max(RARELY * usual, min(FEW, usual)):
            found.append(Finding(kind="rarely labeled", what=what, keypoints=(column,), value=usual / count))
    return found


def _counts(labels: LabelSet, labeled: np.ndarray) -> list[tuple[str, int, int]]:
    """(name, labels, column) of every keypoint; of several animals, of every part in all of them together."""
    each = labeled.sum(0)
    if labels.animals is None:
        return [(name, int(each[k]), k) for k, name in enumerate(labels.keypoint_names)]
    owned, parts = labels.animals.owned, labels.animals.parts
    of_parts = each[:owned].reshape(-1, len(parts)).sum(0)
    unique = [(name, int(each[owned + k]), owned + k) for k, name in enumerate(labels.animals.unique)]
    return [(name, int(of_parts[k]), k) for k, name in enumerate(parts)] + unique
