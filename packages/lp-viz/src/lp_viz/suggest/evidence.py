"""What a run's files say about every frame of a video: one number per keypoint, larger is worse."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import DataError, PoseTable
from lp_io import read_metric, read_predictions

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
    """px: standard deviation of a keypoint over several runs, both axes together.

    Raises:
        DataError: the tables differ in frames or keypoints.
    """
    for table, path in zip(tables, paths, strict=True):
        if table.keypoint_names != tables[0].keypoint_names or len(table.index) != len(tables[0].index):
            raise DataError(
                f"{path} and {paths[0]} differ in frames or keypoints; predict the same video with both runs."
            )
    points = np.stack([table.keypoints for table in tables])
    return np.sqrt(points.var(0).sum(-1))


def read_ensemble(path: Path, table: PoseTable) -> Values:
    """px: the same from the columns x_ens_var and y_ens_var that `lpose ensemble` writes.

    Raises:
        DataError: there is no such file, or it has no such columns, or is of other frames.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; make it with lpose ensemble, or give runs=[A,B].")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    columns = {(name, coord): i for i, (name, coord) in enumerate(zip(rows[1], rows[2], strict=True))}
    wanted = [[columns.get((name, f"{axis}_ens_var")) for axis in "xy"] for name in table.keypoint_names]
    places = [i for pair in wanted for i in pair if i is not None]
    if len(places) != 2 * len(table.keypoint_names) or len(rows) - 3 != len(table.index):
        raise DataError(f"{path} is not what lpose ensemble wrote of the same video; make it again.")
    cells = np.array([[float(row[i]) if row[i] else np.nan for i in places] for row in rows[3:]])
    return np.sqrt(cells.reshape(len(cells), -1, 2).sum(-1))


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
