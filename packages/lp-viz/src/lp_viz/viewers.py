"""What a viewer is, and how to find one: entry points of the group `lp.viewers` name config classes."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from lp_core import LabelSet, PoseTable
from lp_core.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What runs have predicted.

    Attributes:
        runs: directories by name.
        labels: of the project that the first run was trained on.
        predictions: of the labeled frames, by the run's name.
        videos: for each, the prediction tables by the run's name.
        skeleton: pairs of keypoint numbers joined by a line; of several animals, of numbers of parts.
    """

    runs: Mapping[str, Path]
    labels: LabelSet | None = None
    predictions: Mapping[str, PoseTable] = field(default_factory=dict)
    videos: Mapping[Path, Mapping[str, Path]] = field(default_factory=dict)
    skeleton: tuple[tuple[int, int], ...] = ()


@runtime_checkable
class Viewer(Protocol):
    """Shows results in a program of its own."""

    def show(self, results: Results) -> None:
        """Show them until the user ends it. Raises `LpError` in one sentence if it cannot."""
        ...


@dataclass(slots=True, kw_only=True)
class ViewerConfig(abc.ABC):
    """Chooses a viewer.

    Attributes:
        reads: what it needs of `Results` besides `runs`: nothing, or predictions.
    """

    reads: str = field(default="predictions", init=False)

    @abc.abstractmethod
    def build(self) -> Viewer:
        """Raises `ConfigError` if what it needs is not installed."""


viewers: Registry[ViewerConfig] = Registry("lp.viewers", ViewerConfig)
