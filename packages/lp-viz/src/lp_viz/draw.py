"""Dots, lines and words on a picture, at fractions of a pixel."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from lp_viz.colors import pose_colors
from lp_viz.style import PoseStyle

Color = tuple[int, int, int]
Image = UInt8[np.ndarray, "height width 3"]
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
    Not drawn: keypoints that are NaN or below
    `style.min_confidence`, and lines with such an end.

    Args:
        image: RGB.
        keypoints: (x, y) in pixels of `image`, whose top-left pixel has its centre at (0, 0).
        confidence: 0 to 1; all sure if not given.
        style: what it looks like.
        names: of the keypoints, for `style.names`, and to tell animals apart.
    """
    style = style or PoseStyle()
    sure = np.ones(len(keypoints)) if confidence is None else np.nan_to_num(np.asarray(confidence, dtype=np.float64))
    shown = np.isfinite(keypoints).all(-1) & (sure >= style.min_confidence)
    opacity = np.where(shown, style.faintest + (1 - style.faintest) * sure.clip(0, 1), 0.0)
    out, radius, colors = (
        np.ascontiguousarray(image).copy(),
        dot_radius(image, style),
        pose_colors(names, len(keypoints)),
    )
    for a, b in style.skeleton:
        line(out, keypoints[[a, b]], mixed(colors[a], colors[b]), radius * 0.7, min(opacity[a], opacity[b]))
    for point, color, alpha in zip(keypoints, colors, opacity, strict=True):
        dot(out, point, color, radius, alpha)
    if style.names:
        for point, name, color, alpha in zip(keypoints, names, colors, opacity, strict=False):
            word(out, name, point + radius * np.array([1.6, 1.0]), color, alpha)
    return out


def dot_radius(image: Image, style: PoseStyle) -> float:
    """Of a dot, in pixels of `image`."""
    return style.radius if style.radius is not None else max(2.0, min(image.shape[:2]) / 110)


def mixed(a: Color, b: Color) -> Color:
    """The colour half-way."""
    return (a[0] + b[0]) // 2, (a[1] + b[1]) // 2, (a[2] + b[2]) // 2


def dot(image: Image, center: np.ndarray, color: Color, radius: float, opacity: float = 1.0) -> None:
    """A filled disc with a dark edge, in place; nothing if `opacity` is 0."""
    edge = max(1.0, 0.25 * radius)

    def paint(part: Image, origin: np.ndarray) -> None:
        at = _fixed(center - origin)
        for r, c in ((radius + edge, EDGE), (radius, color)):
            cv2.circle(part, at, round(r * 2**BITS), c, cv2.FILLED, cv2.LINE_AA, BITS)

    _blend(image, np.stack([center, center]), radius + edge + 2, opacity, paint)


def ring(image: Image, center: np.ndarray, color: Color, radius: float, opacity: float = 1.0) -> None:
    """An open circle with a dark edge, in place."""
    thickness = max(1, round(0.25 * radius))

    def paint(part: Image, origin: np.ndarray) -> None:
        at, r = _fixed(center - origin), round(radius * 2**BITS)
        cv2.circle(part, at, r, EDGE, thickness + 2, cv2.LINE_AA, BITS)
        cv2.circle(part, at, r, color, thickness, cv2.LINE_AA, BITS)

    _blend(image, np.stack([center, center]), radius + thickness + 3, opacity, paint)


def line(image: Image, ends: np.ndarray, color: Color, width: float, opacity: float = 1.0) -> None:
    """A straight line between the two rows of `ends`, in place; nothing if `opacity` is 0."""

    def paint(part: Image, origin: np.ndarray) -> None:
        a, b = (_fixed(end - origin) for end in ends)
        cv2.line(part, a, b, color, max(1, round(width)), cv2.LINE_AA, BITS)

    _blend(image, ends, width + 2, opacity, paint)


def word(image: Image, text: str, origin: np.ndarray, color: Color, opacity: float = 1.0) -> None:
    """Text whose lower left corner is at `origin`, or left of it where there is no room, with a dark edge, in place."""
    scale = max(0.35, min(image.shape[:2]) / 1100)
    (width, height), below = cv2.getTextSize(text, FONT, scale, 1)
    origin = np.minimum(origin, (max(0, image.shape[1] - width - 2), image.shape[0]))

    def paint(part: Image, corner: np.ndarray) -> None:
        x, y = (origin - corner).round().astype(int).tolist()
        for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            cv2.putText(part, text, (x + dx, y + dy), FONT, scale, EDGE, 1, cv2.LINE_AA)
        cv2.putText(part, text, (x, y), FONT, scale, color, 1, cv2.LINE_AA)

    if np.isfinite(origin).all():
        corners = origin + np.array([[0, below], [width, -height]])
        _blend(image, corners, 3.0, opacity, paint)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    x, y = (point * 2**BITS).round().astype(int).tolist()
    return x, y


def _blend(
    image: Image, points: np.ndarray, margin: float, opacity: float, paint: Callable[[Image, np.ndarray], None]
) -> None:
    """Let `paint` draw on the part of `image` around `points` and mix the result in with `opacity`."""
    if not opacity > 0 or not np.isfinite(points).all():
        return
    height, width = image.shape[:2]
    low = np.clip(np.floor(points.min(0) - margin), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(points.max(0) + margin) + 1, 0, (width, height)).astype(int)
    if (high <= low).any():
        return
    part = image[low[1] : high[1], low[0] : high[0]]
    painted = part.copy()
    paint(painted, low)
    part[:] = cv2.addWeighted(painted, float(opacity), part, 1 - float(opacity), 0)
