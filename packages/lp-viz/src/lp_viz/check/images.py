"""One look at every labeled image: whether it opens, its size, and a small grey copy to compare with others."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from lp_core import DataError, Size
from lp_io import read_image

LONGER = 96  # pixels of a thumbnail's longer side

Thumbnail = Float[np.ndarray, "thumb_height thumb_width"]


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one image.

    Attributes:
        size: (height, width); None if it cannot be read.
        thumbnail: grey values, 0 to 255.
        digest: equal for images with equal pixels.
        problem: why it cannot be read.
    """

    size: Size | None = None
    thumbnail: Thumbnail | None = None
    digest: str = ""
    problem: str = ""


def look_at(paths: Sequence[Path]) -> list[Look]:
    """Every image, read once."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_look, paths))


def _look(path: Path) -> Look:
    try:
        image = read_image(path)
    except DataError as e:
        return Look(problem=str(e))
    digest = hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).hexdigest()
    return Look((image.shape[0], image.shape[1]), thumbnail(image), digest)


def thumbnail(image: UInt8[np.ndarray, "height width 3"], longer: int = LONGER) -> Thumbnail:
    """A grey copy whose longer side has `longer` pixels, each the mean of the area it stands for."""
    height, width = image.shape[:2]
    scale = longer / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA).astype(np.float32)
