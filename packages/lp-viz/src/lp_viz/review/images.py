"""Images of added frames."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lp_viz.review.folder import put

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


def _differs(path: Path, frame: np.ndarray) -> str | None:
    with Image.open(path) as opened:
        there = np.asarray(opened.convert("RGB"), dtype=np.int16)
    if there.shape != frame.shape or np.abs(there - frame).mean() > OTHER:
        return f"{path} exists already and shows something else; move it away and save again."
    return None
