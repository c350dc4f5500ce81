"""Label tables with header rows scorer / bodyparts / coords, as DeepLabCut and Lightning Pose write them.

With several animals there is a row `individuals` behind the first.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import NOT_LABELED, VISIBLE, DataError

from lp_io.animals import keypoint_name

INDIVIDUALS = "individuals"
LEVELS = {3: ("scorer", "bodyparts", "coords"), 4: ("scorer", INDIVIDUALS, "bodyparts", "coords")}


@dataclass(frozen=True, slots=True)
class Table:
    """Column names and cells of a label file.

    Attributes:
        columns: (keypoint, coordinate) of every value column; with several animals, `<animal>/<part>` or a unique point.
        index: one image path per row, with forward slashes.
        values: NaN for an empty cell.
        owners: (individual, bodypart) of every value column; None if the file is of one animal.
    """

    source: Path
    scorer: str
    columns: tuple[tuple[str, str], ...]
    index: tuple[str, ...]
    values: Float[np.ndarray, "rows columns"]
    owners: tuple[tuple[str, str], ...] | None = None

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


def table_of(
    source: Path,
    columns: Sequence[tuple[str, ...]],
    index: Sequence[str],
    values: Float[np.ndarray, "rows columns"],
) -> Table:
    """A table from columns that have the levels (scorer, bodypart, coordinate), or an individual behind the scorer."""
    owners = None if len(columns[0]) == len(LEVELS[3]) else tuple((column[1], column[2]) for column in columns)
    names = [column[-2] for column in columns] if owners is None else [keypoint_name(*owner) for owner in owners]
    coords = [column[-1] for column in columns]
    return Table(source, columns[0][0], tuple(zip(names, coords, strict=True)), tuple(index), values, owners)


def header_levels(heads: Sequence[str]) -> tuple[str, ...] | None:
    """The names of the header rows, from the first cells of a file's first rows; None if it is another layout."""
    return next((levels for count, levels in LEVELS.items() if tuple(heads[:count]) == levels), None)


def read_header_table(path: Path) -> Table:
    """Read a label CSV with one or three index columns.

    Raises:
        DataError: missing, another layout, or rows of unequal length.
    """
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give the label file with data.labels=FILE.") from None
    except UnicodeDecodeError as e:
        raise DataError(f"{path} is not a text file; give a label CSV.") from e
    levels = header_levels([row[0] for row in rows[:4]])
    if levels is None:
        raise DataError(f"{path} is not a label table: its first rows must start with scorer, bodyparts and coords.")
    heads, body = rows[: len(levels)], rows[len(levels) :]
    first = next((i for i, cell in enumerate(heads[-1][1:], 1) if cell), len(heads[-1]))  # behind the index columns
    if not body:
        raise DataError(f"{path} has no labeled frame.")
    _check_widths(path, rows, len(heads[-1]))
    if first == len(heads[-1]):
        raise DataError(f"{path} has no column of a keypoint.")
    columns = list(zip(*(head[first:] for head in heads), strict=True))
    index = ["/".join(row[:first]).replace("\\", "/") for row in body]
    values = np.array([[_cell(path, row[0], c) for c in row[first:]] for row in body], dtype=np.float64)
    return table_of(path, columns, index, values)


def _check_widths(path: Path, rows: list[list[str]], width: int) -> None:
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
