"""Prediction and metric tables in the reference's CSV layouts."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float
from lp_core import DataError, PoseTable

from lp_io.files import atomic_path

COORDS = ("x", "y", "likelihood")


def _number(value: float) -> str:
    return "" if value != value else repr(float(value))


class PredictionWriter:
    """Writes a prediction table row by row; the file appears under its name when it is complete.

    Three header rows (scorer, bodyparts, coords), then one row per frame: index, and x, y, likelihood per keypoint in
    pixels of the original frame; NaN is an empty cell.
    """

    def __init__(self, path: Path | str, names: Sequence[str], scorer: str, *, with_split: bool = False) -> None:
        self._atomic = atomic_path(path)
        self._names, self._scorer, self._with_split = tuple(names), scorer, with_split

    def __enter__(self) -> "PredictionWriter":
        self._file = self._atomic.__enter__().open("w", newline="")
        self._csv = csv.writer(self._file, lineterminator="\n")
        extra = [["set"], [""], [""]] if self._with_split else [[], [], []]
        n = len(self._names)
        self._csv.writerow(["scorer", *[self._scorer] * (3 * n), *extra[0]])
        self._csv.writerow(["bodyparts", *[name for name in self._names for _ in COORDS], *extra[1]])
        self._csv.writerow(["coords", *COORDS * n, *extra[2]])
        return self

    def write(
        self,
        start: int,
        keypoints: Float[np.ndarray, "frames keypoints 2"],
        confidence: Float[np.ndarray, "frames keypoints"],
    ) -> None:
        """Append rows `start`, `start + 1`, …"""
        self.write_rows(range(start, start + len(keypoints)), keypoints, confidence)

    def write_rows(
        self,
        index: Sequence[int | str],
        keypoints: np.ndarray,
        confidence: np.ndarray,
        split: Sequence[str] | None = None,
    ) -> None:
        """Append rows under the names `index`, with the part of the split each belongs to."""
        values = np.concatenate([keypoints, confidence[..., None]], axis=-1).reshape(len(keypoints), -1)
        for row, (name, numbers) in enumerate(zip(index, values.tolist(), strict=True)):
            self._csv.writerow([name, *map(_number, numbers), *([split[row]] if split else [])])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as e:
            self._atomic.__exit__(type(e), e, e.__traceback__)
            raise
        self._atomic.__exit__(kind, error, trace)


def write_predictions(path: Path | str, table: PoseTable) -> None:
    """Write a whole table, with the last column `set` if it knows the split."""
    with PredictionWriter(path, table.keypoint_names, table.scorer, with_split=table.split is not None) as writer:
        writer.write_rows(table.index, table.keypoints, table.confidence, table.split)


def read_predictions(path: Path | str) -> PoseTable:
    """Read a table in the reference's (or DeepLabCut's single-animal, or the ensemble Kalman smoother's) layout: of each
    keypoint the columns x, y and likelihood, whatever others there are.

    Raises:
        DataError: missing, or another layout.
    """
    try:
        with Path(path).open(newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; predict the video first.") from None
    columns = [i for i, cell in enumerate(rows[2]) if cell in COORDS] if len(rows) > 2 else []
    count = len(columns) // 3
    if not count or rows[2][0] != "coords" or [rows[2][i] for i in columns] != [*COORDS] * count:
        raise DataError(f"{path} is not a prediction table: its third row must be coords,x,y,likelihood,…")
    has_split = rows[0][-1] == "set"
    body = rows[3:]
    try:
        values = np.array([[float(row[i]) if row[i] else np.nan for i in columns] for row in body])
    except ValueError as e:
        raise DataError(f"{path} holds a cell that is not a number: {e}.") from e
    values = values.reshape(len(body), count, 3)
    index = tuple(row[0] for row in body)
    return PoseTable(
        keypoint_names=tuple(rows[1][i] for i in columns[::3]),
        index=tuple(map(int, index)) if all(i.isdigit() for i in index) else index,
        keypoints=values[..., :2],
        confidence=values[..., 2],
        split=tuple(row[-1] for row in body) if has_split else None,
        scorer=rows[0][1],
    )


def write_metric(
    path: Path | str,
    names: Sequence[str],
    values: Float[np.ndarray, "frames keypoints"],
    index: Sequence[int | str],
    split: Sequence[str] | None = None,
) -> None:
    """Write one number per frame and keypoint: one header row with the names, and `set` if the split is known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", *names, *(["set"] if split else [])])
    for row, (name, numbers) in enumerate(zip(index, values.tolist(), strict=True)):
        writer.writerow([name, *map(_number, numbers), *([split[row]] if split else [])])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue())
