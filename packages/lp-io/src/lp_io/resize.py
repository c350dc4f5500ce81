"""Frames that are arrays already, resized as `VideoReader` resizes those of a file."""

import av
import numpy as np
from jaxtyping import UInt8
from lp_core import Size

from lp_io.video_rgb import RgbFrames


class FrameResizer:
    """Stretches RGB frames of any size to one size: swscale, with the settings of `VideoReader`.

    A frame of a file that went through RGB at full size may differ by a grey level or two from one that `VideoReader`
    resized while decoding, which has its colours at half resolution and is rounded once, not twice.

    Args:
        size: (height, width) of the result; None = leave frames as they are.
    """

    def __init__(self, size: Size | None) -> None:
        self.size = size
        self._frames = RgbFrames(size, "", "rawvideo") if size else None

    def __call__(self, frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height2 width2 3"]:
        """The frame itself where it has the size already."""
        if self._frames is None or self.size is None or frame.shape[:2] == self.size:
            return np.ascontiguousarray(frame)
        out = np.empty((*self.size, 3), dtype=np.uint8)
        self._frames.write(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"), out)
        return out
