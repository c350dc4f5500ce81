"""Layouts that labeled projects are written in, one file each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from lp_core import LabelSet


@runtime_checkable
class LabelWriter(Protocol):
    """Writes the label files of one layout beside images that already lie where the layout wants them.

    Attributes:
        folder: where images go, in the project.
        flat: whether `folder` holds exactly one level of folders.
        several: whether the layout holds several animals in one image.
    """

    folder: str
    flat: bool
    several: bool

    def write(self, labels: LabelSet, final: Path, videos: Sequence[str]) -> list[str]:
        """Write into `labels.root`.

        Args:
            labels: images are relative to `root`, and there.
            final: absolute path that `root` will have in the end.
            videos: of the project, relative to `root`.

        Returns:
            What the layout cannot keep, one sentence each.
        """
        ...
