"""What a run's files say about every frame of a video: one number per keypoint, larger is worse."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import DataError, PoseTable
from lp_io import read_metric, read_predictions
from lp_io.spread import spread_of_variance

from lp_viz.review.tables import read_numbers, spread_of

Values = Float[np.ndarray, "frames keypoints"]
CRITERIA = {  # name: what the table of suggestions calls it
    "ensemble": "runs disagree",
    "temporal": "jumps",
    "pca_singleview": "odd pose",
    "pca_multiview": "views disagree",
    "confidence": "unsure",
}
METRICS = {
    "temporal": "temporal_norm",
    "pca_singleview": "pca_singleview_error",
    "pca_multiview": "pca_multiview_error",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One video with its predictions.

    Attributes:
        values: per criterion; pixels of the original frame, and for `confidence` one minus it. NaN = nothing known.
    """

    video: Path
    table: PoseTable
    values: dict[str, Values]


def evidence_of(video: Path, predictions: Path, members: Sequence[Path] = (), ensemble: Path | None = None) -> Evidence:
    """Read a prediction table, and what lies beside it.

    Args:
        predictions: of the video, a row per frame; metric tables are beside it, as `lpose predict` writes them.
        members: tables of the same video by other runs, whose disagreement counts.
        ensemble: or a table that `lpose ensemble` wrote.

    Raises:
        DataError: a file is missing, or does not fit the others.
    """
    table = read_predictions(predictions)
    if table.index and not isinstance(table.index[0], int):
        raise DataError(f"{predictions} is of single images; suggestions are made for videos.")
    values = {"confidence": 1 - table.confidence, "temporal": _steps(table.keypoints)}
    for name, metric in METRICS.items():
        path = predictions.with_name(f"{predictions.stem}_{metric}.csv")
        if path.exists():
            found = metric_of(path, table)
            values[name] = _in_and_out(found) if name == "temporal" else found
    if members:
        values["ensemble"] = spread([table, *(read_predictions(member) for member in members)], [predictions, *members])
    elif ensemble:
        values["ensemble"] = read_ensemble(ensemble, table)
    return Evidence(video, table, {name: values[name] for name in CRITERIA if name in values})


def metric_of(path: Path, table: PoseTable) -> Values:
    """A metric table of the same frames and keypoints as `table`.

    Raises:
        DataError: it is of others.
    """
    found = read_metric(path)
    if found.names != table.keypoint_names or len(found.index) != len(table.index):
        raise DataError(
            f"{path} is not of the same frames and keypoints as the predictions; delete it, and predict again."
        )
    return found.values


def spread(tables: Sequence[PoseTable], paths: Sequence[Path]) -> Values:
    """px: how far several runs' predictions of a keypoint are apart.

    Raises:
        DataError: the tables differ in frames or keypoints.
    """
    for table, path in zip(tables, paths, strict=True):
        if table.keypoint_names != tables[0].keypoint_names or len(table.index) != len(tables[0].index):
            raise DataError(
                f"{path} and {paths[0]} differ in frames or keypoints; predict the same video with both runs."
            )
    points = np.stack([table.keypoints for table in tables])
    return spread_of_variance(points.var(0))


def read_ensemble(path: Path, table: PoseTable) -> Values:
    """px: the same from a table that `lpose ensemble` wrote.

    Raises:
        DataError: there is no such file, or it is of no ensemble, or of other frames.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; make it with lpose ensemble, or give runs=[A,B].")
    numbers = read_numbers(path)
    found = spread_of(numbers, table)
    if found is None or len(numbers.index) != len(table.index) or not np.isfinite(found).any():
        raise DataError(f"{path} is not what lpose ensemble wrote of the same video; make it again.")
    return found


def _steps(keypoints: Float[np.ndarray, "frames keypoints 2"]) -> Values:
    steps = np.full(keypoints.shape[:2], np.nan)
    steps[1:] = np.linalg.norm(np.diff(keypoints, axis=0), axis=-1)
    return _in_and_out(steps)


def _in_and_out(steps: Values) -> Values:
    """The mean of the steps into a frame and out of it: a frame that is wrong alone has both."""
    after = np.full_like(steps, np.nan)
    after[:-1] = steps[1:]
    known = np.isfinite(steps).astype(int) + np.isfinite(after)
    return np.where(known > 0, (np.nan_to_num(steps) + np.nan_to_num(after)) / np.maximum(known, 1), np.nan)
