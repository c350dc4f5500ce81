"""Every edit, on the disk before it counts: one line of JSON each, never rewritten."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from lp_core import DataError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # pyright: ignore[reportAssignmentType]


class Journal:
    """An append-only file that one program at a time holds open.

    A line counts when it is complete and synced; what a killed program left of a line is passed over.

    Args:
        path: the file; made if it is not there.

    Raises:
        DataError: it cannot be written, or another review page has it open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_symlink():
            raise DataError(f"{path} is a link; remove it, or put the journal itself there.")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as e:
            raise DataError(f"{path} cannot be written ({e.strerror}); make the folder of the labels writable.") from e
        self._lock()
        self.records = self._read()
        _sync_folder(path.parent)

    def append(self, record: dict[str, Any]) -> None:
        """Write one record and wait until it is on the disk.

        Raises:
            DataError: it could not be written; nothing was.
        """
        line = json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(28, "No space left on device")
            os.fsync(self._file)
        except OSError as e:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            raise DataError(f"{self.path} cannot be written ({e.strerror}); free some room on the disk.") from e

    def close(self) -> None:
        """Release the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise DataError(f"Another review page has {self.path.parent} open; close it first.") from None

    def _read(self) -> list[dict[str, Any]]:
        data = b"".join(iter(lambda: os.read(self._file, 1 << 20), b""))
        if data and not data.endswith(b"\n"):
            os.write(self._file, b"\n")  # what is left of a line ends here
        records = []
        for line in data.split(b"\n"):
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                records += [record] if isinstance(record, dict) else []
        return records


def _sync_folder(folder: Path) -> None:
    """So that a new file's name outlives a power cut too."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
