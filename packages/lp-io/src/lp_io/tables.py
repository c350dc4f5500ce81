"""Prediction and metric tables in the reference's CSV layouts."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float
from lp_core import Animals, DataError, PoseTable

from lp_io.animals import animals_of, named_pairs
from lp_io.files import atomic_path
from lp_io.header_table import LEVELS, header_levels

COORDS = ("x", "y", "likelihood")


def _number(value: float) -> str:
    return "" if value != value else repr(float(value))


def pose_columns(names: Sequence[str], scorer: str, animals: Animals | None) -> list[tuple[str, ...]]:
    """The header of every column: scorer, individual if there are several, bodypart, coordinate."""
    named = named_pairs(animals) if animals else [(name,) for name in names]
    return [(scorer, *name, coord) for name in named for coord in COORDS]


def pose_table(
    source: Path,
    columns: Sequence[tuple[str, ...]],
    values: Float[np.ndarray, "rows columns"],
    index: Sequence[str | int],
    split: Sequence[str] | None = None,
) -> PoseTable:
    """A table from columns named like `pose_columns`; those of other coordinates are passed over.

    Raises:
        DataError: a keypoint without x, y and likelihood, or an animal without a part that another has.
    """
    kept = [i for i, column in enumerate(columns) if column[-1] in COORDS]
    if not kept or [columns[i][-1] for i in kept] != [*COORDS] * (len(kept) // 3):
        raise DataError(f"{source} is not a prediction table: each keypoint needs x, y and likelihood.")
    points = values[:, kept].reshape(len(values), len(kept) // 3, 3)
    names, animals = tuple(columns[i][-2] for i in kept[::3]), None
    if len(columns[0]) == len(LEVELS[4]):
        pairs = [(columns[i][1], columns[i][2]) for i in kept[::3]]
        animals = animals_of(source, pairs)
        points = points[:, [pairs.index(pair) for pair in (named_pairs(animals) if animals else pairs)]]
        names = animals.keypoint_names if animals else names
    return PoseTable(
        keypoint_names=names, index=_numbers(index), keypoints=points[..., :2], confidence=points[..., 2],
        split=tuple(split) if split is not None else None, scorer=columns[0][0], animals=animals,
    )  # fmt: skip


def _numbers(index: Sequence[str | int]) -> tuple[str, ...] | tuple[int, ...]:
    if all(isinstance(row, int) or row.isdigit() for row in index):
        return tuple(map(int, index))
    return tuple(map(str, index))


class PredictionWriter:
    """Writes a prediction table row by row; the file appears under its name when it is complete.

    Three header rows (scorer, bodyparts, coords), then one row per frame: index, and x, y, likelihood per keypoint in
    pixels of the original frame; NaN is an empty cell. With `animals` there is a row individuals behind the first, as in
    DeepLabCut's tables, and unique points are under the individual `single`.
    """

    def __init__(
        self,
        path: Path | str,
        names: Sequence[str],
        scorer: str,
        *,
        with_split: bool = False,
        animals: Animals | None = None,
    ) -> None:
        self._columns = pose_columns(names, scorer, animals)
        self._atomic, self._with_split = atomic_path(path), with_split

    def __enter__(self) -> "PredictionWriter":
        self._file = self._atomic.__enter__().open("w", newline="")
        self._csv = csv.writer(self._file, lineterminator="\n")
        titles = LEVELS[len(self._columns[0])]
        for title, cells in zip(titles, zip(*self._columns, strict=True), strict=True):
            last = ["set" if title == "scorer" else ""] if self._with_split else []
            self._csv.writerow([title, *cells, *last])
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
    split = table.split is not None
    with PredictionWriter(path, table.keypoint_names, table.scorer, with_split=split, animals=table.animals) as writer:
        writer.write_rows(table.index, table.keypoints, table.confidence, table.split)


def table_layout(path: Path, rows: Sequence[Sequence[str]]) -> tuple[list[Sequence[str]], list[int]]:
    """The header rows of a prediction table, from its first four, and the numbers of its columns x, y and likelihood.

    Raises:
        DataError: another layout.
    """
    levels = header_levels([row[0] if row else "" for row in rows])
    heads = list(rows[: len(levels)]) if levels else []
    kept = [i for i, cell in enumerate(heads[-1]) if cell in COORDS] if heads else []
    if not kept:
        raise DataError(
            f"{path} is not a prediction table: its first column must begin with scorer, bodyparts and coords, and there must "
            "be columns x, y and likelihood."
        )
    return heads, kept


def read_predictions(path: Path | str) -> PoseTable:
    """Read a table in the reference's (or DeepLabCut's, or the ensemble Kalman smoother's) layout, of one animal or several:
    of each keypoint the columns x, y and likelihood, whatever others there are.

    Raises:
        DataError: missing, or another layout.
    """
    path = Path(path)
    try:
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; predict the video first.") from None
    heads, kept = table_layout(path, rows[:4])
    body = rows[len(heads) :]
    try:
        values = np.array([[float(row[i]) if row[i] else np.nan for i in kept] for row in body])
        columns = [tuple(head[i] for head in heads) for i in kept]
    except (ValueError, IndexError) as e:
        raise DataError(f"{path} holds a cell that is not a number, or a line that is too short: {e}.") from e
    split = [row[-1] for row in body] if heads[0][-1] == "set" else None
    return pose_table(path, columns, values.reshape(len(body), len(kept)), [row[0] for row in body], split)


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
