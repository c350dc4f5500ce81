"""Images of added frames."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from lp_core import DataError
from lp_io import read_image
from PIL import Image

from lp_viz.review.folder import inside, put
from lp_viz.review.frames import VideoFrames

OTHER = 12.0  # mean difference of grey levels above which an image that is there shows something else


def write_image(path: Path, frame: UInt8[np.ndarray, "height width 3"]) -> str | None:
    """Write a frame as PNG, unless its image is there already.

    Returns:
        What is in the way, if anything is; nothing was written then.
    """
    if path.exists():
        return _differs(path, frame)
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, lambda temporary: Image.fromarray(frame).save(temporary))
    return None


def shows(image: UInt8[np.ndarray, "h w 3"], frame: UInt8[np.ndarray, "height width 3"]) -> bool:
    """Whether an image is this frame, as far as its compression tells."""
    return image.shape == frame.shape and bool(np.abs(image.astype(np.int16) - frame).mean() <= OTHER)


def is_frame(root: Path, image: str, frames: VideoFrames, number: int) -> bool | None:
    """Whether an image of the project is frame `number`; None if either cannot be read."""
    try:
        there = read_image(inside(root, image))
        return number < frames.count and shows(there, frames.image(number))
    except DataError:
        return None


def _differs(path: Path, frame: np.ndarray) -> str | None:
    if not shows(read_image(path), frame):
        return f"{path} exists already and shows something else; move it away and save again."
    return None
