"""Draws rows of predictions on frame after frame."""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import Resize

from lp_viz.colors import pose_colors
from lp_viz.draw import Image, dot_radius, limbs, line, opacities, word, words
from lp_viz.markers import MARKERS
from lp_viz.rows import Row
from lp_viz.style import RenderOptions

WHITE = (255, 255, 255)


class Artist:
    """One model's poses on the frames of one video; remembers what the trail needs.

    Args:
        names: of the keypoints.
        resize: from pixels of the video to those of the picture.
        options: what it looks like.
        marker: one of `MARKERS`.
    """

    def __init__(self, names: Sequence[str], resize: Resize, options: RenderOptions, marker: str = "dot") -> None:
        self._names, self._resize, self._options, self._mark = names, resize, options, MARKERS[marker]
        self._colors = pose_colors(names, len(names))
        self._thin = marker != "dot"
        self._past: deque[Float[np.ndarray, "keypoints 2"]] = deque(maxlen=options.trail + 1)

    def forget(self) -> None:
        """What comes does not go on from what was drawn."""
        self._past.clear()

    def draw(self, picture: UInt8[np.ndarray, "height width 3"], row: Row) -> None:
        """Put `row` on `picture`, in place."""
        keypoints, opacity = self._resize.forward(row[0]), opacities(*row, self._options)
        radius = dot_radius(picture, self._options)
        if self._options.trail:
            self._past.append(np.where(opacity[:, None] > 0, keypoints, np.nan))
            self._trail(picture, 0.8 * radius)
        points, alpha = keypoints.tolist(), opacity.tolist()
        width = radius * (0.35 if self._thin else 0.7)
        limbs(picture, points, alpha, self._colors, self._options.skeleton, width)
        for point, color, a in zip(points, self._colors, alpha, strict=True):
            self._mark(picture, point, color, radius, a)

    def name(self, picture: UInt8[np.ndarray, "height width 3"], row: Row) -> None:
        """Put the keypoints' names on `picture`, in place; on what all models have drawn."""
        points, opacity = self._resize.forward(row[0]).tolist(), opacities(*row, self._options).tolist()
        words(picture, self._names, points, opacity, self._colors, dot_radius(picture, self._options))

    def _trail(self, picture: Image, width: float) -> None:
        past = [points.tolist() for points in self._past]
        for age, (a, b) in enumerate(pairwise(past), start=1):
            for start, end, color in zip(a, b, self._colors, strict=True):
                line(picture, (start, end), color, width, 0.8 * age / len(past))


def legend(picture: Image, names: Sequence[str], top: float = 0.0) -> None:
    """Each model's marker and name in the upper left corner, in place."""
    step = max(14.0, min(picture.shape[:2]) / 26)
    for number, (name, mark) in enumerate(zip(names, MARKERS.values(), strict=False)):
        y = top + (number + 0.8) * step
        mark(picture, (0.8 * step, y), WHITE, 0.22 * step, 1.0)
        word(picture, name, (1.6 * step, y + 0.3 * step), WHITE)


def caption(picture: Image, text: str) -> None:
    """Words in the lower left corner, in place."""
    word(picture, text, (6.0, picture.shape[0] - 8.0), WHITE)
