"""How fast a network is on a video, stage by stage. No torch."""

import gc
import math
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lp_io import VideoReader

from lp_infer.chunks import ChunkLog
from lp_infer.runner import Runner
from lp_infer.video import about, open_video, predict_spans, write_table

LEAST_CALLS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Frames per second of each stage alone and of the whole, on one video.

    Attributes:
        decode: reading and resizing, alone.
        network: from frames to keypoints, alone.
        whole: from the file to the table.
        p50, p99: milliseconds of one call of the network with `batch_size` frames.
        waited: share of the whole that the network waited for frames.
        peak_mb: most memory of this process while it was measured, in MiB; NaN where the system does not say.
    """

    runtime: str
    precision: str
    device: str
    batch_size: int
    decode: float
    network: float
    whole: float
    p50: float
    p99: float
    waited: float
    peak_mb: float

    @property
    def of_floor(self) -> float:
        """The whole as a share of the slower stage alone: 1 = nothing is lost."""
        return self.whole / min(self.decode, self.network)


def measure(runner: Runner, video: Path, seconds: float = 10.0) -> Speed:
    """Measure for about `seconds` per stage.

    Raises:
        DataError: the video cannot be read.
    """
    with open_video(runner, video) as reader:
        runner = runner.for_frames(reader.original_size)
    gc.collect()
    anew = forget_peak()
    times = _network_times(runner, video, seconds)
    network = runner.batch_size / float(np.median(times))
    decode = _decode_speed(runner, video, seconds)
    waited = runner.waiting.seconds
    whole, took = _whole_speed(runner, video, int(seconds * min(network, decode)))
    return Speed(
        runtime=runner.runtime.name,
        precision=runner.runtime.precision,
        device=runner.runtime.device,
        batch_size=runner.batch_size,
        decode=decode,
        network=network,
        whole=whole,
        p50=1000 * float(np.percentile(times, 50)),
        p99=1000 * float(np.percentile(times, 99)),
        waited=(runner.waiting.seconds - waited) / took,
        peak_mb=peak_memory() if anew else math.nan,
    )


def forget_peak() -> bool:
    """Let `peak_memory` begin anew; whether the system can (Linux can)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_memory() -> float:
    """Most memory this process has had since its peak was forgotten, in MiB; NaN where the system is not Linux."""
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
    return int(found[1]) / 1024 if found else math.nan


def _network_times(runner: Runner, video: Path, seconds: float) -> list[float]:
    with open_video(runner, video) as reader:
        frames = reader.clip(0, min(runner.batch_size, reader.frame_count))
    frames = np.resize(frames, (runner.batch_size, *frames.shape[1:]))
    runner.runtime.start(frames)[0]()
    return _timed(lambda: runner.runtime.start(frames)[0](), seconds)


def _timed(call: Callable[[], object], seconds: float) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST_CALLS or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times


def _decode_speed(runner: Runner, video: Path, seconds: float) -> float:
    with open_video(runner, video) as reader:
        reader.clip(0, 1)
        began, count = time.perf_counter(), 0
        for frames in _batches(reader, runner.batch_size):
            count += len(frames)
            if time.perf_counter() - began > seconds:
                break
        return count / (time.perf_counter() - began)


def _batches(reader: VideoReader, size: int) -> Iterator[np.ndarray]:
    for start in range(0, reader.frame_count, size):
        yield reader.clip(start, min(size, reader.frame_count - start))


def _whole_speed(runner: Runner, video: Path, frames: int) -> tuple[float, float]:
    """(frames per second, seconds) of at most `frames` frames, opening the video and writing the table included."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with open_video(runner, video) as reader:
            count = min(reader.frame_count, max(frames, LEAST_CALLS * runner.batch_size))
            log = ChunkLog(Path(folder) / "v.csv", about(runner, reader), len(runner.keypoint_names))
            predict_spans(runner, reader, log, [range(count)])
            write_table(log, runner)
        took = time.perf_counter() - began
        return count / took, took
