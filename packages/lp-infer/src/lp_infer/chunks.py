"""What has been predicted so far, kept so that no moment of a long prediction can lose it. No torch.

Beside the table to be, `VIDEO.csv`, lies the folder `VIDEO.csv.parts`: `about.json` says of what, and every process that
works on it appends to a log of its own. A record of a log is its head (magic, first frame, frames, keypoints, checksum)
and x, y, confidence of each frame and keypoint as little-endian float64. What follows the last sound record of a log is
a record that a process did not live to finish; it is left out, and its frames are predicted again.
"""

import errno
import json
import os
import shutil
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from lp_core import DataError
from lp_io import atomic_path
from lp_io.files import writing_remedy

HEAD = struct.Struct("<4sQIII")  # magic, first frame, frames, keypoints, checksum of these and the values
MAGIC = b"lpc1"
ABOUT = "about.json"
CHUNK = 256  # frames of a record, about: a whole number of batches

Values = Float[np.ndarray, "frames keypoints 3"]


class ChunkLog:
    """The parts of one table: read what there is, append what is new.

    Args:
        out: the table to be.
        about: what decides its values: network, video, batch size. Parts made of anything else are thrown away.
        keypoints: number of them.
    """

    def __init__(self, out: Path, about: Mapping[str, Any], keypoints: int) -> None:
        self.out, self.folder = out, folder_of(out)
        self._keypoints = keypoints
        self.replaced = self._claim(json.loads(json.dumps(about)))
        self._mine: Path = self.folder / f"{uuid.uuid4().hex}.log"
        self._places: dict[int, tuple[Path, int, int]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look again at what all processes have written."""
        for path in sorted(self.folder.glob("*.log")):
            for start, count, offset in _records(path, self._keypoints):
                self._places.setdefault(start, (path, offset, count))

    @property
    def done(self) -> dict[int, int]:
        """Frames of each sound record, by its first frame."""
        return {start: count for start, (_, _, count) in self._places.items()}

    def append(self, start: int, values: Values) -> None:
        """Write one record; when this returns, a kill of the process cannot take it away.

        Raises:
            DataError: no room left on the disk, or the disk is gone.
        """
        payload = np.ascontiguousarray(values, dtype="<f8").tobytes()
        try:
            with self._mine.open("ab", buffering=0) as file:
                offset = file.tell()
                file.write(_head(start, values.shape[0], values.shape[1], payload) + payload)
                if file.tell() != offset + HEAD.size + len(payload):  # a full disk takes part of it
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._mine))
        except OSError as e:
            raise DataError(
                f"{self._mine} cannot be written ({e.strerror}); {writing_remedy(e)} and give the same command "
                f"again: the {sum(self.done.values())} frames predicted so far are kept."
            ) from e
        self._places[start] = (self._mine, offset + HEAD.size, values.shape[0])

    def read(self) -> Iterator[tuple[int, Values]]:
        """(first frame, values) of all records in the order of frames; one record in memory at a time."""
        for start in sorted(self._places):
            path, offset, count = self._places[start]
            values = np.fromfile(path, dtype="<f8", count=count * self._keypoints * 3, offset=offset)
            yield start, values.reshape(count, self._keypoints, 3)

    def remove(self) -> None:
        """Delete the parts: the table is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _claim(self, about: dict[str, Any]) -> bool:
        """Make the folder this table's own; whether parts of something else had to go."""
        found = about_parts(self.out)
        if found == about:
            return False
        shutil.rmtree(self.folder, ignore_errors=True)
        with atomic_path(self.folder / ABOUT) as temporary:
            temporary.write_text(json.dumps(about, indent=1))
        return bool(found)


def about_parts(out: Path) -> dict[str, Any]:
    """What the parts of table `out` say of themselves; empty if there are none."""
    try:
        return json.loads((folder_of(out) / ABOUT).read_text())
    except (OSError, ValueError):
        return {}


def folder_of(out: Path) -> Path:
    """Where the parts of table `out` are."""
    return out.with_name(f"{out.name}.parts")


def chunk_length(batch_size: int) -> int:
    """Frames of a record when the network is called with `batch_size` frames."""
    return batch_size * -(-CHUNK // batch_size)


def missing(frame_count: int, length: int, done: Mapping[int, int]) -> list[range]:
    """Runs of frames that no record of `length` frames has (the last one of a video is shorter)."""
    spans: list[range] = []
    for start in range(0, frame_count, length):
        stop = min(start + length, frame_count)
        if done.get(start) == stop - start:
            continue
        if spans and spans[-1].stop == start:
            spans[-1] = range(spans[-1].start, stop)
        else:
            spans.append(range(start, stop))
    return spans


def _head(start: int, frames: int, keypoints: int, payload: bytes) -> bytes:
    checksum = zlib.crc32(payload, zlib.crc32(HEAD.pack(MAGIC, start, frames, keypoints, 0)))
    return HEAD.pack(MAGIC, start, frames, keypoints, checksum)


def _records(path: Path, keypoints: int) -> Iterator[tuple[int, int, int]]:
    """(first frame, frames, where its values begin) of the sound records from the beginning of a log."""
    with path.open("rb") as file:
        while len(head := file.read(HEAD.size)) == HEAD.size:
            magic, start, frames, width, _ = HEAD.unpack(head)
            if magic != MAGIC or width != keypoints:
                return
            offset = file.tell()
            payload = file.read(frames * keypoints * 24)
            if len(payload) < frames * keypoints * 24 or _head(start, frames, width, payload) != head:
                return
            yield start, frames, offset
