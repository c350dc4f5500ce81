"""Tables of metrics: one number per frame and keypoint, as `write_metric` writes them."""

import csv
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import DataError


@dataclass(frozen=True, slots=True)
class MetricTable:
    """NaN is an empty cell, `split` None where there was no column `set`."""

    names: tuple[str, ...]
    index: tuple[str, ...]
    values: Float[np.ndarray, "frames keypoints"]
    split: tuple[str, ...] | None = None


def read_metric(path: Path | str) -> MetricTable:
    """Read a table of one number per frame and keypoint.

    Raises:
        DataError: missing, or not such a table.
    """
    numbers, index, split = array("d"), [], []
    try:
        with Path(path).open(newline="") as file:
            rows = csv.reader(file)
            head = next(rows, [""])
            stop = len(head) - (head[-1] == "set")
            for row in rows:
                index.append(row[0])
                numbers.extend(float(cell) if cell else np.nan for cell in row[1:stop])
                split.append(row[-1])
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(f"{path} does not exist; evaluate the run, or predict the video.") from None
    except (ValueError, IndexError) as e:
        raise DataError(f"{path} is not a table of numbers ({e}); evaluate the run, or predict the video again.") from e
    if len(numbers) != len(index) * (stop - 1) or stop < 2:
        raise DataError(f"{path} has lines of different lengths; evaluate the run, or predict the video again.")
    values = np.frombuffer(numbers, dtype=np.float64).reshape(len(index), stop - 1)
    return MetricTable(tuple(head[1:stop]), tuple(index), values, tuple(split) if stop < len(head) else None)
