"""Several animals in one frame, on one axis of keypoints. NumPy only."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, slots=True, kw_only=True)
class Animals:
    """How an axis of keypoints is divided: the parts of the first animal, of the second, …, then unique points.

    Attributes:
        individuals: names of the animals; a frame has at most so many.
        parts: names of the body parts, the same for every animal.
        unique: names of points that a frame has once, a corner of the arena for instance.
        skeleton: pairs of numbers of parts joined by a line.
    """

    individuals: tuple[str, ...]
    parts: tuple[str, ...]
    unique: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """`<animal>/<part>` for every animal, then the unique points."""
        return (*(f"{animal}/{part}" for animal in self.individuals for part in self.parts), *self.unique)

    @classmethod
    def of(cls, keypoint_names: tuple[str, ...]) -> "Animals | None":
        """What names of the form `<animal>/<part>` say; None unless there are several animals with the same parts."""
        owners = [name.partition("/")[0] for name in keypoint_names if "/" in name]
        individuals = tuple(dict.fromkeys(owners))
        parts = tuple(n.partition("/")[2] for n in keypoint_names[: owners.count(individuals[0]) if owners else 0])
        found = cls(individuals=individuals, parts=parts, unique=keypoint_names[len(owners) :])
        return found if len(individuals) > 1 and found.keypoint_names == keypoint_names else None

    @property
    def owned(self) -> int:
        """Length of the part of the axis that belongs to animals."""
        return len(self.individuals) * len(self.parts)


@runtime_checkable
class AnimalTracker(Protocol):
    """Follows animals through a video, frame by frame."""

    def update(
        self, keypoints: Float[np.ndarray, "animals keypoints 2"], confidence: Float[np.ndarray, "animals keypoints"]
    ) -> Int[np.ndarray, " animals"]:
        """The animals found in the next frame, in original pixels (all NaN = none) → number of each one's track, −1 = none.

        Numbers start at 0, are given in order of appearance and never again.
        """
        ...
