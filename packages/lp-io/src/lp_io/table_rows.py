"""Prediction tables of any length, some rows at a time."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from lp_core import Animals, DataError, PoseTable

from lp_io.tables import pose_table, table_layout

HEADER = 4  # rows that a header has at most
BLOCK = 1 << 16  # bytes counted at a time


class PredictionRows:
    """The rows of a prediction table on disk, of which only some are in memory at a time.

    Args:
        path: a CSV file that `read_predictions` reads.

    Attributes:
        keypoint_names: in file order, or in that of `animals` where there are several.
        animals: as in `PoseTable`.

    Raises:
        DataError: missing, or another layout.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            with self.path.open(newline="") as file:
                first = list(islice(csv.reader(file), HEADER))
        except FileNotFoundError:
            raise DataError(f"{path} does not exist; predict the video first.") from None
        self._heads, self._kept = table_layout(self.path, first)
        self._columns = [tuple(head[i] for head in self._heads) for i in self._kept]
        empty = self._table([], 0)
        self.keypoint_names: tuple[str, ...] = empty.keypoint_names
        self.animals: Animals | None = empty.animals

    def __len__(self) -> int:
        """Rows, counted without reading any number."""
        lines, last = 0, b"\n"
        with self.path.open("rb") as file:
            while block := file.read(BLOCK):
                lines, last = lines + block.count(b"\n"), block[-1:]
        return lines + (last != b"\n") - len(self._heads)

    def chunks(self, rows: int = 1024) -> Iterator[PoseTable]:
        """The table in parts of at most `rows` rows, in file order.

        Raises:
            DataError: a cell is not a number, or a line too short.
        """
        with self.path.open(newline="") as file:
            reader = csv.reader(file)
            start = len(list(islice(reader, len(self._heads)))) - len(self._heads)
            while part := list(islice(reader, rows)):
                yield self._table(part, start)
                start += len(part)

    def _table(self, part: list[list[str]], start: int) -> PoseTable:
        try:
            values = np.array([[float(row[i]) if row[i] else np.nan for i in self._kept] for row in part])
        except (ValueError, IndexError) as e:
            where = f"{self.path}, rows {start} to {start + len(part) - 1}"
            raise DataError(f"{where}: a cell that is not a number, or a line that is too short: {e}.") from e
        index = [row[0] for row in part]
        return pose_table(self.path, self._columns, values.reshape(len(part), len(self._kept)), index)
