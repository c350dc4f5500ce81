"""A label table as text: what is not edited keeps its bytes."""

import csv
import hashlib
import io
from pathlib import Path

from lp_core import NOT_LABELED, OCCLUDED, DataError
from lp_io.animals import keypoint_name
from lp_io.header_table import LEVELS, header_levels

from lp_viz.review.folder import put
from lp_viz.review.pose import Pose, point_of

NAN = float("nan")
VISIBLE_COLUMN = "visible"


class LabelCsv:
    """One CSV of labels, with one or three index columns, of one animal or several.

    Args:
        path: the file.
        names: of the keypoints, in the order of poses.
        occlusion: the layout has a column `visible`; it is added when a point is occluded.

    Raises:
        DataError: not such a table.
    """

    def __init__(self, path: Path, names: tuple[str, ...], occlusion: bool) -> None:
        self.path, self._names, self._occlusion = path, names, occlusion
        raw = _bytes(path)
        self._digest, text = hashlib.sha256(raw).hexdigest(), raw.decode("utf-8", "replace")
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._lines: list[str | None] = [line for line in text.split("\n") if line]
        self._rows = [next(csv.reader([line])) for line in self._lines if line is not None]
        levels = header_levels([row[0] for row in self._rows[:4] if row])
        if levels is None:
            raise DataError(
                f"{path} is not a label table: its first rows must start with scorer, bodyparts and coords."
            )
        self._depth = len(levels)
        self._first = next((i for i, cell in enumerate(self._rows[self._depth - 1]) if i and cell), len(self._rows[0]))
        self._check_width()
        self._index = {self._image(row): i for i, row in enumerate(self._rows) if i >= self._depth}
        self._find_columns()

    @property
    def images(self) -> list[str]:
        """In the order of the file."""
        return list(self._index)

    @property
    def missing(self) -> list[str]:
        """Keypoints without columns."""
        return [name for name in self._names if not {(name, "x"), (name, "y")} <= self._columns.keys()]

    @property
    def occluded(self) -> bool:
        """Whether occluded points can be told from visible ones."""
        return self._occlusion or any(coord == VISIBLE_COLUMN for _, coord in self._columns)

    def pose(self, image: str) -> Pose | None:
        """What the file says about `image`; None if it has no row."""
        if image not in self._index:
            return None
        row = self._rows[self._index[image]]
        cells = ([self._number(row, name, coord) for coord in ("x", "y", VISIBLE_COLUMN)] for name in self._names)
        return tuple(point_of(*three) for three in cells)

    def set(self, image: str, pose: Pose) -> None:
        """Put the labels of `image`; a new row at the end if it has none."""
        self._make_room(pose)
        if image not in self._index:
            parts = image.split("/") if self._first > 1 else [image]
            cells = [*parts, *[""] * (self._first - len(parts))]
            self._index[image] = len(self._rows)
            self._rows.append([*cells, *[""] * (len(self._rows[0]) - self._first)])
            self._lines.append(None)
        at = self._index[image]
        before = list(self._rows[at])
        for name, (x, y, flag) in zip(self._names, pose, strict=True):
            self._put(at, name, "x", x)
            self._put(at, name, "y", y)
            self._put_flag(at, name, x is not None, flag)
        if self._rows[at] != before:
            self._lines[at] = None

    def remove(self, image: str) -> None:
        """Take the row of `image` out."""
        at = self._index.pop(image, None)
        if at is None:
            return
        del self._rows[at], self._lines[at]
        self._index = {name: row - (row > at) for name, row in self._index.items()}

    def write(self) -> None:
        """Replace the file.

        Raises:
            DataError: it has been changed since it was read.
        """
        rows = zip(self._lines, self._rows, strict=True)
        text = "".join(_line(row, self._newline) if line is None else f"{line}\n" for line, row in rows)
        put(self.path, lambda temporary: temporary.write_bytes(text.encode()), self._digest)

    def _check_width(self) -> None:
        width = len(self._rows[0])
        if wrong := next((i for i, row in enumerate(self._rows) if len(row) != width), None):
            raise DataError(
                f"{self.path}: line {wrong + 1} has {len(self._rows[wrong])} cells instead of {width}; mend it, or wait until "
                "the other program has written it."
            )

    def _image(self, row: list[str]) -> str:
        return "/".join(row[: self._first]).replace("\\", "/")

    def _find_columns(self) -> None:
        heads = [row[self._first :] for row in self._rows[: self._depth]]
        self._columns: dict[tuple[str, str], int] = {}
        for i, head in enumerate(zip(*heads, strict=True)):
            name = keypoint_name(head[1], head[2]) if self._depth == len(LEVELS[4]) else head[1]
            self._columns[name, head[-1]] = self._first + i

    def _make_room(self, pose: Pose) -> None:
        for name, (x, _, _) in zip(self._names, pose, strict=True):
            if x is not None and (name, "x") not in self._columns:
                self._append_columns(name)
        flagged = any(flag == OCCLUDED for *_, flag in pose)
        if flagged and self._occlusion and (self._names[0], VISIBLE_COLUMN) not in self._columns:
            self._add_flags()

    def _append_columns(self, name: str) -> None:
        """x and y of a keypoint that this table had no column for, at the end."""
        owner, _, part = name.rpartition("/")
        scorer = self._rows[0][-1]
        keys = (owner or "single", part) if self._depth == len(LEVELS[4]) else (name,)
        for coord in ("x", "y"):
            self._columns[name, coord] = len(self._rows[0])
            head = (scorer, *keys, coord)
            for i, row in enumerate(self._rows):
                row.append(head[i] if i < self._depth else "")
        self._lines = [None] * len(self._rows)

    def _add_flags(self) -> None:
        """A column `visible` behind every y, saying what x and y say."""
        poses = {at: self.pose(image) or () for image, at in self._index.items()}
        for name in sorted(self._names, key=lambda n: -self._columns.get((n, "y"), 0)):
            if (name, "y") not in self._columns:
                continue
            place, k = self._columns[name, "y"] + 1, self._names.index(name)
            for at, row in enumerate(self._rows):
                head = VISIBLE_COLUMN if at == self._depth - 1 else row[place - 1]
                row.insert(place, head if at < self._depth else str(poses[at][k][2]))
        self._lines = [None] * len(self._rows)
        self._find_columns()

    def _number(self, row: list[str], name: str, coord: str) -> float:
        at = self._columns.get((name, coord))
        text = row[at].strip() if at is not None else ""
        try:
            return float(text) if text else NAN
        except ValueError:
            raise DataError(f"{self.path}: {text} in the row of {self._image(row)} is not a number; mend it.") from None

    def _put(self, at: int, name: str, coord: str, value: float | None) -> None:
        column = self._columns.get((name, coord))
        if column is None:
            return
        old = self._number(self._rows[at], name, coord)
        if value is None:
            self._rows[at][column] = self._rows[at][column] if old != old else ""
        elif old != value:
            self._rows[at][column] = repr(float(value))

    def _put_flag(self, at: int, name: str, known: bool, flag: int) -> None:
        column = self._columns.get((name, VISIBLE_COLUMN))
        if column is not None and self._number(self._rows[at], name, VISIBLE_COLUMN) != flag:
            self._rows[at][column] = str(flag if known or flag == OCCLUDED else NOT_LABELED)


def new_csv(columns: list[tuple[str, ...]], width: int) -> bytes:
    """An empty table with `width` index columns."""
    heads = [
        [title, *[""] * (width - 1), *cells] for title, *cells in zip(LEVELS[len(columns[0])], *columns, strict=True)
    ]
    return "".join(_line(head, "\n") for head in heads).encode()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise DataError(f"{path} cannot be read ({e.strerror}); put the label file there again.") from e


def _line(cells: list[str], newline: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=newline).writerow(cells)
    return text.getvalue()
