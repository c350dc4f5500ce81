"""Labels of one frame, as the journal, the label files and the page exchange them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from lp_core import NOT_LABELED, OCCLUDED, VISIBLE, DataError, Size

Point = tuple[float | None, float | None, int]  # x and y in pixels of the original image, visibility as in COCO
Pose = tuple[Point, ...]
NOWHERE: Point = (None, None, NOT_LABELED)
DIGITS = 3  # of a pixel that are kept of what is corrected
SAME = 1e-6  # pixels by which equal labels may differ after a file's rounding


def point_of(x: float, y: float, visibility: float = math.nan) -> Point:
    """A point from a label file's cells; NaN = an empty cell."""
    known = math.isfinite(x) and math.isfinite(y)
    flag = int(visibility) if math.isfinite(visibility) else VISIBLE if known else NOT_LABELED
    return (float(x), float(y), flag) if known else (None, None, flag)


def placed(x: float, y: float, visibility: int, size: Size) -> Point:
    """A corrected point, rounded.

    Raises:
        DataError: outside an image of `size` (height, width), or not a number.
    """
    height, width = size
    if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
        raise DataError(f"({x:g}, {y:g}) is outside the image of {width}×{height} pixels; put the point inside.")
    return round(float(x), DIGITS), round(float(y), DIGITS), OCCLUDED if visibility == OCCLUDED else VISIBLE


def predicted_pose(
    keypoints: Float[np.ndarray, "keypoints 2"], confidence: Float[np.ndarray, " keypoints"], floor: float, size: Size
) -> Pose:
    """Predicted points of at least `floor` confidence that lie in the image; the others are not labeled."""
    limit = np.array([size[1], size[0]]) - 0.5
    inside = ((keypoints >= -0.5) & (keypoints <= limit)).all(-1) & (np.nan_to_num(confidence) >= floor)
    return tuple(
        placed(float(x), float(y), VISIBLE, size) if ok else NOWHERE
        for (x, y), ok in zip(keypoints, inside, strict=True)
    )


def same(a: Pose | None, b: Pose | None) -> bool:
    """Whether two poses say the same; None is a frame that is not labeled at all."""
    if a is None or b is None:
        return a is b
    return len(a) == len(b) and all(map(_same_point, a, b))


def _same_point(a: Point, b: Point) -> bool:
    near = all((p is None and q is None) or (p is not None and q is not None and abs(p - q) <= SAME)
               for p, q in zip(a[:2], b[:2], strict=True))  # fmt: skip
    return near and a[2] == b[2]


def without_occluded(pose: Pose | None) -> Pose | None:
    """As a layout that knows no occlusion keeps it: an occluded point with a position is a label, one without is none."""
    if pose is None:
        return None
    return tuple((x, y, VISIBLE if x is not None and flag else NOT_LABELED) for x, y, flag in pose)


def pose_from_json(value: Any, count: int) -> Pose | None:
    """What the journal holds.

    Raises:
        ValueError: it is no pose of `count` points.
    """
    if value is None:
        return None
    if len(value) != count:
        raise ValueError(f"a pose of {len(value)} keypoints where there are {count}")
    return tuple(_point_from_json(point) for point in value)


def _point_from_json(point: Sequence[Any]) -> Point:
    x, y, flag = point
    return (None, None, int(flag)) if x is None or y is None else (float(x), float(y), int(flag))
