"""Which frames a video has and when they are shown: one pass over its packets, cached."""

import hashlib
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from jaxtyping import Bool, Float, Int
from lp_core import DataError, Size

from lp_io.files import atomic_path
from lp_io.frame_times import FrameTimes, increases
from lp_io.video_file import file_problem
from lp_io.video_packets import decoded, open_video, packets
from lp_io.video_rgb import shown_size, upright

T = TypeVar("T")
VARIABLE = 0.1  # share of the median frame duration by which durations may differ before the rate counts as variable
CACHE_VERSION = 3
CHECKED = 200  # decoded frames by which the times of packets are judged where they look wrong
RATE = 30  # frames/s of a file that does not say


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """Presentation times of all frames, in order.

    Attributes:
        shown: in units of the stream's time base.
        keyframes: whether decoding can start at the frame.
        base: seconds per unit.
        shape: (height, width) of the frames as they are shown.
        turn: the libavfilter filters that turn a decoded frame upright, "" if it is.
        counted: the file's times cannot tell its frames apart; `shown` are their numbers, and frame n is the n-th that
            the decoder gives from the beginning.
    """

    shown: FrameTimes
    keyframes: Bool[np.ndarray, " frames"]
    base: float
    shape: Int[np.ndarray, "2"]
    turn: str = ""
    counted: bool = False

    def __len__(self) -> int:
        return len(self.shown)

    @property
    def size(self) -> Size:
        """(height, width) of the frames as they are shown."""
        return int(self.shape[0]), int(self.shape[1])

    @property
    def seconds(self) -> Float[np.ndarray, " frames"]:
        """When each frame is shown, made anew each time."""
        return self.shown.all() * self.base

    @property
    def fps(self) -> float | None:
        """Frames per second: the inverse of the median frame duration; None for a single frame."""
        return 1 / (self.shown.spacing()[0] * self.base) if len(self) > 1 else None

    def row(self, pts: int) -> int | None:
        """The number of the frame shown at `pts`."""
        return self.shown.find(pts)

    def keyframe_before(self, frame: int) -> int:
        """The last frame at or before `frame` that decoding can start at."""
        before = self.keyframes[frame::-1]
        back = int(before.argmax())
        return frame - back if before[back] else 0

    @property
    def variable_rate(self) -> bool:
        """Whether frames are not equally spaced in time."""
        median, least, most = self.shown.spacing()
        return max(median - least, most - median) > VARIABLE * median


def video_index(path: Path) -> VideoIndex:
    """The index of the first video stream of `path`, from the cache if the file has not changed.

    Raises:
        DataError: no such file, or no video in it.
    """
    if problem := file_problem(path):
        raise DataError(problem)
    cached = _cache_file(path)
    if cached.exists():
        try:
            return _read(cached)
        except (OSError, ValueError, KeyError, EOFError):
            cached.unlink(missing_ok=True)
    index = _build(path)
    try:
        with atomic_path(cached) as temporary, temporary.open("wb") as file:
            np.savez(file, **_plain(index))
    except (OSError, DataError):
        pass  # a cache that cannot be written costs time, nothing else
    return index


def _plain(index: VideoIndex) -> dict[str, Any]:
    both = (index, index.shown)
    return {f.name: getattr(part, f.name) for part in both for f in fields(part) if f.name != "shown"}


def _read(cached: Path) -> VideoIndex:
    with np.load(cached, allow_pickle=False) as saved:
        shown = FrameTimes(int(saved["first"]), int(saved["step"]), int(saved["count"]), saved["later"])
        shape, turn, counted = saved["shape"], str(saved["turn"]), bool(saved["counted"])
        return VideoIndex(shown, saved["keyframes"], float(saved["base"]), shape, turn, counted)


def _cache_file(path: Path) -> Path:
    facts = path.stat()
    key = f"{CACHE_VERSION}/{path.resolve()}/{facts.st_size}/{facts.st_mtime_ns}"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lp" / "video-index"
    return folder / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.npz"


def _build(path: Path) -> VideoIndex:
    base, rate, shape, turn = _looks(path)
    times, keys = _packet_times(path)
    if times is None:  # some containers do not say when a packet is shown: ask the decoder
        times, keys = _decoded_times(path)
    counted = times is None
    if times is None:
        times = np.arange(len(keys))
        base = 1 / rate
    if not increases(times):
        order = np.argsort(times, kind="stable")
        times, keys = times[order], keys[order]
    return VideoIndex(FrameTimes.of(times), keys, base, shape, turn, counted)


def _looks(path: Path) -> tuple[float, float, np.ndarray, str]:
    """Seconds per unit of time, frames/s, and how the first frame is shown: its size and what turns it upright."""
    container, stream = open_video(path)
    with container:
        first = next((f for f in _frames(path, container, stream) if f is not None), None)
        if first is None:
            raise DataError(f"{path} holds no video frame that can be decoded; check that the file is complete.")
        turn = upright(first)
        rate = float(stream.average_rate or stream.guessed_rate or RATE)
        return float(stream.time_base or 1), rate, np.array(shown_size(first, turn)), turn


def _packet_times(path: Path) -> tuple[np.ndarray | None, np.ndarray]:
    """Times and keyframes from the packets alone; None if they do not tell when each frame is shown."""
    times, keys, sent = array("q"), array("b"), None
    container, stream = open_video(path)
    with container:
        for packet in _readable(path, packets(container, stream)):
            if packet.is_discard:
                continue
            goes_back = packet.dts is not None and sent is not None and packet.dts < sent
            if packet.pts is None or goes_back:
                return None, np.empty(0, bool)
            sent = packet.dts
            times.append(packet.pts)
            keys.append(packet.is_keyframe)
        reorders = bool(stream.codec_context.has_b_frames)
    found = np.asarray(times).view(np.int64)  # without a copy
    in_order = increases(found)
    if not (in_order or increases(np.sort(found))) or (reorders and in_order and not _shown_in_order(path)):
        return None, np.empty(0, bool)
    return found, np.array(keys, dtype=bool)


def _shown_in_order(path: Path) -> bool:
    """Whether the decoder, which reorders frames, gives them in the order of their times; AVI files have the wrong."""
    container, stream = open_video(path)
    with container:
        frames = islice(_frames(path, container, stream), CHECKED)
        times = [f.pts for f in frames if f is not None]
    return None not in times and bool((np.diff(np.array(times, dtype=np.int64)) > 0).all())


def _decoded_times(path: Path) -> tuple[np.ndarray | None, np.ndarray]:
    """Times and keyframes from decoding; None for times if they do not increase or a frame is lost: then count."""
    times, keys, told = array("q"), array("b"), True
    container, stream = open_video(path, threads=1)
    with container:
        for frame in _frames(path, container, stream):
            told = told and frame is not None and frame.pts is not None and (not times or frame.pts > times[-1])
            keys.append(frame is not None and frame.key_frame)
            if told and frame is not None and frame.pts is not None:
                times.append(frame.pts)
    return np.array(times, dtype=np.int64) if told else None, np.array(keys, dtype=bool)


def _frames(
    path: Path, container: "av.container.InputContainer", stream: "av.VideoStream"
) -> Iterator["av.VideoFrame | None"]:
    return _readable(path, decoded(packets(container, stream), stream))


def _readable(path: Path, items: Iterator[T]) -> Iterator[T]:
    """The same items; a drive that fails is a sentence."""
    try:
        yield from items
    except OSError as e:
        raise DataError(f"{path} cannot be read ({e.strerror or e}); check its drive and start again.") from e
