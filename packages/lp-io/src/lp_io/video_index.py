"""Which frames a video has and when they are shown: one pass over its packets, cached."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from jaxtyping import Bool, Float, Int
from lp_core import DataError

from lp_io.files import atomic_path

VARIABLE = 0.1  # share of the median frame duration by which durations may differ before the rate counts as variable
CACHE_VERSION = 1


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """Presentation times of all frames, in order.

    Attributes:
        pts: in units of the stream's time base.
        keyframes: whether decoding can start at the frame.
        seconds: the same times in seconds.
    """

    pts: Int[np.ndarray, " frames"]
    keyframes: Bool[np.ndarray, " frames"]
    seconds: Float[np.ndarray, " frames"]

    def __len__(self) -> int:
        return len(self.pts)

    def keyframe_before(self, frame: int) -> int:
        """The last frame at or before `frame` that decoding can start at."""
        starts = np.flatnonzero(self.keyframes[: frame + 1])
        return int(starts[-1]) if len(starts) else 0

    @property
    def variable_rate(self) -> bool:
        """Whether frames are not equally spaced in time."""
        steps = np.diff(self.seconds)
        return bool(len(steps) and np.abs(steps - np.median(steps)).max() > VARIABLE * np.median(steps))


def video_index(path: Path) -> VideoIndex:
    """The index of the first video stream of `path`, from the cache if the file has not changed.

    Raises:
        DataError: no such file, or no video in it.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; give the path of a video file.")
    cached = _cache_file(path)
    if cached.exists():
        try:
            with np.load(cached, allow_pickle=False) as saved:
                return VideoIndex(saved["pts"], saved["keyframes"], saved["seconds"])
        except (OSError, ValueError, KeyError):
            cached.unlink(missing_ok=True)
    index = _build(path)
    try:
        with atomic_path(cached) as temporary, temporary.open("wb") as file:
            np.savez(file, pts=index.pts, keyframes=index.keyframes, seconds=index.seconds)
    except (OSError, DataError):
        pass  # a cache that cannot be written costs time, nothing else
    return index


def _cache_file(path: Path) -> Path:
    facts = path.stat()
    key = f"{CACHE_VERSION}/{path.resolve()}/{facts.st_size}/{facts.st_mtime_ns}"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lp" / "video-index"
    return folder / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.npz"


def open_video(path: Path, threads: int = 0) -> tuple["av.container.InputContainer", "av.VideoStream"]:
    """The container and its first video stream, decoded by `threads` threads (0: as many as there are cores).

    Raises:
        DataError: not a readable video.
    """
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as e:
        raise DataError(
            f"{path} cannot be read as a video ({e.strerror or e}); check that the file is complete."
        ) from e
    if not container.streams.video:
        container.close()
        raise DataError(f"{path} holds no video stream; give a video file.")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = threads
    return container, stream


def _build(path: Path) -> VideoIndex:
    times, keys = _packet_times(path)
    if times is None:  # some containers do not say when a packet is shown: ask the decoder
        times, keys = _decoded_times(path)
    if not len(times):
        raise DataError(f"{path} holds no video frame that can be decoded; check that the file is complete.")
    order = np.argsort(times, kind="stable")
    container, stream = open_video(path)
    with container:
        base = float(stream.time_base or 1)
    pts = times[order]
    return VideoIndex(pts, keys[order], pts * base)


def _packet_times(path: Path) -> tuple[np.ndarray | None, np.ndarray]:
    times, keys = [], []
    container, stream = open_video(path)
    with container:
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                times.append(packet.pts)
                keys.append(packet.is_keyframe)
        except av.FFmpegError:
            pass  # a file that ends early: what came before counts
    if any(t is None for t in times) or len(set(times)) != len(times):
        return None, np.empty(0, bool)
    return np.array(times, dtype=np.int64), np.array(keys, dtype=bool)


def _decoded_times(path: Path) -> tuple[np.ndarray, np.ndarray]:
    times, keys = [], []
    container, stream = open_video(path)
    with container:
        for frame in decoded(container, stream):
            if frame.pts is not None and (not times or frame.pts > times[-1]):
                times.append(frame.pts)
                keys.append(bool(frame.key_frame))
    return np.array(times, dtype=np.int64), np.array(keys, dtype=bool)


def decoded(container: "av.container.InputContainer", stream: "av.VideoStream"):
    """Frames in presentation order that can be trusted.

    A packet that cannot be decoded is passed over, and so is what was predicted from it: everything up to the next
    keyframe, which decoders otherwise conceal with stale content.
    """
    packets = container.demux(stream)
    doubtful = False
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            break
        try:
            frames = packet.decode()
        except av.FFmpegError:
            doubtful = True
            continue
        for frame in frames:
            doubtful = (doubtful or frame.is_corrupt) and not (frame.key_frame and not frame.is_corrupt)
            if not doubtful:
                yield frame
    try:
        yield from () if doubtful else stream.codec_context.decode(None)
    except (av.FFmpegError, EOFError):
        return
