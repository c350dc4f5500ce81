"""Pictures of equal size with a caption, for contact sheets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from lp_io import atomic_path
from PIL import Image

from lp_viz.draw import FONT
from lp_viz.grids import tiled

HEIGHT, WIDTH = 320, 400  # pixels of a tile without its caption
LINE = 18  # pixels of a line of the caption
DARK, LIGHT, GREY = (24, 24, 24), (240, 240, 240), (70, 70, 70)
SCALE = 0.42
MARGIN = 0.25  # of the longer side of a pose, shown round it

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the image
Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image, enlarged or reduced, in the middle of a tile."""

    picture: Picture
    scale: float
    offset: Float[np.ndarray, "2"]

    def places(self, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
        """Pixels of the image → pixels of the tile."""
        return points * self.scale + self.offset


def tile_of(image: UInt8[np.ndarray, "h w 3"], box: Box | None = None) -> Tile:
    """`box` of the image (all of it if not given) as large as a tile allows; what lies outside the image is grey."""
    left, top, right, bottom = box or (-0.5, -0.5, image.shape[1] - 0.5, image.shape[0] - 0.5)
    scale = min(WIDTH / (right - left), HEIGHT / (bottom - top))
    offset = (np.array([WIDTH, HEIGHT]) - 1) / 2 - scale * np.array([left + right, top + bottom]) / 2
    if scale < 1:
        image = cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    picture = cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderValue=GREY)
    return Tile(np.asarray(picture, np.uint8), scale, offset)


def box_round(
    points: Float[np.ndarray, "points 2"], image: UInt8[np.ndarray, "h w 3"], least: float = 48.0
) -> Box | None:
    """A box with a margin round the points, `least` pixels wide and high at least, which leaves the image only where a point
    does; None if there is no point.
    """
    points = points[np.isfinite(points).all(-1)]
    if not len(points):
        return None
    low, high = points.min(0), points.max(0)
    half = np.maximum((high - low) / 2 + MARGIN * float((high - low).max()), least / 2)
    middle, end = (low + high) / 2, np.array([image.shape[1], image.shape[0]]) - 0.5
    left, top = np.maximum(middle - half, np.minimum(low - 0.1 * least, -0.5))
    right, bottom = np.minimum(middle + half, np.maximum(high + 0.1 * least, end))
    return float(left), float(top), float(right), float(bottom)


def captioned(pictures: Sequence[Picture], texts: Sequence[str], lines: int = 3) -> UInt8[np.ndarray, "rows columns 3"]:
    """Pictures side by side above texts, each from a new line, cut after `lines` lines."""
    row = np.concatenate(list(pictures), axis=1)
    broken = [line for text in texts for line in _broken(text, row.shape[1] - 10)][:lines]
    strip = np.full((LINE * lines + 8, row.shape[1], 3), DARK, np.uint8)
    for number, text in enumerate(broken):
        cv2.putText(strip, text, (5, LINE * (number + 1)), FONT, SCALE, LIGHT, 1, cv2.LINE_AA)
    return np.concatenate([row, strip])


def _broken(text: str, width: int) -> list[str]:
    """Lines of words that fit."""
    text = text.replace("×", "x").encode("ascii", "replace").decode()  # the font has no other letters
    found = [""]
    for part in text.split(" "):
        longer = f"{found[-1]} {part}".strip()
        if found[-1] and cv2.getTextSize(longer, FONT, SCALE, 1)[0][0] > width:
            found.append(part)
        else:
            found[-1] = longer
    return found


def write_sheet(path: Path, tiles: Sequence[Picture]) -> Path:
    """A PNG with tiles of one size in a grid."""
    with atomic_path(path) as temporary:
        Image.fromarray(tiled(tiles)).save(temporary)
    return path
