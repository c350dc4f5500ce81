"""Atomic writing, and which suffixes are what."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lp_core import DataError

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv"})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
FULL = {errno.ENOSPC, errno.EDQUOT}  # errors of a disk without room, or of a user's share of it


def is_due(path: Path, source: Path) -> bool:
    """Whether `path`, which is made from the file `source`, is absent or older than that."""
    return not path.exists() or path.stat().st_mtime_ns < source.stat().st_mtime_ns


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it if the block ends well and removed if it does not.

    Raises:
        DataError: no room left on the disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as e:
        _discard(temporary)
        if e.errno in FULL:
            raise DataError(f"There is no room left on the disk for {path}; free some and start again.") from e
        if e.filename == str(temporary):
            e.filename = str(path)  # the name that the user knows
        raise
    except BaseException:
        _discard(temporary)
        raise


def writing_remedy(error: OSError) -> str:
    """What a user can do about a file that cannot be written, as the middle of a sentence."""
    return "make room there" if error.errno in FULL else "make sure that its disk is there and can be written to"


def _discard(temporary: Path) -> None:
    with suppress(OSError):  # a disk that cannot be written
        temporary.unlink(missing_ok=True)
