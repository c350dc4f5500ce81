"""Sentences about what a layout cannot keep."""

import numpy as np
from lp_core import NOT_LABELED, OCCLUDED, LabelSet


def hidden(labels: LabelSet, layout: str) -> list[str]:
    """Occluded keypoints without a position, and positions of keypoints that are flagged as not labeled."""
    placed = np.isfinite(labels.keypoints).all(-1)
    nowhere = int(((labels.visibility == OCCLUDED) & ~placed).sum())
    dropped = int(((labels.visibility == NOT_LABELED) & placed).sum())
    notes = []
    if nowhere:
        notes.append(f"{layout} has no occluded keypoints without a position: {nowhere} became not labeled.")
    if dropped:
        notes.append(f"{dropped} positions of keypoints flagged as not labeled were left out.")
    return notes


def occluded(labels: LabelSet, layout: str) -> list[str]:
    """Occluded keypoints with a position, for layouts without visibility."""
    count = int(((labels.visibility == OCCLUDED) & np.isfinite(labels.keypoints).all(-1)).sum())
    return [f"{layout} keeps no visibility: {count} occluded keypoints became plain labels."] if count else []


def across(labels: LabelSet, layout: str) -> list[str]:
    """Lines between an animal and a unique point, for layouts that have a skeleton for each."""
    if labels.animals is None:
        return []
    count = sum((a < labels.animals.owned) != (b < labels.animals.owned) for a, b in labels.skeleton)
    return [f"{layout} joins no animal with a unique point: {count} lines were left out."] if count else []
