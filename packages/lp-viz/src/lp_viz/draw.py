"""Dots, lines and words on a picture, at fractions of a pixel."""

from collections.abc import Callable, Sequence
from math import ceil, floor, isfinite

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lp_viz.colors import pose_colors
from lp_viz.style import PoseStyle

Color = tuple[int, int, int]
Image = UInt8[np.ndarray, "height width 3"]
Point = Sequence[float] | np.ndarray  # (x, y) in pixels
Points = Sequence[Point] | np.ndarray
Box = tuple[float, float, float, float]  # left, top, right, bottom
SURE = 0.97  # opacity from which on what lies behind is not worth mixing in
BITS = 5  # OpenCV takes coordinates as integers with this many binary digits behind the point
EDGE: Color = (20, 20, 20)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_pose(
    image: UInt8[np.ndarray, "height width 3"],
    keypoints: Float[np.ndarray, "keypoints 2"],
    confidence: Float[np.ndarray, " keypoints"] | None = None,
    style: PoseStyle | None = None,
    names: Sequence[str] = (),
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy of `image` with one pose on it.

    Each keypoint has a colour of its own, or that of its animal where there are several, and is as opaque as it is sure.
    Not drawn: keypoints that are NaN or below `style.min_confidence`, and lines with such an end.

    Args:
        image: RGB.
        keypoints: (x, y) in pixels of `image`, whose top-left pixel has its centre at (0, 0).
        confidence: 0 to 1; all sure if not given.
        style: what it looks like.
        names: of the keypoints, for `style.names`, and to tell animals apart.
    """
    style, out = style or PoseStyle(), np.ascontiguousarray(image).copy()
    sure = np.ones(len(keypoints)) if confidence is None else np.asarray(confidence, dtype=np.float64)
    radius, colors, points = dot_radius(image, style), pose_colors(names, len(keypoints)), keypoints.tolist()
    opacity = opacities(np.asarray(keypoints, dtype=np.float64), sure, style).tolist()
    limbs(out, points, opacity, colors, style.skeleton, radius * 0.7)
    for point, color, alpha in zip(points, colors, opacity, strict=True):
        dot(out, point, color, radius, alpha)
    if style.names:
        words(out, names, points, opacity, colors, radius)
    return out


def opacities(
    keypoints: Float[np.ndarray, "keypoints 2"], confidence: Float[np.ndarray, " keypoints"], style: PoseStyle
) -> Float[np.ndarray, " keypoints"]:
    """0 for what is not drawn, else between `style.faintest` and 1."""
    sure = np.nan_to_num(confidence)
    shown = np.isfinite(keypoints).all(-1) & (sure >= style.min_confidence)
    return np.where(shown, style.faintest + (1 - style.faintest) * sure.clip(0, 1), 0.0)


def limbs(
    image: Image,
    points: Points,
    opacity: Sequence[float],
    colors: Sequence[Color],
    pairs: Sequence[Sequence[int]],
    width: float,
) -> None:
    """A line for each pair of keypoint numbers, in place, as opaque as its fainter end."""
    for a, b in pairs:
        line(image, (points[a], points[b]), mixed(colors[a], colors[b]), width, min(opacity[a], opacity[b]))


def words(
    image: Image,
    names: Sequence[str],
    points: Points,
    opacity: Sequence[float],
    colors: Sequence[Color],
    radius: float,
) -> None:
    """The name of each keypoint beside it, in place, where it hides no other name if there is such a place."""
    taken: list[Box] = []
    for point, name, color, alpha in zip(points, names, colors, opacity, strict=False):
        if alpha > 0:
            boxes = _beside(image, name, point, radius)
            box = next((one for one in boxes if not any(_overlap(one, other) for other in taken)), boxes[0])
            taken.append(box)
            word(image, name, (box[0], box[3]), color, alpha)


def _beside(image: Image, name: str, point: Point, radius: float) -> list[Box]:
    """Where a name could be: right or left of its point, or there a line further down or up; inside the picture, or nowhere."""
    x, y, (width, height) = float(point[0]), float(point[1]), extent(image, name)
    sides, step = (x + 1.6 * radius, x - 1.6 * radius - width), 1.4 * height
    spots = [(left, y + radius + n * step) for n in (0, 1, -1, 2, -2) for left in sides]
    boxes = [(left, low - height, left + width, low) for left, low in spots]
    inside = [
        box for box in boxes if box[0] >= 0 and box[1] >= 0 and box[2] < image.shape[1] and box[3] < image.shape[0]
    ]
    return inside or boxes


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def extent(image: Image, text: str) -> tuple[float, float]:
    """Width and height of a word on `image`, in pixels."""
    width, height = cv2.getTextSize(text, FONT, _scale(image), 1)[0]
    return width, height


def _scale(image: Image) -> float:
    return max(0.35, min(image.shape[:2]) / 1100)


def dot_radius(image: Image, style: PoseStyle) -> float:
    """Of a dot, in pixels of `image`."""
    return style.radius if style.radius is not None else max(2.0, min(image.shape[:2]) / 110)


def mixed(a: Color, b: Color) -> Color:
    """The colour half-way."""
    return (a[0] + b[0]) // 2, (a[1] + b[1]) // 2, (a[2] + b[2]) // 2


def dot(image: Image, center: Point, color: Color, radius: float, opacity: float = 1.0) -> None:
    """A filled disc with a dark edge, in place; nothing if `opacity` is 0."""
    (x, y), edge = center, max(1.0, 0.25 * radius)

    def paint(part: Image, left: float, top: float) -> None:
        at = fixed(x - left, y - top)
        for r, c in ((radius + edge, EDGE), (radius, color)):
            cv2.circle(part, at, round(r * 2**BITS), c, cv2.FILLED, cv2.LINE_AA, BITS)

    blend(image, [center], radius + edge + 2, opacity, paint)


def ring(image: Image, center: Point, color: Color, radius: float, opacity: float = 1.0) -> None:
    """An open circle with a dark edge, in place."""
    (x, y), thickness = center, max(1, round(0.25 * radius))

    def paint(part: Image, left: float, top: float) -> None:
        at, r = fixed(x - left, y - top), round(radius * 2**BITS)
        cv2.circle(part, at, r, EDGE, thickness + 2, cv2.LINE_AA, BITS)
        cv2.circle(part, at, r, color, thickness, cv2.LINE_AA, BITS)

    blend(image, [center], radius + thickness + 3, opacity, paint)


def line(image: Image, ends: Points, color: Color, width: float, opacity: float = 1.0) -> None:
    """A straight line between the two points of `ends`, in place; nothing if `opacity` is 0."""

    def paint(part: Image, left: float, top: float) -> None:
        a, b = (fixed(x - left, y - top) for x, y in ends)
        cv2.line(part, a, b, color, max(1, round(width)), cv2.LINE_AA, BITS)

    blend(image, ends, width + 2, opacity, paint)


def word(image: Image, text: str, origin: Point, color: Color, opacity: float = 1.0) -> None:
    """Text whose lower left corner is at `origin`, or left of it where there is no room, with a dark edge, in place."""
    scale = _scale(image)
    (width, height), below = cv2.getTextSize(text, FONT, scale, 1)
    origin = min(origin[0], max(0, image.shape[1] - width - 2)), min(origin[1], image.shape[0])

    def paint(part: Image, left: float, top: float) -> None:
        x, y = round(origin[0] - left), round(origin[1] - top)
        for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            cv2.putText(part, text, (x + dx, y + dy), FONT, scale, EDGE, 1, cv2.LINE_AA)
        cv2.putText(part, text, (x, y), FONT, scale, color, 1, cv2.LINE_AA)

    corners = [(origin[0], origin[1] + below), (origin[0] + width, origin[1] - height)]
    blend(image, corners, 3.0, opacity, paint)


def fixed(x: float, y: float) -> tuple[int, int]:
    """As OpenCV takes fractions of a pixel."""
    return round(x * 2**BITS), round(y * 2**BITS)


def blend(
    image: Image, points: Points, margin: float, opacity: float, paint: Callable[[Image, float, float], None]
) -> None:
    """Let `paint` draw on the part of `image` around `points` and mix the result in with `opacity`."""
    xs, ys = zip(*points, strict=True)
    if not opacity > 0 or not all(map(isfinite, (*xs, *ys))):
        return
    height, width = image.shape[:2]
    left, right = max(floor(min(xs) - margin), 0), min(ceil(max(xs) + margin) + 1, width)
    top, bottom = max(floor(min(ys) - margin), 0), min(ceil(max(ys) + margin) + 1, height)
    if right <= left or bottom <= top:
        return
    part = image[top:bottom, left:right]
    if opacity >= SURE:
        paint(part, left, top)
        return
    painted = part.copy()
    paint(painted, left, top)
    cv2.addWeighted(painted, opacity, part, 1 - opacity, 0, part)
