"""One shape per model, so that several can be drawn on one frame: the first filled, the others open round it."""

from collections.abc import Callable

import cv2
import numpy as np

from lp_viz.draw import BITS, EDGE, Color, Image, Point, blend, dot, fixed, ring

Marker = Callable[[Image, Point, Color, float, float], None]  # image, centre, colour, radius of a dot, opacity
OPEN = 1.9  # times a dot's radius
CORNERS = {
    "square": (4, 45),
    "triangle": (3, -90),
    "diamond": (4, 0),
    "pentagon": (5, -90),
}  # how many, first at degrees


def _open_circle(image: Image, center: Point, color: Color, radius: float, opacity: float) -> None:
    ring(image, center, color, OPEN * radius, opacity)


def _open_polygon(corners: int, degrees: float) -> Marker:
    angles = np.radians(degrees + 360 / corners * np.arange(corners))
    unit = np.stack([np.cos(angles), np.sin(angles)], -1)

    def draw(image: Image, center: Point, color: Color, radius: float, opacity: float) -> None:
        x, y = center
        offsets, thick = (1.2 * OPEN * radius * unit).tolist(), max(1, round(0.3 * radius))

        def paint(part: Image, left: float, top: float) -> None:
            at = np.array([fixed(x + dx - left, y + dy - top) for dx, dy in offsets], dtype=np.int32)
            cv2.polylines(part, [at], True, EDGE, thick + 2, cv2.LINE_AA, BITS)
            cv2.polylines(part, [at], True, color, thick, cv2.LINE_AA, BITS)

        blend(image, [center], 1.3 * OPEN * radius + thick + 3, opacity, paint)

    return draw


MARKERS: dict[str, Marker] = {"dot": dot, **{n: _open_polygon(*c) for n, c in CORNERS.items()}, "circle": _open_circle}
