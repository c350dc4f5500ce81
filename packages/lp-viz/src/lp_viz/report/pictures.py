"""Frames with labels and predictions on them, as JPEG inside the page."""

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from lp_core import Resize

from lp_viz.colors import pose_colors
from lp_viz.draw import dot, line, ring, words
from lp_viz.report.markup import Child, Markup, tag

SIDE = 520  # of the longer side, in pixels
QUALITY = 78  # of the JPEG
RADIUS = 3.2
NAMED = 3  # keypoints whose names are written
FAINT = 0.1  # keypoints less sure are not drawn, as in `lpose render`
WHITE = (255, 255, 255)
Poses = Float[np.ndarray, "keypoints 2"]


def pose_picture(
    image: UInt8[np.ndarray, "height width 3"],
    predicted: Poses,
    labeled: Poses | None,
    names: Sequence[str],
    marked: Sequence[int] = (),
    before: Poses | None = None,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """A frame of at most `SIDE` pixels: labels as open circles, predictions as dots, a white line from one to the other.

    Args:
        image: RGB.
        predicted: in pixels of `image`; NaN = none.
        labeled: likewise; None = not a labeled frame.
        names: of the keypoints.
        marked: numbers of the keypoints whose names are written, and that get a white circle where there are no labels.
        before: the prediction of the frame before, from which white lines lead to the marked keypoints.
    """
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = np.ascontiguousarray(cv2.resize(image, size[::-1], interpolation=how))
    resize = Resize((height, width), size)
    points, truth = resize.forward(predicted), None if labeled is None else resize.forward(labeled)
    colors = pose_colors(names, len(names))
    if truth is not None:
        _labels(picture, points, truth, colors)
    for k in map(int, np.flatnonzero(np.isfinite(points).all(-1))):
        dot(picture, points[k], colors[k], RADIUS)
    named = [k for k in marked if np.isfinite(points[k]).all()]
    for k in named:
        if before is not None and np.isfinite(before[k]).all():
            line(picture, np.stack([resize.forward(before)[k], points[k]]), WHITE, 0.6 * RADIUS)
        if truth is None:
            ring(picture, points[k], WHITE, 3.5 * RADIUS)
    words(picture, [names[k] for k in named], points[named], [1.0] * len(named), [WHITE] * len(named), 2 * RADIUS)
    return picture


def drawn(
    predicted: Poses, confidence: Float[np.ndarray, " keypoints"], labeled: Poses | None = None
) -> Float[np.ndarray, "keypoints 2"]:
    """`predicted` without keypoints that nobody would use: less sure than `FAINT`, and not labeled."""
    shown = ~(confidence < FAINT)
    if labeled is not None:
        shown |= np.isfinite(labeled).all(-1)
    return np.where(shown[:, None], predicted, np.nan)


def _labels(picture: UInt8[np.ndarray, "rows columns 3"], points: Poses, truth: Poses, colors: Sequence) -> None:
    for k in map(int, np.flatnonzero(np.isfinite(truth).all(-1))):
        if np.isfinite(points[k]).all():
            line(picture, np.stack([truth[k], points[k]]), WHITE, 0.5 * RADIUS)
        ring(picture, truth[k], colors[k], 2.0 * RADIUS)


def embedded(picture: UInt8[np.ndarray, "rows columns 3"], alternative: str) -> Markup:
    """An `img` that holds the picture itself."""
    data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    text = base64.b64encode(data.tobytes()).decode()
    height, width = picture.shape[:2]
    return tag("img", src=f"data:image/jpeg;base64,{text}", alt=alternative, width=width, height=height, loading="lazy")


def figure(picture: UInt8[np.ndarray, "rows columns 3"], alternative: str, *caption: Child) -> Markup:
    """A picture with words below."""
    return tag("figure", embedded(picture, alternative), tag("figcaption", *caption))


def gallery(figures: Sequence[Markup]) -> Markup:
    """Side by side, as many as fit."""
    return tag("div", *figures, class_="gallery")


LEGEND = (
    "Open circle: the label. Dot of the same colour: the prediction. A white line joins the two; "
    "the worst keypoints are named. A dot alone: predicted, not labeled. Click a picture to enlarge it."
)
