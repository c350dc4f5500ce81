"""Paths that stay in a folder, and files that are complete or not there."""

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from lp_core import DataError
from lp_io import atomic_path

UNFINISHED = re.compile(r"\..+\.\d+\.tmp\.\w+")  # as `atomic_path` names them
ABANDONED = 600.0  # seconds after which nobody is writing a file any more


def inside(root: Path, name: str) -> Path:
    """The file `name` in `root`.

    Raises:
        DataError: an absolute path, one that leads out of `root`, or a link that does.
    """
    path = root / name
    if Path(name).is_absolute() or "\0" in name or not _within(path.resolve(), root.resolve()):
        raise DataError(f"{name} leads out of {root}; the review page stays in that folder, so copy the file there.")
    return path


def leads_out(path: Path, *roots: Path) -> bool:
    """Whether `path` lies in none of `roots` when links are followed."""
    return not any(_within(path.resolve(), root.resolve()) for root in roots)


def _within(path: Path, root: Path) -> bool:
    return path == root or root in path.parents


def clear_away(folder: Path) -> None:
    """Remove what a killed program left of files that it was writing."""
    for path in folder.glob(".*.tmp.*"):
        with contextlib.suppress(OSError):
            if UNFINISHED.fullmatch(path.name) and time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()


def digest(path: Path) -> str:
    """SHA-256 of a file; empty if it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def put_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, and wait until it is on the disk."""
    put(path, lambda temporary: temporary.write_bytes(content))


def put(path: Path, write: Callable[[Path], object], unchanged: str | None = None) -> None:
    """Let `write` make the file atomically, and wait until it is on the disk; keeps the old file's permissions.

    Raises:
        DataError: the file there may not be written, or no longer has the digest `unchanged`.
    """
    if path.exists() and not os.access(path, os.W_OK):
        raise DataError(f"{path} may not be written; change its permissions and save again. The edits are kept.")
    with atomic_path(path) as temporary:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o777)
        if unchanged is not None and digest(path) != unchanged:
            raise DataError(f"{path} was changed by another program just now; save again.")
