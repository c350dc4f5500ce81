"""Paths that stay in a folder, and files that are complete or not there."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from lp_core import DataError
from lp_io import atomic_path


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
        DataError: the file there no longer has the digest `unchanged`.
    """
    with atomic_path(path) as temporary:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o777)
        if unchanged is not None and digest(path) != unchanged:
            raise DataError(f"{path} was changed by another program just now; save again.")
