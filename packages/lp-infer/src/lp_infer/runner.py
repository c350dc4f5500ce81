"""A runtime, kept busy. No torch."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import Poses, Resize, Runtime, Size, runtimes

from lp_infer.choice import open_runtime
from lp_infer.options import PredictOptions, usual


@dataclass(frozen=True, slots=True)
class Rows:
    """Which frames the poses of a call are of.

    Attributes:
        first: number of the frame whose pose comes out first.
        broken: numbers of frames known not to be decodable.
    """

    first: int
    broken: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Call:
    """Frames that the network gets at once.

    Attributes:
        rows: what comes out.
        fresh: they begin a sequence; what the network knows of frames before is forgotten.
    """

    rows: Rows
    frames: UInt8[np.ndarray, "batch height width 3"]
    fresh: bool = False


@dataclass(slots=True)
class Waiting:
    """Seconds that a network waited for frames."""

    seconds: float = 0.0


@dataclass(slots=True)
class Runner:
    """Runs a pose network as `PredictOptions` say. Prepare one for many videos: the functions here take it as a model.

    Attributes:
        runtime: what runs the network.
        options: how.
        model: what the runtime was made from.
        original_size: (height, width) of the frames to come; None = not known yet.
    """

    runtime: Runtime
    options: PredictOptions
    model: Any = None
    original_size: Size | None = None
    waiting: Waiting = field(default_factory=Waiting)

    @classmethod
    def of(cls, model: Any, options: PredictOptions | None = None, frames: float = math.inf) -> "Runner":
        """`model` itself if it is a runner already.

        Args:
            model: a `PoseModel` that is a torch module, the path of an exported file, or a `Runtime`.
            options: how; if not given the defaults, for an exported file with runtime=auto.
            frames: that will come, about, for `runtime=auto`.
        """
        if isinstance(model, Runner):
            return model
        options = options or usual(model)
        runtime = model if isinstance(model, Runtime) else open_runtime(model, options, frames)
        return cls(runtime, options, model)

    def as_begun(self, about: Mapping[str, Any]) -> "Runner":
        """The runner that goes on with parts that say `about` of themselves, where the choice of runtime was left open."""
        name = about.get("runtime")
        if self.options.runtime != "auto" or name in (None, self.runtime.name) or name not in runtimes:
            return self
        return Runner.of(self.model, replace(self.options, runtime=name))

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """In the order of the outputs."""
        return self.runtime.keypoint_names

    def for_frames(self, original_size: Size) -> "Runner":
        """The same for frames of one size: networks that take frames as large as they are get fewer of large ones."""
        return replace(self, original_size=original_size)

    @property
    def any_size(self) -> bool:
        """Whether the network takes frames as large as they are."""
        return getattr(self.runtime, "any_size", False)

    @property
    def image_size(self) -> Size:
        """(height, width) of the frames it takes."""
        return self.original_size if self.any_size and self.original_size else self.runtime.image_size

    @property
    def decode_size(self) -> Size | None:
        """(height, width) to bring frames to; None = leave them as they are."""
        return None if self.any_size else self.runtime.image_size

    def resize(self, original_size: Size) -> Resize:
        """From pixels of a frame to those of the network."""
        target = original_size if self.any_size else self.runtime.image_size
        return Resize(original_size, target, getattr(self.runtime, "corner_pixels", False))

    @property
    def context(self) -> int:
        """Frames before and after each one that the network looks at."""
        return self.runtime.context

    @property
    def walks(self) -> bool:
        """Whether what the network says of a frame depends on all frames before."""
        return getattr(self.runtime, "walks", False)

    @property
    def batch_size(self) -> int:
        """Frames per call."""
        if not self.any_size or self.options.batch_size or not self.original_size:
            return self.runtime.batch_size
        height, width = self.runtime.image_size
        return max(1, self.runtime.batch_size * height * width // (self.image_size[0] * self.image_size[1]))

    @property
    def scorer(self) -> str:
        """As it stands in tables."""
        return f"{self.runtime.model_type}_tracker"

    def run(self, calls: Iterable[Call]) -> Iterator[tuple[Rows, Poses]]:
        """Poses in input pixels of each call, in order.

        A result is waited for once the next call is under way, so that an accelerator works while results are used.
        """
        state, before = None, None
        for call in self._timed(calls):
            pending, state = self.runtime.start(call.frames, self._begin(call.rows.first) if call.fresh else state)
            if before is not None:
                yield before[0], before[1]()
            before = call.rows, pending
            del call  # the frames need not live until the next ones come
        if before is not None:
            yield before[0], before[1]()

    def stills(
        self, frames: UInt8[np.ndarray, "batch height width 3"]
    ) -> tuple[Float[np.ndarray, "batch keypoints 2"], Float[np.ndarray, "batch keypoints"]]:
        """Poses of frames that have nothing to do with each other; a network that looks around sees each stand still."""
        window = 2 * self.context + 1
        if window == 1:
            return self.runtime.start(frames)[0]()
        points, sure = zip(*(self._still(frames[i : i + 1]) for i in range(len(frames))), strict=True)
        return np.concatenate(points), np.concatenate(sure)

    def _still(self, frame: UInt8[np.ndarray, "1 height width 3"]) -> Poses:
        points, sure = self.runtime.start(np.repeat(frame, 2 * self.context + 1, axis=0))[0]()
        return points[-1:], sure[-1:]

    def _begin(self, frame: int) -> Any:
        begin = getattr(self.runtime, "begin", None)
        return begin(frame) if begin else None

    def _timed(self, calls: Iterable[Call]) -> Iterator[Call]:
        calls, began = iter(calls), time.perf_counter()
        for call in calls:
            self.waiting.seconds += time.perf_counter() - began
            yield call
            began = time.perf_counter()
