"""Errors as DeepLabCut reports them, for comparison with its tables."""

from dataclasses import dataclass

import numpy as np
from lp_core import LabelSet

from lp_train.animal_metrics import dlc_match, dlc_rmse
from lp_train.animals import apart
from lp_train.found import Found
from lp_train.metrics import pixel_error


@dataclass(frozen=True, slots=True)
class DeepLabCutScores:
    """What DeepLabCut 3 calls RMSE, which is a mean distance in pixels; None if nothing can be compared.

    Several animals are paired as it pairs them (`dlc_match`), and animals that were missed do not enter it. Points that a
    frame has once are left out there.

    Attributes:
        rmse: of all keypoints.
        rmse_pcutoff: of those with a confidence of `pcutoff` or more.
    """

    rmse: float | None
    rmse_pcutoff: float | None
    pcutoff: float

    @classmethod
    def of(cls, found: Found, labels: LabelSet, rows: np.ndarray, pcutoff: float) -> "DeepLabCutScores":
        """Of the frames `rows`."""
        every, sure = (_rmse(found, labels, rows, limit) for limit in (0.0, pcutoff))
        return cls(every, sure, pcutoff)

    def __str__(self) -> str:
        every, sure = (f"{value:.2f}" if value is not None else "none" for value in (self.rmse, self.rmse_pcutoff))
        return f"DeepLabCut's rmse {every} px, from confidence {self.pcutoff:g} on {sure} px"


def dlc_by_split(found: Found, labels: LabelSet, split: np.ndarray, pcutoff: float) -> dict[str, DeepLabCutScores]:
    """For each part of the split."""
    names = dict.fromkeys(split.tolist())
    return {str(name): DeepLabCutScores.of(found, labels, split == name, pcutoff) for name in names}


def _rmse(found: Found, labels: LabelSet, rows: np.ndarray, pcutoff: float) -> float | None:
    values = (found.keypoints[rows], found.confidence[rows], labels.keypoints[rows])
    if labels.animals is None:
        error = pixel_error(values[0], values[2])
        known = error[np.isfinite(error) & (values[1] >= pcutoff)]
        return float(known.mean()) if known.size else None
    points, sure, truth = (apart(part, labels.animals) for part in values)
    value = dlc_rmse(dlc_match(points, truth), sure, pcutoff)
    return value if np.isfinite(value) else None
