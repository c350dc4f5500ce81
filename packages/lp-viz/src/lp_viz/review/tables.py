"""Prediction tables and metrics of long videos, row by row into float32: two hours are some tens of megabytes."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import DataError, PoseTable
from lp_io.header_table import header_levels
from lp_io.spread import spread_of_table
from lp_io.tables import pose_table

BLOCK = 4096  # rows parsed at a time
SPLIT = "set"  # the last column of tables of labeled frames


@dataclass(frozen=True, slots=True)
class Numbers:
    """A table of numbers.

    Attributes:
        heads: the header's cells of every value column, top row first.
        index: the first cell of every row.
        split: the cell under `set`, if there is such a column.
    """

    heads: tuple[tuple[str, ...], ...]
    index: list[str]
    values: Float[np.ndarray, "rows columns"]
    split: tuple[str, ...] | None


def read_numbers(path: Path) -> Numbers:
    """Read a prediction table (three or four header rows) or a metric table (one).

    Raises:
        DataError: missing, a cell that is not a number, or rows of unequal length.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return _read(path, file)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; predict the video first.") from None
    except UnicodeDecodeError as e:
        raise DataError(f"{path} is not a text file; predict the video again.") from e


def _read(path: Path, file: Iterator[str]) -> Numbers:
    first = list(islice(file, 4))
    rows = list(csv.reader(first))
    levels = header_levels([row[0] if row else "" for row in rows])
    depth = len(levels) if levels else 1
    if len(rows) < depth or len(rows[0]) < 2:
        raise DataError(f"{path} is not a table of predictions; predict the video again.")
    heads = rows[:depth]
    split, width = SPLIT in (heads[0][-1], heads[-1][-1]), len(heads[0])
    index, parts, blocks, lines = list[str](), list[str](), list[np.ndarray](), chain(first[depth:], file)
    while block := [line.rstrip("\r\n") for line in islice(lines, BLOCK)]:
        cells = list(csv.reader(block)) if any('"' in line for line in block) else None
        index += [row[0] for row in cells] if cells else [line.partition(",")[0] for line in block]
        parts += [line.rpartition(",")[2] for line in block] if split else []
        texts = [",".join(["", *row[1:]]) for row in cells] if cells else block
        blocks.append(_numbers(path, texts, width, width - split))
    values = np.concatenate(blocks) if blocks else np.zeros((0, width - split - 1), np.float32)
    columns = tuple(zip(*(head[1 : width - split] for head in heads), strict=True))
    return Numbers(columns, index, values, tuple(parts) if split else None)


def _numbers(path: Path, lines: list[str], width: int, stop: int) -> Float[np.ndarray, "rows columns"]:
    """Columns 1 to `stop - 1` of lines of `width` cells; an empty cell is NaN."""
    for line in lines:
        if line.count(",") != width - 1:
            name = line.partition(",")[0]
            raise DataError(f"{path}: the row of {name} has not {width} cells as the header has; predict it again.")
    filled = (f"{line},".replace(",,", ",nan,").replace(",,", ",nan,") for line in lines)
    try:
        return np.loadtxt(filled, np.float32, comments=None, delimiter=",", usecols=range(1, stop), ndmin=2)
    except ValueError as e:
        raise DataError(f"{path} holds a cell that is not a number ({e}); predict the video again.") from e


def poses_of(path: Path, numbers: Numbers) -> PoseTable:
    """The poses in a table with the columns x, y and likelihood.

    Raises:
        DataError: it has none.
    """
    return pose_table(path, numbers.heads, numbers.values, numbers.index, numbers.split)


def in_order(table: PoseTable, names: tuple[str, ...]) -> PoseTable:
    """The table with the keypoints `names`; those it does not have are NaN."""
    if table.keypoint_names == names:
        return table
    where = {name: k for k, name in enumerate(table.keypoint_names)}
    take = [where.get(name, -1) for name in names]
    return replace(
        table, keypoint_names=names, animals=None,
        keypoints=np.pad(table.keypoints, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan)[:, take],
        confidence=np.pad(table.confidence, ((0, 0), (0, 1)), constant_values=np.nan)[:, take],
    )  # fmt: skip


def spread_of(numbers: Numbers, table: PoseTable) -> Float[np.ndarray, "rows keypoints"] | None:
    """Pixels: how far the members of an ensemble are apart; None if the table is not of an ensemble."""
    columns = [(head[-2], head[-1]) for head in numbers.heads if len(head) > 1]
    return spread_of_table(columns, numbers.values, table.keypoint_names)
