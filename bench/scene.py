"""Animals in frames, as arrays: what targets are made of. NumPy only, so that DeepLabCut's environment runs it too."""

from dataclasses import dataclass

import numpy as np

BATCH, RADIUS, LOCREF_STD, WIDTH = 8, 17.0, 7.2801, 20.0  # frames, and DeepLabCut's sizes in pixels of the input


@dataclass(frozen=True, slots=True)
class Scene:
    """One batch of labeled frames.

    Attributes:
        size: (height, width) of the frames in pixels.
        stride: pixels per cell of a map.
        tree: limbs join each part to the next one only, not to all.
    """

    size: tuple[int, int]
    stride: int
    parts: int
    animals: int = 1
    tree: bool = False

    @property
    def cells(self) -> tuple[int, int]:
        """(height, width) of a map."""
        return self.size[0] // self.stride, self.size[1] // self.stride

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Limbs: pairs of parts."""
        last = [a + 2 if self.tree else self.parts for a in range(self.parts)]
        return [(a, b) for a in range(self.parts) for b in range(a + 1, min(last[a], self.parts))]

    @property
    def title(self) -> str:
        """As in the table."""
        return f"{BATCH} × {self.size[0]}×{self.size[1]} / {self.stride}, {self.animals} × {self.parts} keypoints"

    def points(self) -> np.ndarray:
        """Keypoints (batch, animals, parts, 2) in pixels, animals beside each other; always the same."""
        rng = np.random.default_rng(0)
        extent = np.array(self.size[::-1], dtype=np.float64)
        centres = rng.uniform(0.3, 0.7, (BATCH, self.animals, 1, 2))
        centres[..., 0] = (centres[..., 0] + np.arange(self.animals)[:, None]) / self.animals
        around = 0.06 * min(self.size) * rng.normal(size=(BATCH, self.animals, self.parts, 2))
        return np.clip(centres * extent + around, 1, extent - 2)

    def share_found(self, found: np.ndarray) -> float:
        """Share of the animals of which one of those found has every part, within 2 pixels."""
        distance = np.linalg.norm(self.points()[:, :, None] - found[:, None], axis=-1).max(-1)
        return float((np.nan_to_num(distance, nan=np.inf).min(-1) < 2).mean())


BIG, SMALL = ((448, 448), 8), ((256, 256), 4)
COUNTS = ((4, 1), (17, 1), (12, 3))  # keypoints, animals
SEVERAL, VIDEO = Scene((448, 448), 4, 12, 3), Scene((480, 640), 4, 12, 3)
CASES = {  # kind: scenes
    "gaussian": [Scene(size, stride, *count) for size, stride in (BIG, SMALL) for count in COUNTS],
    "plateau": [SEVERAL],
    "paf": [SEVERAL],
    "dekr": [SEVERAL],
    "grouping": [VIDEO, Scene((480, 640), 4, 12, 3, tree=True)],
}
