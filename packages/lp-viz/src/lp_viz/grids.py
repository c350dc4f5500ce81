"""Example frames of a training side by side in one picture, for TensorBoard."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lp_viz.colors import keypoint_colors
from lp_viz.draw import dot, dot_radius, line, ring, word
from lp_viz.style import PoseStyle

GAP = 4  # pixels between tiles
TILE = 384  # tiles are enlarged until their shorter side has so many pixels
WHITE = (255, 255, 255)
Image = UInt8[np.ndarray, "height width 3"]
Resized = UInt8[np.ndarray, "rows columns 3"]  # of another size than what came in


def labels_grid(
    images: UInt8[np.ndarray, "images height width 3"],
    keypoints_targ: Float[np.ndarray, "images keypoints 2"],
    keypoints_pred: Float[np.ndarray, "images keypoints 2"],
    titles: Sequence[str] = (),
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Labels as open circles, predictions as filled dots of the same colour, a white line from one to the other.

    Args:
        images: RGB.
        keypoints_targ: labels in pixels of `images`; NaN = not labeled.
        keypoints_pred: predictions in pixels of `images`.
        titles: one per image, or none.
    """
    tiles = []
    for number, image in enumerate(images):
        tile, scale = _enlarged(image)
        targ, pred = ((k[number] + 0.5) * scale - 0.5 for k in (keypoints_targ, keypoints_pred))
        _compare(tile, targ, pred)
        tiles.append(_titled(tile, titles, number))
    return tiled(tiles)


def heatmaps_grid(
    images: UInt8[np.ndarray, "images height width 3"],
    heatmaps: Float[np.ndarray, "images keypoints h w"],
    titles: Sequence[str] = (),
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Each image, darkened, under its heatmaps; each keypoint in its own colour, as bright as its map's peak rises above the
    map's median.
    """
    tiles = []
    for number, image in enumerate(images):
        tile, _ = _enlarged(image)
        tiles.append(_titled(_glowing(tile, heatmaps[number]), titles, number))
    return tiled(tiles)


def limbs_grid(
    images: UInt8[np.ndarray, "images height width 3"],
    fields: Float[np.ndarray, "images two_per_limb h w"],
    titles: Sequence[str] = (),
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Each image, darkened, under its part affinity fields: the hue is the direction of the strongest limb, red to the right,
    yellow-green down, cyan to the left, violet up; the brightness its strength.

    Args:
        fields: for each limb the x and the y of a vector of length 1 at most, one after the other.
    """
    tiles = []
    for number, image in enumerate(images):
        tile, _ = _enlarged(image)
        tiles.append(_titled(_pointing(tile, fields[number]), titles, number))
    return tiled(tiles)


def tiled(tiles: Sequence[Image]) -> Resized:
    """Tiles of one size in a grid that is about as wide as high."""
    if not tiles:
        return np.zeros((1, 1, 3), np.uint8)
    height, width = tiles[0].shape[:2]
    columns = max(1, min(len(tiles), round(math.sqrt(len(tiles) * height / width))))
    rows = -(-len(tiles) // columns)
    out = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        y, x = number // columns * (height + GAP), number % columns * (width + GAP)
        out[y : y + height, x : x + width] = tile
    return out


def _enlarged(image: Image) -> tuple[Resized, int]:
    scale = max(1, -(-TILE // min(image.shape[:2])))
    if scale == 1:
        return np.ascontiguousarray(image).copy(), 1
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), scale


def _compare(tile: Image, targ: Float[np.ndarray, "keypoints 2"], pred: Float[np.ndarray, "keypoints 2"]) -> None:
    radius = dot_radius(tile, PoseStyle())
    colors = keypoint_colors(len(targ))
    for a, b in zip(targ, pred, strict=True):
        line(tile, np.stack([a, b]), WHITE, 0.5 * radius)
    for a, b, color in zip(targ, pred, colors, strict=True):
        ring(tile, a, color, 2.1 * radius)
        dot(tile, b, color, radius)


def _glowing(tile: Image, maps: Float[np.ndarray, "keypoints h w"]) -> Image:
    height, width = tile.shape[:2]
    glow = np.zeros((height, width, 3), np.float32)
    for values, color in zip(maps, keypoint_colors(len(maps)), strict=True):
        peak = np.nanmax(values)
        if peak > 0:
            above = (values - np.nanmedian(values)) / peak  # a map that says nothing is flat, and does not glow
            share = cv2.resize(above.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
            glow = np.maximum(glow, share.clip(0, 1)[..., None] * np.array(color, np.float32))
    strength = glow.max(-1, keepdims=True) / 255
    return (tile * 0.6 * (1 - strength) + glow).clip(0, 255).round().astype(np.uint8)


def _pointing(tile: Image, fields: Float[np.ndarray, "two_per_limb h w"]) -> Image:
    height, width = tile.shape[:2]
    vectors = fields.reshape(-1, 2, *fields.shape[1:])
    length = np.linalg.norm(vectors, axis=1)
    x, y = np.take_along_axis(vectors, length.argmax(0)[None, None], axis=0)[0]
    hue = np.degrees(np.arctan2(y, x)) % 360 / 2  # OpenCV's degrees are two
    strength = length.max(0).clip(0, 1)
    color = np.stack([hue, np.full_like(hue, 255), 255 * strength], axis=-1).round().astype(np.uint8)
    color = cv2.resize(cv2.cvtColor(color, cv2.COLOR_HSV2RGB), (width, height), interpolation=cv2.INTER_LINEAR)
    strength = cv2.resize(strength.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    return (tile * 0.6 * (1 - strength) + color).clip(0, 255).round().astype(np.uint8)


def _titled(tile: Image, titles: Sequence[str], number: int) -> Image:
    if number < len(titles):
        word(tile, titles[number], np.array([6.0, 16.0]), WHITE)
    return tile
