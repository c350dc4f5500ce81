"""DeepLabCut's HDF5 label table, edited beside or instead of the CSV."""

from pathlib import Path
from typing import Any

import numpy as np
from lp_core import DataError
from lp_io.animals import keypoint_name
from lp_io.hdf_frame import KEY, NOT_A_FRAME, read_hdf_frame
from lp_io.header_table import LEVELS
from lp_io.label_writers.frame_hdf import write_frame_hdf

from lp_viz.review.folder import digest, put
from lp_viz.review.pose import Pose, point_of


class LabelHdf:
    """One HDF5 of labels; the same as `LabelCsv`, without occlusion.

    Raises:
        DataError: not such a table.
    """

    occluded = False

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        self.path, self._names, self._digest = path, names, digest(path)
        try:
            frame = read_hdf_frame(path)
        except NOT_A_FRAME as e:
            raise DataError(f"{path} is not a label table DeepLabCut wrote ({e}); convert it in DeepLabCut.") from e
        self._heads = list(frame.columns)
        self._values = np.array(frame.values, dtype=np.float64)
        images = ["/".join(map(str, row)).replace("\\", "/") for row in frame.index]
        self._index = {image: row for row, image in enumerate(images)}
        self._where = self._columns()

    @property
    def images(self) -> list[str]:
        """In the order of the file."""
        return list(self._index)

    @property
    def missing(self) -> list[str]:
        """Keypoints without columns."""
        return [name for name in self._names if not {(name, "x"), (name, "y")} <= self._where.keys()]

    def pose(self, image: str) -> Pose | None:
        """What the file says about `image`; None if it has no row."""
        if image not in self._index:
            return None
        row, where = self._values[self._index[image]], self._where
        cells = np.append(row, np.nan)
        return tuple(point_of(*(float(cells[where.get((name, c), -1)]) for c in "xy")) for name in self._names)

    def set(self, image: str, pose: Pose) -> None:
        """Put the labels of `image`; a new row at the end if it has none."""
        if image not in self._index:
            self._index[image] = len(self._values)
            self._values = np.vstack([self._values, np.full((1, len(self._heads)), np.nan)])
        for name, (x, y, _) in zip(self._names, pose, strict=True):
            self._make_room(name, x)
            where = self._where
            for coord, value in (("x", x), ("y", y)):
                if (name, coord) in where:
                    self._values[self._index[image], where[name, coord]] = np.nan if value is None else value

    def remove(self, image: str) -> None:
        """Take the row of `image` out."""
        at = self._index.pop(image, None)
        if at is not None:
            self._values = np.delete(self._values, at, axis=0)
            self._index = {name: row - (row > at) for name, row in self._index.items()}

    def write(self) -> None:
        """Replace the file.

        Raises:
            DataError: it has been changed since it was read.
        """
        index = [tuple(image.split("/")) for image in self._index]
        depth = max(map(len, index), default=3)
        index = [(*row[: depth - 1], "/".join(row[depth - 1 :])) for row in index]

        def fill(temporary: Path) -> Any:
            write_frame_hdf(temporary, KEY, self._heads, index, self._values)

        put(self.path, fill, self._digest)

    def _columns(self) -> dict[tuple[str, str], int]:
        several = len(self._heads[0]) == len(LEVELS[4])
        names = [keypoint_name(h[1], h[2]) if several else h[1] for h in self._heads]
        return {(name, head[-1]): i for i, (name, head) in enumerate(zip(names, self._heads, strict=True))}

    def _make_room(self, name: str, x: float | None) -> None:
        if x is None or (name, "x") in self._columns():
            return
        owner, _, part = name.rpartition("/")
        keys = (owner or "single", part) if len(self._heads[0]) == len(LEVELS[4]) else (name,)
        self._heads += [(self._heads[0][0], *keys, coord) for coord in ("x", "y")]
        self._values = np.pad(self._values, ((0, 0), (0, 2)), constant_values=np.nan)
        self._where = self._columns()
