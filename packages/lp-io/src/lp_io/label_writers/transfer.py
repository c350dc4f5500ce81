"""Bring files from one project into another without spending more disk than needed."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lp_core import ConfigError, DataError

from lp_io.label_writers.layout import unused

MODES = ("link", "copy", "none")


def hard_link(source: Path, to: Path) -> bool:
    """Another name for the same file; False where the disk or the rights do not allow it."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), to)
    except FileExistsError:
        raise DataError(f"{to} would be written twice; give files different names in {source.parent}.") from None
    except OSError:
        return False
    return True


def put(source: Path, to: Path) -> None:
    """A hard link, or a copy where that is impossible."""
    if not hard_link(source, to):
        shutil.copy2(source, to)


def put_videos(videos: Iterable[tuple[Path, str]], root: Path, mode: str) -> tuple[list[str], str]:
    """Videos (file, path below `videos/`) into `root`.

    Args:
        mode: `link` makes hard links, or symbolic links from another disk; `copy`; `none` leaves them where they are.

    Returns:
        Paths in the project, and a sentence about what was done.
    """
    if mode not in MODES:
        raise ConfigError(f"videos={mode} is not one of {', '.join(MODES)}.")
    videos = list(videos)
    if not videos:
        return [], "no video found"
    if mode == "none":
        return [], f"{len(videos)} left where they are (videos=none)"
    taken: dict[str, str] = {}
    placed, done = [], Counter[str]()
    for source, inner in videos:
        stem = unused(str(Path(inner).with_suffix("")), taken, str(source))
        placed.append(f"videos/{Path(stem).as_posix()}{source.suffix}")
        done[_put_video(source, root / placed[-1], mode)] += 1
    return placed, ", ".join(f"{count} {how}" for how, count in done.items())


def _put_video(source: Path, to: Path, mode: str) -> str:
    if mode == "link" and hard_link(source, to):
        return "hard-linked"
    to.parent.mkdir(parents=True, exist_ok=True)
    if mode == "link":
        try:
            to.symlink_to(source.resolve())
        except OSError:
            pass
        else:
            return f"linked to {source.resolve().parent} (they must stay there)"
    shutil.copy2(source, to)
    return "copied"
