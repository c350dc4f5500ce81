"""What a live prediction gives for one frame. NumPy only."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePose:
    """The pose of one frame; `pose["nose"]` is (x, y, confidence) of one keypoint.

    Attributes:
        number: of the frame, from 0, counted as frames arrived; those that were dropped count too.
        timestamp: of the frame in seconds, as its source gave it.
        names: of the keypoints.
        keypoints: (x, y) in pixels of that frame, after the filter if there is one.
        confidence: 0 to 1.
        raw: (x, y) in pixels of that frame as the network gave them.
        latency: seconds from the frame's arrival to this pose: waiting, resizing, network and filter.
        filtered: whether a filter made `keypoints`.
    """

    number: int
    timestamp: float
    names: tuple[str, ...]
    keypoints: Float[np.ndarray, "keypoints 2"]
    confidence: Float[np.ndarray, " keypoints"]
    raw: Float[np.ndarray, "keypoints 2"]
    latency: float
    filtered: bool = False

    def __getitem__(self, name: str) -> tuple[float, float, float]:
        """x, y and confidence of keypoint `name`.

        Raises:
            KeyError: there is no such keypoint.
        """
        if name not in self.names:
            raise KeyError(f"There is no keypoint {name!r}; there are {', '.join(self.names)}.")
        at = self.names.index(name)
        return float(self.keypoints[at, 0]), float(self.keypoints[at, 1]), float(self.confidence[at])
