"""All checks of one project."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lp_core import DataError, LabelSet, label_formats
from lp_io.labels import detect_format

from lp_viz.check.finding import Finding, ordered
from lp_viz.check.images import look_at
from lp_viz.check.likeness import alike, duplicate_findings, leakage_findings
from lp_viz.check.poses import pose_columns, pose_findings, pose_size
from lp_viz.check.table_findings import count_findings, image_findings, outside_findings, spot_findings


@dataclass(frozen=True, slots=True)
class Checked:
    """The findings, ordered, and what could not be checked, one clause each."""

    findings: list[Finding]
    skipped: list[str]


def labels_to_check(root: Path | str, format: str = "auto", file: str | None = None) -> LabelSet:
    """The labels as the file has them; unlike `lp_io.read_labels`, whatever is wrong with single labels or images.

    Raises:
        DataError: there is no project, or its tables cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"data.root={root} is not a directory; give the directory of a labeled project.")
    labels = label_formats[detect_format(root) if format == "auto" else format]().build().read(root, file)
    if not len(labels):
        raise DataError(f"{labels.source} has no labeled frame.")
    return labels


def check_labels(labels: LabelSet, parts: Sequence[str] | None = None) -> Checked:
    """Everything that looks wrong.

    Args:
        parts: per row "train", "validation", "test" or "unused", to look for leakage; None if there is no split.
    """
    looks = look_at([labels.root / name for name in labels.images])
    poses, reason = pose_findings(labels)
    pairs = alike(looks)
    columns = pose_columns(labels)
    size = pose_size(_labeled(labels.keypoints[:, columns].reshape(-1, columns.shape[1], 2)))
    outside = outside_findings(labels, looks)
    known = {(one.row, one.keypoints) for one in outside}  # what is outside is far off too
    poses = [one for one in poses if (one.row, one.keypoints) not in known]
    found = [
        *image_findings(labels, looks), *outside, *spot_findings(labels), *count_findings(labels), *poses,
        *duplicate_findings(labels, pairs, size),
    ]  # fmt: skip
    if parts is not None:
        found += leakage_findings(labels, pairs, parts)
    return Checked(ordered(found), [reason] if reason else [])


def _labeled(poses: np.ndarray) -> np.ndarray:
    """Those with two labels or more, or a single point where there are none."""
    kept = poses[np.isfinite(poses).all(-1).sum(1) >= 2]
    return kept if len(kept) else np.zeros((1, 1, 2))
