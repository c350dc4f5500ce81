"""Frames in as they come, poses out at once. No torch."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lp_core import DataError, Size
from lp_io.resize import FrameResizer

from lp_infer.filters import PoseFilter
from lp_infer.frame_by_frame import FrameByFrame, OnePose
from lp_infer.latency import Durations, LiveReport
from lp_infer.live_pose import LivePose
from lp_infer.newest import arrivals
from lp_infer.options import PredictOptions, usual
from lp_infer.processors import Guarded
from lp_infer.runner import Runner

WARM, ENOUGH = 5, 20.0  # frames of noise that a network gets before the first one; seconds after which one is enough


class LivePredictor:
    """A network that waits for frames.

        predictor = LivePredictor(model)
        pose = predictor.push(frame, timestamp)
        x, y, confidence = pose["nose"]

    Args:
        model: any `PoseModel` that is a module, the path of an exported file, or a `Runner`.
        options: how the network is run, one frame at a time; if not given the defaults, for an exported file with
            runtime=auto. Those of a `Runner` are its own.
        filter: makes keypoints steadier or runs ahead of them (`lp_infer.filters`).
        processor: your code: an object with `process(pose)`, or a function of a pose (`lp_infer.processors`).
        causal: of a network with context, what stands for the frames that are yet to come: True = the newest frame, and
            poses come at once; False = those frames, and poses come `context` frames later, as in a video's prediction.
        strict: an error in the processor is an error here.

    Raises:
        ConfigError: no such device or runtime, or the processor has no `process`.
    """

    def __init__(
        self,
        model: Any,
        options: PredictOptions | None = None,
        *,
        filter: PoseFilter | None = None,
        processor: Any = None,
        causal: bool = True,
        strict: bool = False,
    ) -> None:
        self.runner = Runner.of(model, replace(options or usual(model), batch_size=1))
        self.filter = filter
        self.processor = Guarded(processor, strict) if processor is not None else None
        self._steps = FrameByFrame(self.runner.runtime, causal)
        self._resized = FrameResizer(self.runner.decode_size)
        self.reset()
        self._warm_up()

    @property
    def delay(self) -> int:
        """Frames by which poses come late, on purpose."""
        return self._steps.delay

    def push(self, frame: np.ndarray, timestamp: float, *, original_size: Size | None = None) -> LivePose | None:
        """The pose of `frame`, or with a delay that of an earlier frame, and None until there is one.

        Args:
            frame: RGB, uint8, (height, width, 3), of any size.
            timestamp: seconds, on whatever clock; the pose carries it and filters reckon with it.
            original_size: (height, width) before somebody resized the frame; keypoints are in pixels of that.

        Raises:
            DataError: not such a frame, or a timestamp that is no number.
        """
        return self._push(_Frame(self._next, timestamp, original_size or frame.shape[:2], time.perf_counter()), frame)

    def finish(self) -> list[LivePose]:
        """The poses of the last `delay` frames, once no more frames come; the next frame begins a new sequence."""
        poses = [self._pose(self._waiting.popleft(), pose) for pose in self._steps.rest()]
        self.reset()
        return poses

    def reset(self) -> None:
        """Begin a new sequence: forget the frames before."""
        self._steps.reset()
        if self.filter is not None:
            self.filter.reset()
        self._waiting: deque[_Frame] = deque()
        self._next = 0

    def run(
        self, source: Iterable[tuple[float, np.ndarray]], *, every: bool = False, seconds: float = math.inf
    ) -> Iterator[LivePose]:
        """Poses of what `source` gives, always of its newest frame: those that come while the network works are dropped.

        A thread reads the source. Numbers of poses count dropped frames too, also those that the source itself dropped and
        counts in its attribute `dropped`. If it resizes frames, its `original_size` says from which size.

        Args:
            source: (timestamp in seconds, frame) one after the other, for instance `lp_io.live_source.LiveSource`.
            every: drop nothing; a source that is faster waits.
            seconds: end after that long.
        """
        self.reset()
        self._meter = _Meter()
        size = getattr(source, "original_size", None)
        try:
            with arrivals(source, time.perf_counter() + seconds, every) as came:
                for arrival in came:
                    timestamp, frame = arrival.item
                    self._meter.dropped = came.dropped
                    pose = self._push(
                        _Frame(arrival.number, timestamp, size or frame.shape[:2], arrival.arrived), frame
                    )
                    if pose is not None:
                        yield pose
                self._meter.dropped = came.dropped
        except Exception:  # the source has failed; what came before counts
            yield from self.finish()
            raise
        yield from self.finish()

    def report(self) -> LiveReport:
        """What was measured since the construction, or since `run` began."""
        runtime = self.runner.runtime
        return self._meter.report(runtime.name, runtime.device, runtime.precision)

    def save(self, beside: Path | str) -> None:
        """Have the processor write what it gathered beside this table of poses."""
        if self.processor:
            self.processor.save(Path(beside))

    def close(self) -> None:
        """Have the processor close."""
        if self.processor:
            self.processor.close()

    def __enter__(self) -> "LivePredictor":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _push(self, about: "_Frame", frame: np.ndarray) -> LivePose | None:
        _check(frame, about.timestamp)
        self._meter.arrived(about.arrived)
        self._next = about.number + 1
        self._waiting.append(about)
        poses = self._steps.step(self._resized(frame))
        return None if poses is None else self._pose(self._waiting.popleft(), poses)

    def _pose(self, about: "_Frame", poses: OnePose) -> LivePose:
        points, sure = poses[0][0], poses[1][0]
        raw = self.runner.resize(about.size).inverse(points)
        keypoints = self.filter.update(about.timestamp, raw, sure) if self.filter else raw
        latency = self._meter.posed(about.arrived)
        pose = LivePose(
            number=about.number,
            timestamp=about.timestamp,
            names=self.runner.keypoint_names,
            keypoints=keypoints,
            confidence=sure,
            raw=raw,
            latency=latency,
            filtered=self.filter is not None,
        )
        if self.processor:
            pose = self.processor.process(pose)
            self._meter.processed()
        return pose

    def _warm_up(self) -> None:
        """The first calls of a network are slow; let them be on noise."""
        began = time.perf_counter()
        noise = np.random.default_rng(0).integers(0, 256, (*self.runner.image_size, 3), dtype=np.uint8)
        for _ in range(WARM + self.delay):
            self._steps.step(noise)
            if time.perf_counter() - began > ENOUGH:
                break
        self._steps.reset()
        self._meter = _Meter()


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is remembered of a frame until its pose is there."""

    number: int
    timestamp: float
    size: Size
    arrived: float


class _Meter:
    """Times of a loop."""

    def __init__(self) -> None:
        self.dropped = 0
        self._latency, self._interval, self._processor = Durations(), Durations(), Durations()
        self._first, self._last = math.inf, math.nan

    def arrived(self, at: float) -> None:
        """A frame came, `at` seconds of `time.perf_counter`."""
        self._first = min(self._first, at)

    def posed(self, arrived: float) -> float:
        """Its pose is there now; the latency."""
        now = time.perf_counter()
        if self._latency.count:
            self._interval.add(now - self._last)
        self._last = now
        self._latency.add(now - arrived)
        return now - arrived

    def processed(self) -> None:
        """The processor is done with that pose."""
        self._processor.add(time.perf_counter() - self._last)

    def report(self, runtime: str, device: str, precision: str) -> LiveReport:
        """All of it."""
        return LiveReport(
            frames=self._latency.count,
            dropped=self.dropped,
            seconds=self._last - self._first if self._latency.count else 0.0,
            latency=self._latency.summary(),
            interval=self._interval.summary(),
            processor=self._processor.summary() if self._processor.count else None,
            runtime=runtime,
            device=device,
            precision=precision,
        )


def _check(frame: np.ndarray, timestamp: float) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise DataError(
            f"A frame must be RGB of type uint8 and shape (height, width, 3), not {frame.dtype} {frame.shape}; convert it."
        )
    if not math.isfinite(timestamp):
        raise DataError(
            f"timestamp={timestamp} of a frame is no number of seconds; give time.monotonic(), for instance."
        )
