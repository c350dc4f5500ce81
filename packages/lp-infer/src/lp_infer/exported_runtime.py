"""What the runtimes of exported files have in common. No torch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from lp_core import Poses, RuntimeConfig

from lp_infer.exported import Exported

FRAMES, PIXELS = 16, 16 * 384**2  # of a batch, at most


class ExportedRuntime(ABC):
    """Runs an exported file with some library. See `lp_core.Runtime`."""

    name: str

    def __init__(self, exported: Exported, config: RuntimeConfig, device: str, precision: str) -> None:
        description = exported.description
        self.description, self.device, self.precision = description, device, precision
        self.keypoint_names, self.model_type = description.keypoint_names, description.model_type
        self.image_size, self.context = description.image_size, description.context
        self.corner_pixels = description.corner_pixels
        fitting = PIXELS // (self.image_size[0] * self.image_size[1])
        self.batch_size = max(config.batch_size or max(1, min(FRAMES, fitting)), 2 * self.context)
        self.fingerprint = f"{self.name}-{self.version()}/{precision}/{device}/{exported.checksum}"

    @staticmethod
    @abstractmethod
    def version() -> str:
        """Of the library: another one may round in another way."""

    @abstractmethod
    def _call(self, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """Run the graph."""

    def start(
        self, frames: UInt8[np.ndarray, "batch height width 3"], state: Any = None
    ) -> tuple[Callable[[], Poses], Any]:
        """See `lp_core.Runtime`; the work is done when this returns."""
        inputs = {"frames": np.ascontiguousarray(frames)}
        if self.context:
            inputs["state"] = np.zeros(self.description.state, np.float32) if state is None else state
        keypoints, confidence, *after = self._call(inputs)
        poses = keypoints.astype(np.float64), confidence.astype(np.float64)
        return lambda: poses, after[0] if after else None
