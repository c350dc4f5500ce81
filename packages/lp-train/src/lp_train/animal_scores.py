"""How well the animals of labeled frames were found, in one line."""

from dataclasses import dataclass

import numpy as np
from lp_core import LabelSet, PoseTable

from lp_train.animal_metrics import average_precision, identity_accuracy, match, present
from lp_train.animals import apart
from lp_train.box_metrics import box_precision
from lp_train.found import Found

NEAR = 0.5  # of the diagonal of a typical animal's box: a predicted animal further off is another one


@dataclass(frozen=True, slots=True)
class AnimalScores:
    """Of the frames of one part of the split.

    Attributes:
        animals: labeled.
        missed, invented: labeled animals that were not found, and found ones that are nobody's.
        map, mar: mean average precision and recall of object keypoint similarity, in percent.
        box_map, box_mar: of the detector's boxes, by overlap; None without a detector.
        identity: percentage of the paired keypoints that are said to be the right individual's; None if nobody says.
    """

    animals: int
    missed: int
    invented: int
    map: float
    mar: float
    box_map: float | None = None
    box_mar: float | None = None
    identity: float | None = None

    @classmethod
    def of(
        cls, table: Found | PoseTable, labels: LabelSet, rows: np.ndarray, *, identity: bool = False
    ) -> "AnimalScores":
        """Of the frames `rows`.

        Args:
            identity: the rows of `table` are meant to be the individuals of the labels.
        """
        assert labels.animals is not None
        found, sure, truth = (
            apart(values[rows], labels.animals) for values in (table.keypoints, table.confidence, labels.keypoints)
        )
        precision, matched = average_precision(found, sure, truth), match(found, truth, NEAR * _diagonal(truth))
        boxes, right = None, identity_accuracy(matched) if identity else np.full(1, np.nan)
        if isinstance(table, Found) and table.boxes:
            boxes = box_precision(table.boxes.found[rows], table.boxes.scores[rows], table.boxes.truth[rows])
        return cls(
            int(present(truth).sum()), matched.missed, matched.invented, precision.map, precision.mar,
            box_map=boxes.map if boxes else None,
            box_mar=boxes.mar if boxes else None,
            identity=float(np.nanmean(right)) if np.isfinite(right).any() else None,
        )  # fmt: skip

    def __str__(self) -> str:
        found = f"{self.animals - self.missed} of {self.animals} animals found, {self.invented} invented"
        boxes = "" if self.box_map is None else f", boxes mAP {self.box_map:.1f}, mAR {self.box_mar:.1f}"
        identity = "" if self.identity is None else f", right individual {self.identity:.1f}%"
        return f"mAP {self.map:.1f}, mAR {self.mar:.1f}, {found}{boxes}{identity}"


def scores_by_split(
    table: Found | PoseTable, labels: LabelSet, split: np.ndarray, *, identity: bool = False
) -> dict[str, AnimalScores]:
    """For each part of the split; nothing where a frame has one animal."""
    if labels.animals is None:
        return {}
    names = dict.fromkeys(split.tolist())
    return {str(name): AnimalScores.of(table, labels, split == name, identity=identity) for name in names}


def _diagonal(truth: np.ndarray) -> float:
    """Of the box of a typical animal, in pixels."""
    whole = truth[np.isfinite(truth).all(-1).sum(-1) >= 2]
    return (
        float(np.median(np.linalg.norm(np.nanmax(whole, 1) - np.nanmin(whole, 1), axis=-1))) if len(whole) else np.inf
    )
