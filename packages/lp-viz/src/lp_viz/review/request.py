"""What the page may send, checked."""

import math
from collections.abc import Mapping
from typing import Any

from lp_core import NOT_LABELED, VISIBLE, DataError

from lp_viz.review.session import Place, Start


class RequestError(DataError):
    """The page sent something it should not."""


def whole(values: Mapping[str, Any], key: str, low: int = 0, high: int = 2**31) -> int:
    """A whole number from `low` to `high`.

    Raises:
        RequestError: missing or another value.
    """
    value = values.get(key)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if type(value) is not int or not low <= value <= high:
        raise RequestError(f"{key} must be a whole number from {low} to {high}.")
    return value


def number(values: Mapping[str, Any], key: str) -> float:
    """A finite number.

    Raises:
        RequestError: missing or another value.
    """
    value = values.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise RequestError(f"{key} must be a number.")
    return float(value)


def place_of(values: Mapping[str, Any]) -> Place:
    """`image`, or `video` and `frame`.

    Raises:
        RequestError: neither.
    """
    if "image" in values:
        return Place(image=whole(values, "image"))
    return Place(video=whole(values, "video"), frame=whole(values, "frame"))


def start_of(values: Mapping[str, Any]) -> Start:
    """`model` and `floor`, if they are given.

    Raises:
        RequestError: they are no numbers.
    """
    floor = number(values, "floor") if "floor" in values else 0.0
    return Start(model=whole(values, "model", 0, 1000) if "model" in values else 0, floor=floor)


def point_from(values: Mapping[str, Any]) -> tuple[float | None, float | None, int]:
    """`visibility`, and `x` and `y` unless they are null.

    Raises:
        RequestError: they are no numbers.
    """
    flag = whole(values, "visibility", NOT_LABELED, VISIBLE)
    if values.get("x") is None or values.get("y") is None:
        if flag == VISIBLE:
            raise RequestError("A visible point needs x and y.")
        return None, None, flag
    return number(values, "x"), number(values, "y"), flag
