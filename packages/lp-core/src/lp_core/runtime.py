"""What runs a network for prediction: uint8 frames in, keypoints out. NumPy only."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from lp_core.coordinates import Size

Poses: TypeAlias = tuple[Float[np.ndarray, "batch keypoints 2"], Float[np.ndarray, "batch keypoints"]]
"""Keypoints in input pixels and confidence in 0–1."""


@runtime_checkable
class Runtime(Protocol):
    """A network made ready on a device.

    Attributes:
        model_type: the reference's name of the kind of model; predictions are written by scorer `<model_type>_tracker`.
        image_size: (height, width) of the frames it takes.
        context: frames before and after each one that it looks at.
        batch_size: frames per call that suit it, at least 2 · context; fewer may come, at a sequence's ends.
        fingerprint: of everything that decides its results; equal only for equal networks on equal settings.

    Networks of other software may need two more, false where they are absent: `corner_pixels`, see `lp_core.Resize`, and
    `any_size`, if they take frames as large as they are and `image_size` is only an example.
    """

    name: str
    keypoint_names: tuple[str, ...]
    model_type: str
    image_size: Size
    context: int
    batch_size: int
    device: str
    precision: str
    fingerprint: str

    def start(
        self, frames: UInt8[np.ndarray, "batch height width 3"], state: Any = None
    ) -> tuple[Callable[[], Poses], Any]:
        """Begin work on frames that follow those of `state`; the result is a way to wait for it, and the next state.

        The poses are of the frames `context` earlier: of n frames, the last `context` ones of the call before, then the
        first n - context of this one. Without a state the first 2 · context poses of a sequence mean nothing.
        """
        ...
