"""Label tables with header rows scorer / bodyparts / coords, as DeepLabCut and Lightning Pose write them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import NOT_LABELED, VISIBLE, DataError

MULTI = "individuals"


@dataclass(frozen=True, slots=True)
class Table:
    """Column names and cells of a label file.

    Attributes:
        columns: (bodypart, coordinate) of every value column.
        index: one image path per row, with forward slashes.
        values: NaN for an empty cell.
    """

    source: Path
    scorer: str
    columns: tuple[tuple[str, str], ...]
    index: tuple[str, ...]
    values: Float[np.ndarray, "rows columns"]

    def keypoints(self) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """Names, coordinates (rows, keypoints, 2) and visibility (rows, keypoints).

        Raises:
            DataError: duplicate or incomplete keypoints, or x without y.
        """
        if len(set(self.columns)) != len(self.columns):
            twice = next(c for i, c in enumerate(self.columns) if c in self.columns[:i])
            raise DataError(f"{self.source} has the column {twice[0]} {twice[1]} twice; remove one.")
        names = tuple(dict.fromkeys(name for name, _ in self.columns))
        where = {column: i for i, column in enumerate(self.columns)}
        for name in names:
            if not {(name, "x"), (name, "y")} <= where.keys():
                raise DataError(f"{self.source}: keypoint {name} needs both an x and a y column.")
        points = np.stack([self.values[:, [where[n, "x"], where[n, "y"]]] for n in names], axis=1)
        self._check_pairs(points, names)
        visibility = np.where(np.isfinite(points).all(-1), VISIBLE, NOT_LABELED)
        for k, name in enumerate(names):
            if (name, "visible") in where:
                flags = self.values[:, where[name, "visible"]]
                visibility[:, k] = np.where(np.isfinite(flags), flags, visibility[:, k])
        return names, points, visibility.astype(np.int64)

    def _check_pairs(self, points: np.ndarray, names: Sequence[str]) -> None:
        half = np.isfinite(points).sum(-1) == 1
        if half.any():
            row, k = np.argwhere(half)[0]
            raise DataError(
                f"{self.source}: {self.index[row]} has only one of x and y for {names[k]}; fill in both or neither."
            )


def read_header_table(path: Path) -> Table:
    """Read a label CSV with one or three index columns.

    Raises:
        DataError: missing, another layout, several animals, or rows of unequal length.
    """
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give the label file with data.labels=FILE.") from None
    except UnicodeDecodeError as e:
        raise DataError(f"{path} is not a text file; give a label CSV.") from e
    heads = [row[0] for row in rows[:4]]
    if MULTI in heads:
        raise DataError(
            f"{path} has labels of several animals, which are not supported yet; give a single-animal file."
        )
    if heads[:3] != ["scorer", "bodyparts", "coords"]:
        raise DataError(f"{path} is not a label table: its first rows must start with scorer, bodyparts and coords.")
    first = next((i for i, cell in enumerate(rows[2][1:], 1) if cell), len(rows[2]))  # behind the index columns
    body = rows[3:]
    if not body:
        raise DataError(f"{path} has no labeled frame.")
    _check_widths(path, rows)
    return Table(
        source=path,
        scorer=rows[0][first],
        columns=tuple(zip(rows[1][first:], rows[2][first:], strict=True)),
        index=tuple("/".join(row[:first]).replace("\\", "/") for row in body),
        values=np.array([[_cell(path, row[0], c) for c in row[first:]] for row in body], dtype=np.float64),
    )


def _check_widths(path: Path, rows: list[list[str]]) -> None:
    width = len(rows[2])
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise DataError(
                f"{path}: line {number} has {len(row)} columns where the header has {width}; repair the line."
            )


def _cell(path: Path, image: str, text: str) -> float:
    try:
        return float(text) if text.strip() else np.nan
    except ValueError:
        raise DataError(f"{path}: {text!r} in the row of {image} is not a number.") from None
