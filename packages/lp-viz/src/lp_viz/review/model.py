"""Where the tables of a run or of an ensemble are, and what is in them for one video."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import DataError, PoseTable

from lp_viz.review.folder import leads_out
from lp_viz.review.series import mean, worst
from lp_viz.review.tables import in_order, poses_of, read_numbers, spread_of

CONFIDENCE, SPREAD = "confidence", "ensemble_spread"
TRACKS = "_tracks"


@dataclass(frozen=True, slots=True)
class Model:
    """One of the models that are compared.

    Attributes:
        name: the folder's.
        root: of the run.
        tables: where tables of videos are: `video_preds` of a run, or the folder that `lpose ensemble` wrote.
    """

    name: str
    root: Path
    tables: Path

    @classmethod
    def at(cls, root: Path) -> "Model":
        """The run or ensemble in `root`.

        Raises:
            DataError: no such folder.
        """
        if not root.is_dir():
            raise DataError(f"{root} is not a directory; give the directory of a run that lpose train wrote.")
        inner = root / "video_preds"
        return cls(root.resolve().name, root, inner if inner.is_dir() else root)

    def table(self, stem: str) -> Path | None:
        """The predictions of a video: the tracked ones if there are several animals; None if it is not predicted.

        Raises:
            DataError: the table is a link that leads out of the run.
        """
        names = (self.tables / f"{stem}{ending}.csv" for ending in (TRACKS, ""))
        return next((self.own(path) for path in names if path.is_file()), None)

    def own(self, path: Path) -> Path:
        """`path`, if it lies in the run when links are followed.

        Raises:
            DataError: it does not.
        """
        if leads_out(path, self.root):
            raise DataError(f"{path} leads out of {self.root}; copy the file there to see it.")
        return path

    def videos(self) -> list[str]:
        """Names of predicted videos, without suffix."""
        stems = {
            p.stem.removesuffix(TRACKS)
            for p in self.tables.glob("*.csv")
            if not leads_out(p, self.root) and _predicts(p)
        }
        return sorted(stems)


def _predicts(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(6) == "scorer"


@dataclass(slots=True)
class Predictions:
    """What one model says about one video.

    Attributes:
        table: poses of every frame, float32.
        metrics: where each further number per frame and keypoint is.
    """

    table: PoseTable
    metrics: dict[str, Path]
    _values: dict[str, np.ndarray] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, path: Path, stems: Sequence[str], frames: int, names: tuple[str, ...] | None) -> "Predictions":
        """The table at `path`, and the metrics beside it.

        Args:
            stems: names of all predicted videos, whose tables are not metrics of this one.
            frames: of the video.
            names: keypoints in the order they are wanted in; None = as in the table.

        Raises:
            DataError: not a table of poses, or not of this video.
        """
        numbers = read_numbers(path)
        table = poses_of(path, numbers)
        table = in_order(table, names) if names else table
        if len(table.index) != frames:
            raise DataError(
                f"{path} has {len(table.index)} rows but the video has {frames} frames; predict this video again."
            )
        found = cls(table, _metrics(path, stems))
        spread = spread_of(numbers, table)
        if spread is not None:
            found._values[SPREAD] = spread
        return found

    @property
    def names(self) -> list[str]:
        """Of everything a timeline can show."""
        return [CONFIDENCE, *(name for name in self._values if name not in self.metrics), *self.metrics]

    def values(self, metric: str) -> Float[np.ndarray, "frames keypoints"]:
        """One number per frame and keypoint.

        Raises:
            DataError: no such metric, or its table does not fit.
        """
        if metric == CONFIDENCE:
            return self.table.confidence
        with self._lock:
            if metric not in self._values and metric in self.metrics:
                self._values[metric] = self._read(self.metrics[metric])
        if metric not in self._values:
            raise DataError(f"There is no table {metric} of this video.")
        return self._values[metric]

    def series(self, metric: str, keypoint: int | None) -> Float[np.ndarray, " frames"]:
        """One number per frame: of `keypoint`, or the worst of all; of confidence the mean of all.

        Raises:
            DataError: as `values`.
        """
        values = self.values(metric)
        if keypoint is not None:
            return np.ascontiguousarray(values[:, keypoint])
        return mean(values) if metric == CONFIDENCE else worst(values)

    def _read(self, path: Path) -> np.ndarray:
        numbers = read_numbers(path)
        columns = {head[-1]: i for i, head in enumerate(numbers.heads)}
        if len(numbers.index) != len(self.table.index):
            raise DataError(
                f"{path} has {len(numbers.index)} rows, not {len(self.table.index)}; predict the video again."
            )
        padded = np.pad(numbers.values, ((0, 0), (0, 1)), constant_values=np.nan)
        return padded[:, [columns.get(name, -1) for name in self.table.keypoint_names]]


def _metrics(path: Path, stems: Sequence[str]) -> dict[str, Path]:
    longer = tuple(f"{stem}{ending}" for stem in stems for ending in ("", TRACKS) if stem.startswith(f"{path.stem}_"))
    found = {}
    for file in sorted(path.parent.glob("*.csv")):
        name = file.stem.removeprefix(f"{path.stem}_")
        if name == file.stem or f"_{name}".startswith(TRACKS) or file.stem.startswith(longer or ("\0",)):
            continue
        if not leads_out(file, path.parent) and not _predicts(file):
            found[name] = file
    return found
