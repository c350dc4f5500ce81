"""Label tables with header rows scorer / bodyparts / coords."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lp_io.files import atomic_path
from lp_io.header_table import LEVELS


def write_header_table(
    path: Path,
    columns: Sequence[tuple[str, ...]],
    index: Sequence[tuple[str, ...]],
    values: Float[np.ndarray, "rows columns"],
) -> None:
    """A CSV with one header row per level of `columns` (scorer, individual if there are several, bodypart, coordinate); NaN
    becomes an empty cell.
    """
    levels = len(index[0])
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for level, title in enumerate(LEVELS[len(columns[0])]):
            writer.writerow([title, *[""] * (levels - 1), *(column[level] for column in columns)])
        for row, cells in zip(index, values.tolist(), strict=True):
            writer.writerow([*row, *("" if cell != cell else repr(cell) for cell in cells)])
