"""What `source=…` stands for: videos, images, label tables."""

import glob
from collections.abc import Sequence
from pathlib import Path

from lp_core import DataError, listed


def expand(source: str) -> tuple[list[Path], list[Path], list[Path]]:
    """The videos, images and label tables that `source` stands for.

    Raises:
        DataError: there is nothing to predict.
    """
    from lp_io import IMAGE_SUFFIXES, VIDEO_SUFFIXES

    is_list = source.startswith("[") and source.endswith("]")
    kinds = (VIDEO_SUFFIXES, IMAGE_SUFFIXES, frozenset({".csv"}))
    hint = """, a name with a comma in quotes: source='["a,b.mp4",c.mp4]'""" if is_list else ""
    found = [_of_one_kind(_paths(text, hint), kinds) for text in (listed(source) if is_list else [source])]
    videos, images, tables = ([p for paths in found for p in paths if p.suffix.lower() in kind] for kind in kinds)
    if not (videos or images or tables):
        raise DataError(
            f"source={source} holds no video, image or label CSV: names of videos end in one of "
            f"{' '.join(sorted(VIDEO_SUFFIXES))}."
        )
    return videos, images, tables


def _of_one_kind(paths: list[Path], kinds: Sequence[frozenset[str]]) -> list[Path]:
    """Of a folder or a glob, the videos; where there are none, the images, and then the tables."""
    groups = ([path for path in paths if path.suffix.lower() in kind] for kind in kinds)
    return next((group for group in groups if group), [])


def _paths(source: str, hint: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return sorted(p for p in path.iterdir() if not p.name.startswith(".") and p.suffix.lower() != ".csv")
    found = [path] if path.exists() else [Path(p) for p in sorted(glob.glob(source))]
    if not found:
        raise DataError(
            f"source={source} does not exist; give a video, a folder, a glob in quotes or a label CSV{hint}."
        )
    return found


def distinct(videos: list[Path]) -> list[Path]:
    """The videos themselves.

    Raises:
        DataError: two have the same name, and so would their tables.
    """
    names: dict[str, Path] = {}
    for video in videos:
        if names.setdefault(video.stem, video) != video:
            raise DataError(
                f"{names[video.stem]} and {video} would have the same table; predict them into two folders."
            )
    return videos
