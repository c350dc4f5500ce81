"""Two runs on the same frames."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lp_viz.report.run import KNOWN, Labeled, Run

Errors = Float[np.ndarray, "frames keypoints"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Errors of both runs of one label file; NaN where either has none, so that both are of the same labels.

    Attributes:
        names: of the keypoints that both have.
        part: of the split, the same for both.
        first, second: errors in pixels of the original frame.
        rows: of the frame in the first and in the second table.
    """

    one: Labeled
    two: Labeled
    names: tuple[str, ...]
    part: np.ndarray
    first: Errors
    second: Errors
    rows: tuple[tuple[int, int], ...]

    @property
    def difference(self) -> Errors:
        """Second less first: below 0 where the second is better."""
        return self.second - self.first

    @property
    def per_frame(self) -> Float[np.ndarray, " frames"]:
        """The mean difference of each frame; NaN without labels."""
        return frame_means(self.difference)

    @property
    def fresh(self) -> np.ndarray:
        """Frames that neither was trained on."""
        return np.isin(self.part, KNOWN)

    def parts(self) -> list[str]:
        """Those of the split with a frame that both have an error of."""
        known = np.isfinite(self.first).any(-1)
        return [p for p in self.one.parts() if (known & (self.part == p)).any()]


def frame_means(values: Errors) -> Float[np.ndarray, " frames"]:
    """Of each frame over its known keypoints; NaN where there is none."""
    count = np.isfinite(values).sum(-1)
    return np.where(count > 0, np.nansum(values, -1) / np.maximum(count, 1), np.nan)


def paired(first: Run, second: Run, notes: list[str]) -> list[Pair]:
    """The label files that both were measured on; frames in different parts of the split are left out, and noted."""
    found = []
    for one in first.labeled:
        two = next((f for f in second.labeled if (f.camera, f.suffix) == (one.camera, one.suffix)), None)
        if two is not None and (pair := _pair(one, two, notes)):
            found.append(pair)
    if not found:
        notes.append(f"{first.name} and {second.name} have no labeled frame in common that both were measured on.")
    return found


def _pair(one: Labeled, two: Labeled, notes: list[str]) -> Pair | None:
    place = {name: row for row, name in enumerate(two.table.index)}
    both = [(row, place[name]) for row, name in enumerate(one.table.index) if name in place]
    rows = tuple((a, b) for a, b in both if one.part[a] == two.part[b])
    if len(rows) < len(both):
        notes.append(
            f"{len(both) - len(rows)} frames are left out: the runs have them in different parts of the split."
        )
    names = tuple(n for n in one.table.keypoint_names if n in two.table.keypoint_names)
    if not rows or not names:
        return None
    errors = [
        f.error[[r[i] for r in rows]][:, [f.table.keypoint_names.index(n) for n in names]]
        for i, f in enumerate((one, two))
    ]
    known = np.isfinite(errors[0]) & np.isfinite(errors[1])
    first, second = (np.where(known, e, np.nan) for e in errors)
    return Pair(one, two, names, one.part[[a for a, _ in rows]], first, second, rows)
