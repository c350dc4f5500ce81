"""When each frame of a video is shown, in next to no memory where frames are equally spaced."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

BLOCK = 1 << 14  # steps looked at together


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """Increasing whole numbers.

    Attributes:
        first: the first of them.
        step: from each to the next one, where it is the same everywhere; 0 where it is not.
        count: of the numbers.
        later: how much above the first each one is; empty where `step` tells.
    """

    first: int
    step: int
    count: int
    later: Int[np.ndarray, " later"]

    @classmethod
    def of(cls, values: Int[np.ndarray, " frames"]) -> "FrameTimes":
        """Keep `values`, which increase."""
        first, count = int(values[0]) if len(values) else 0, len(values)
        step = int(values[1] - values[0]) if count > 1 else 1
        if all((some == step).all() for some in steps(values)):
            return cls(first, step, count, np.empty(0, np.int32))
        later = values - first
        return cls(first, 0, count, later.astype(np.int32) if later[-1] <= np.iinfo(np.int32).max else later)

    def __len__(self) -> int:
        return self.count

    def at(self, place: int) -> int:
        """The number at `place`."""
        return self.first + (place * self.step if self.step else int(self.later[place]))

    def find(self, value: int) -> int | None:
        """Where `value` is; None if it is not among them."""
        if self.step:
            place, rest = divmod(value - self.first, self.step)
            return place if not rest and 0 <= place < self.count else None
        place = int(self.later.searchsorted(value - self.first))
        return place if place < self.count and self.at(place) == value else None

    def all(self) -> Int[np.ndarray, " frames"]:
        """All of them, as many bytes as they take."""
        later = np.arange(self.count) * self.step if self.step else self.later.astype(np.int64)
        return self.first + later

    def spacing(self) -> tuple[float, int, int]:
        """The median, the smallest and the largest step; zeros if there is none."""
        if self.step:
            return (float(self.step), self.step, self.step) if self.count > 1 else (0.0, 0, 0)
        counted: Counter[int] = Counter()
        for some in steps(self.later):
            counted.update(dict(zip(*(part.tolist() for part in np.unique(some, return_counts=True)), strict=True)))
        middle = (self.count - 2) // 2, (self.count - 1) // 2
        return sum(_nth(counted, n) for n in middle) / 2, min(counted), max(counted)


def increases(values: Int[np.ndarray, " frames"]) -> bool:
    """Whether each number is above the one before."""
    return all((some > 0).all() for some in steps(values))


def steps(values: Int[np.ndarray, " frames"]) -> Iterator[Int[np.ndarray, " steps"]]:
    """From each number to the next one, in parts."""
    for start in range(0, len(values) - 1, BLOCK):
        yield np.diff(values[start : start + BLOCK + 1])


def _nth(counted: Counter[int], n: int) -> int:
    for value in sorted(counted):
        n -= counted[value]
        if n < 0:
            return value
    raise IndexError(n)
