"""How well the animals of labeled frames were found, in one line."""

from dataclasses import dataclass

import numpy as np
from lp_core import LabelSet, PoseTable

from lp_train.animal_metrics import average_precision, match, present

NEAR = 0.5  # of the diagonal of a typical animal's box: a predicted animal further off is another one


@dataclass(frozen=True, slots=True)
class AnimalScores:
    """Of the frames of one part of the split.

    Attributes:
        animals: labeled.
        missed, invented: labeled animals that were not found, and found ones that are nobody's.
        map, mar: mean average precision and recall of object keypoint similarity, in percent.
    """

    animals: int
    missed: int
    invented: int
    map: float
    mar: float

    @classmethod
    def of(cls, table: PoseTable, labels: LabelSet, rows: np.ndarray) -> "AnimalScores":
        """Of the frames `rows`."""
        animals = labels.animals
        assert animals is not None
        shape = (int(rows.sum()), len(animals.individuals), len(animals.parts))
        found, sure, truth = (
            values[rows, : animals.owned].reshape(*shape, *values.shape[2:])
            for values in (table.keypoints, table.confidence, labels.keypoints)
        )
        precision, matched = average_precision(found, sure, truth), match(found, truth, NEAR * _diagonal(truth))
        return cls(int(present(truth).sum()), matched.missed, matched.invented, precision.map, precision.mar)

    def __str__(self) -> str:
        found = f"{self.animals - self.missed} of {self.animals} animals found, {self.invented} invented"
        return f"mAP {self.map:.1f}, mAR {self.mar:.1f}, {found}"


def scores_by_split(table: PoseTable, labels: LabelSet, split: np.ndarray) -> dict[str, AnimalScores]:
    """For each part of the split; nothing where a frame has one animal."""
    if labels.animals is None:
        return {}
    return {str(name): AnimalScores.of(table, labels, split == name) for name in dict.fromkeys(split.tolist())}


def _diagonal(truth: np.ndarray) -> float:
    """Of the box of a typical animal, in pixels."""
    whole = truth[np.isfinite(truth).all(-1).sum(-1) >= 2]
    return (
        float(np.median(np.linalg.norm(np.nanmax(whole, 1) - np.nanmin(whole, 1), axis=-1))) if len(whole) else np.inf
    )
