"""What a check of labels can find."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

ERROR, WARNING, NOTE = "error", "warning", "note"
KINDS = {  # in the order of the report: severity, what there is to do
    "unreadable": (ERROR, "replace the image or take its row out: training stops at it"),
    "listed twice": (ERROR, "keep one row per image: training stops at it"),
    "outside": (ERROR, "correct the label or empty its cells: training stops at it"),
    "never labeled": (ERROR, "label some or take the columns out: training stops at it"),
    "conflict": (WARNING, "the same picture with different labels: keep the right one"),
    "swap": (WARNING, "look whether the two names are swapped, and swap them back"),
    "outlier": (WARNING, "look whether the label is where it belongs; a rare pose is right and stays"),
    "duplicate": (WARNING, "the same picture with the same labels: keep one"),
    "identical": (NOTE, "right where one hides the other; otherwise move one or empty its cells"),
    "rarely labeled": (NOTE, "label more of them, or expect larger errors there"),
    "no label": (NOTE, "label the frame or take its row out; empty rows teach nothing"),
    "leakage": (NOTE, "label frames further apart, or keep a whole video apart in CollectedData_new.csv"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to look at.

    Attributes:
        kind: a key of `KINDS`.
        what: one clause about it.
        row: of the frame in the labels; None if it is not about a frame.
        other: a second frame.
        keypoints: it is about, as columns of the labels.
        expected: where they should be, in pixels of the image.
        value: how strong it is; larger is worse, comparable within a kind only.
    """

    kind: str
    what: str
    row: int | None = None
    other: int | None = None
    keypoints: tuple[int, ...] = ()
    expected: Float[np.ndarray, "keypoints 2"] | None = None
    value: float = 0.0

    @property
    def severity(self) -> str:
        """error: training stops; warning: probably a mistake; note: good to know."""
        return KINDS[self.kind][0]


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """By kind, and the strongest of each kind first."""
    kinds = list(KINDS)
    return sorted(findings, key=lambda f: (kinds.index(f.kind), -f.value, f.row if f.row is not None else -1))
