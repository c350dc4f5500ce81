"""Where the pictures of several cameras go in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from jaxtyping import UInt8
from lp_core import Size

HIGHEST = 2160  # pixels that several pictures together are high at most
GAP = 4


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Tiles of the same height in rows.

    Attributes:
        tiles: (height, width) of each.
        corners: (top, left) of each.
        size: (height, width) of all.
    """

    tiles: tuple[Size, ...]
    corners: tuple[tuple[int, int], ...]
    size: Size

    @classmethod
    def of(cls, sizes: Sequence[Size]) -> "Mosaic":
        """Pictures of `sizes`, stretched to the height of the first; one alone keeps its size."""
        columns = ceil(sqrt(len(sizes)))
        rows = ceil(len(sizes) / columns)
        height = sizes[0][0] if len(sizes) == 1 else min(sizes[0][0], HIGHEST // rows - GAP)
        tiles = tuple((height, max(1, round(w * height / h))) for h, w in sizes)
        widths = [max(t[1] for t in tiles[c::columns]) for c in range(columns)]
        lefts = [sum(widths[:c]) + c * GAP for c in range(columns)]
        corners = tuple((n // columns * (height + GAP), lefts[n % columns]) for n in range(len(tiles)))
        return cls(tiles, corners, (rows * (height + GAP) - GAP, sum(widths) + (columns - 1) * GAP))

    def join(self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "_ _ 3"]:
        """One picture of each tile's size → all in one."""
        if len(pictures) == 1:
            return pictures[0]
        out = np.zeros((*self.size, 3), np.uint8)
        for picture, (top, left) in zip(pictures, self.corners, strict=True):
            out[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        return out
