"""A network fed one frame at a time. No torch."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import Poses, Runtime

Frame = UInt8[np.ndarray, "height width 3"]
OnePose = tuple[Float[np.ndarray, "1 keypoints 2"], Float[np.ndarray, "1 keypoints"]]


@runtime_checkable
class Holding(Protocol):
    """What a `Runtime` may know besides: it spares a causal network with context `context` passes of its backbone."""

    def hold(self, state: Any) -> Callable[[], Poses]:
        """The pose of the newest frame of `state` as if it were repeated from then on; `state` stays good to go on from."""
        ...


class FrameByFrame:
    """Feeds frames in order and hands out poses.

    Each frame goes through the backbone once and stays in the runtime's state as long as windows need it; before the first
    frame there is that frame again. A network with context c has the window of frame t from t - c to t + c.

    causal: the pose of t comes at once, with t in the place of each later frame. A runtime that can hold (`Holding`)
    decodes twice for that; any other gets frame t another c times, and that state is thrown away.
    Not causal: the pose of t comes with frame t + c and is the one that a video prediction gives.

    Args:
        runtime: to feed.
        causal: says nothing for a network without context.
    """

    def __init__(self, runtime: Runtime, causal: bool) -> None:
        self.runtime = runtime
        self.delay = 0 if causal else runtime.context
        self._state: Any = None
        self._frames = 0
        self._newest: Frame | None = None

    def reset(self) -> None:
        """Forget all frames."""
        self._state, self._frames, self._newest = None, 0, None

    def step(self, frame: Frame) -> OnePose | None:
        """The pose of `frame`, or of the one `delay` before it; None where there is no such frame."""
        context, batch = self.runtime.context, frame[None]
        if context and not self._frames:
            _, self._state = self.runtime.start(np.repeat(batch, 2 * context, axis=0))
        pending, self._state = self.runtime.start(batch, self._state)
        self._frames, self._newest = self._frames + 1, frame
        if context and not self.delay:
            return _last(self._still(batch)())
        return _last(pending()) if self._frames > self.delay else None

    def rest(self) -> list[OnePose]:
        """The poses still owed when no more frames come: the last one stands still."""
        owed = min(self.delay, self._frames)
        if not owed or self._newest is None:
            return []
        batch = np.repeat(self._newest[None], self.delay, axis=0)
        points, sure = self.runtime.start(batch, self._state)[0]()
        return [(points[i : i + 1], sure[i : i + 1]) for i in range(self.delay - owed, self.delay)]

    def _still(self, batch: UInt8[np.ndarray, "1 height width 3"]) -> Callable[[], Poses]:
        if isinstance(self.runtime, Holding):
            return self.runtime.hold(self._state)
        return self.runtime.start(np.repeat(batch, self.runtime.context, axis=0), self._state)[0]


def _last(poses: Poses) -> OnePose:
    return poses[0][-1:], poses[1][-1:]
