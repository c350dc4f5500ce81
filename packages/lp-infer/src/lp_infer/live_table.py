"""Poses on disk as they come: what is in the table stays there, however the process ends. No torch."""

import errno
import os
from pathlib import Path

import numpy as np
from lp_core import Animals, DataError
from lp_io import PredictionWriter
from lp_io.files import writing_remedy

from lp_infer.live_pose import LivePose


class LiveTable:
    """Appends poses to a prediction table in the reference's CSV layout, and their times to a second file beside it.

    `FILE.csv` has the rows x, y, likelihood in pixels of the frame; `FILE_times.csv` the same rows with the timestamp and
    the latency in seconds; with a filter `FILE_raw.csv` has what the network said. Each row is one write: a process that
    is killed leaves whole rows. The index is the frame's number; dropped frames have no row.

    Args:
        path: of the table; it must not exist yet.
        names: of the keypoints.
        scorer: as it stands in tables.
        raw: whether poses are filtered, and what the network said is kept too.

    Raises:
        DataError: the table exists, or there is no room on the disk.
    """

    def __init__(self, path: Path | str, names: tuple[str, ...], scorer: str, raw: bool = False) -> None:
        self.path, self.times, self.raw = absent(path)
        tables = [self.path, *([self.raw] if raw else [])]
        for file in tables:
            with PredictionWriter(file, names, scorer, animals=Animals.of(names)):
                pass  # the header
        self.times.write_text(",timestamp,latency\n")
        self._files = [file.open("ab", buffering=0) for file in (*tables, self.times)]

    def add(self, pose: LivePose) -> None:
        """Append one row to each file.

        Raises:
            DataError: no room left on the disk, or the disk is gone.
        """
        rows = [_row(pose.number, keypoints, pose.confidence) for keypoints in (pose.keypoints, pose.raw)]
        times = f"{pose.number},{float(pose.timestamp)!r},{pose.latency:.6f}\n"
        for file, row in zip(self._files, [*rows[: len(self._files) - 1], times], strict=True):
            self._append(file, row.encode())

    def __enter__(self) -> "LiveTable":
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files:
            file.close()

    def _append(self, file, row: bytes) -> None:
        try:
            end = file.tell()
            if file.write(row) != len(row):  # a full disk takes part of it
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as e:
            raise DataError(
                f"{file.name} cannot be written ({e.strerror}); {writing_remedy(e)}. The rows before are kept."
            ) from e


def absent(path: Path | str) -> tuple[Path, Path, Path]:
    """The files of the table `path`: keypoints, times, unfiltered keypoints.

    Raises:
        DataError: one of them exists.
    """
    path = Path(path)
    files = path, path.with_name(f"{path.stem}_times.csv"), path.with_name(f"{path.stem}_raw.csv")
    for file in files:
        if file.exists():
            raise DataError(f"{file} exists already and live poses cannot be had again; give another out=FILE.")
    return files


def _row(number: int, keypoints: np.ndarray, confidence: np.ndarray) -> str:
    values = np.concatenate([keypoints, confidence[:, None]], axis=-1).ravel().tolist()
    return ",".join([str(number), *("" if value != value else repr(value) for value in values)]) + "\n"
