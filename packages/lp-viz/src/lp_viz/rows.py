"""Predictions row by row: from a file of any length, or from a table that is in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from lp_core import PoseTable
from lp_io import PredictionRows

Row = tuple[Float[np.ndarray, "keypoints 2"], Float[np.ndarray, " keypoints"]]  # keypoints, confidence


class Span(NamedTuple):
    """Consecutive frames, from `start` up to `stop`."""

    start: int
    stop: int
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one prediction table, in order, as often as they are asked for.

    Attributes:
        name: of the file, for messages.
    """

    source: PoseTable | PredictionRows
    name: str

    @classmethod
    def of(cls, predictions: Path | str | PoseTable) -> "Rows":
        """A table, or a CSV file of which only some rows are in memory at a time."""
        if isinstance(predictions, PoseTable):
            return cls(predictions, "the table of predictions")
        return cls(PredictionRows(predictions), str(predictions))

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """In file order."""
        return self.source.keypoint_names

    def __len__(self) -> int:
        return len(self.source.index) if isinstance(self.source, PoseTable) else len(self.source)

    def chunks(self) -> Iterator[PoseTable]:
        """All rows, some at a time."""
        if isinstance(self.source, PoseTable):
            yield self.source
        else:
            yield from self.source.chunks()

    def within(self, spans: Sequence[Span]) -> Iterator[Row]:
        """The rows of `spans`, which are in order and do not overlap."""
        start, wanted = 0, [*spans]
        for chunk in self.chunks():
            stop = start + len(chunk.index)
            while wanted and wanted[0].start < stop:
                span = wanted[0]
                for row in range(max(span.start, start) - start, min(span.stop, stop) - start):
                    yield chunk.keypoints[row], chunk.confidence[row]
                if span.stop > stop:
                    break
                wanted.pop(0)
            start = stop
            if not wanted:
                return
