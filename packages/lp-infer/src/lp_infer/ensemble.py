"""Several predictions of one video into one, and the table that the ensemble Kalman smoother writes. NumPy only.

Formulas and columns are those of the package `ensemble-kalman-smoother` 4.6.2 (single camera, its default variance).
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import DataError, PoseTable
from lp_io import atomic_path
from lp_io.spread import spread_of_variance

from lp_infer.smoothing import Smoothed, nan_median

SCORER = "ensemble-kalman_tracker"
COLUMNS = (
    "x", "y", "likelihood", "x_ens_median", "y_ens_median", "x_ens_var", "y_ens_var", "x_posterior_var",
    "y_posterior_var",
)  # fmt: skip
LEAST_CONFIDENCE = 1e-5  # of a keypoint that one member alone predicts
NOISE_WITHOUT_CONFIDENCE = 1000.0  # pixels²: at least, where the members' mean confidence is 0 or unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """What the members of an ensemble say together.

    Attributes:
        index: numbers of the frames (or names of the images) of the members' tables.
        keypoints: median or mean of (x, y) over the members, in pixels of the original frame; NaN = no member predicts.
        confidence: mean over the members that predict; NaN = none.
        variance: of x and y over the members, in pixels² (divided by their number); NaN = fewer than two predict.
    """

    keypoint_names: tuple[str, ...]
    index: tuple[str, ...] | tuple[int, ...]
    keypoints: Float[np.ndarray, "frames keypoints 2"]
    confidence: Float[np.ndarray, "frames keypoints"]
    variance: Float[np.ndarray, "frames keypoints 2"]

    @property
    def deviation(self) -> float:
        """How far the members are apart in the mean (`lp_io.spread`), in pixels; NaN if no keypoint has two members."""
        spread = spread_of_variance(self.variance)
        known = spread[np.isfinite(spread)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def noise(self) -> Float[np.ndarray, "frames keypoints 2"]:
        """Variance of the observation that the ensemble is, in pixels²; NaN where there is none.

        The members' variance divided by their mean confidence, or 1 / confidence where one member alone predicts.
        """
        confidence = self.confidence[..., None]
        sure = confidence > 0
        noise = np.where(
            np.isnan(self.variance),
            1 / np.fmax(confidence, LEAST_CONFIDENCE),
            self.variance / np.where(sure, confidence, LEAST_CONFIDENCE),
        )
        noise = np.where(sure, noise, np.fmax(noise, NOISE_WITHOUT_CONFIDENCE))
        return np.where(np.isnan(self.keypoints), np.nan, noise)


def combine(members: Mapping[str, PoseTable], *, mean: bool = False) -> Ensemble:
    """Combine one or more predictions of the same frames.

    Args:
        members: for each file, for messages, what it holds. A member without x or y leaves that keypoint to the others.
        mean: the mean of the members instead of their median.

    Raises:
        DataError: no member, no frame, or members with other keypoints or frames than the first.
    """
    if not members:
        raise DataError("There is no prediction table to combine; name at least one.")
    first = _same(members)
    keypoints = np.stack([table.keypoints for table in members.values()])
    present = np.isfinite(keypoints).all(-1)
    keypoints = np.where(present[..., None], keypoints, np.nan)
    confidence = np.where(present, np.stack([table.confidence for table in members.values()]), np.nan)
    centre = _nan_mean(keypoints)
    variance = _nan_mean((keypoints - centre) ** 2)
    return Ensemble(
        keypoint_names=first.keypoint_names,
        index=first.index,
        keypoints=centre if mean else nan_median(keypoints),
        confidence=_nan_mean(confidence),
        variance=np.where(present.sum(0)[..., None] > 1, variance, np.nan),
    )


def write_ensemble(path: Path | str, ensemble: Ensemble, smoothed: Smoothed | None = None) -> None:
    """Write the nine columns of `COLUMNS` per keypoint under the rows scorer, bodyparts and coords.

    x and y are the smoothed position, or the ensemble's where nothing was smoothed, whose posterior variance is left
    empty. The columns x_ens_var and y_ens_var hold `Ensemble.noise`; NaN is an empty cell. Pixels of the original frame.

    Raises:
        DataError: no room left on the disk.
    """
    position = ensemble.keypoints if smoothed is None else smoothed.keypoints
    posterior = np.full_like(position, np.nan) if smoothed is None else smoothed.variance
    parts = (position, ensemble.confidence[..., None], ensemble.keypoints, ensemble.noise, posterior)
    values = np.concatenate(parts, axis=-1).reshape(len(position), -1)
    names = ensemble.keypoint_names
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scorer", *[SCORER] * (len(names) * len(COLUMNS))])
        writer.writerow(["bodyparts", *chain.from_iterable([name] * len(COLUMNS) for name in names)])
        writer.writerow(["coords", *COLUMNS * len(names)])
        for name, row in zip(ensemble.index, values, strict=True):
            writer.writerow([name, *("" if value != value else value for value in row.tolist())])


def _same(members: Mapping[str, PoseTable]) -> PoseTable:
    """The first member, if all others have its keypoints and rows."""
    (file, first), *others = members.items()
    if first.animals:
        raise DataError(f"{file} has several animals, in no lasting order; track each prediction and compare those.")
    if not first.index:
        raise DataError(f"{file} holds no frames; predict the video again.")
    for other, table in others:
        if table.keypoint_names != first.keypoint_names:
            raise DataError(
                f"{file} has the keypoints {', '.join(first.keypoint_names)} but {other} has "
                f"{', '.join(table.keypoint_names)}; combine runs trained on the same keypoints."
            )
        if table.index != first.index:
            raise DataError(
                f"The {len(first.index)} rows of {file} are not the {len(table.index)} rows of {other}; "
                "combine predictions of the same video."
            )
    return first


def _nan_mean(values: Float[np.ndarray, "members *rest"]) -> Float[np.ndarray, "*rest"]:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # 0 / 0
        return np.where(known, values, 0.0).sum(0) / known.sum(0)
