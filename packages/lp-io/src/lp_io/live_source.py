"""Frames of a camera, a stream or a file as they come, always the newest."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType

import av
import numpy as np
from jaxtyping import UInt8
from lp_core import DataError, Size

from lp_io.live_devices import Place, place_of
from lp_io.video_packets import decoded
from lp_io.video_rgb import RgbFrames, shown_size, upright

PAUSE = 0.002  # seconds between two looks at a camera that has no frame yet
WAIT = 10.0  # seconds without a frame after which a source counts as failed


class LiveSource:
    """Iterates over (timestamp in seconds since the first frame, RGB frame).

        with LiveSource(0) as camera:
            for timestamp, frame in camera: ...

    A thread reads; it keeps the newest frame only, so that a slow consumer sees the present. Frames that were overtaken
    are counted in `dropped`, those that cannot be decoded in `broken`. A file ends; it is played once.

    Args:
        source: the number of a camera (0 is the first), its device (`/dev/video0`, on Windows `video=NAME`), an address
            (`rtsp://…`, `http://…`) or a file.
        size: (height, width) to stretch frames to; the original size if not given.
        realtime: play a file at its own rate, dropping frames like a camera. False: every frame, as fast as it is taken.
        options: for the device or protocol, as FFmpeg documents them: `{"video_size": "640x480", "framerate": "60"}`.
        wait: seconds without a frame after which the source counts as failed.

    Raises:
        DataError: it cannot be opened or gives no frame; while iterating, it has failed.
    """

    def __init__(
        self,
        source: int | str | Path,
        size: Size | None = None,
        *,
        realtime: bool = True,
        options: dict[str, str] | None = None,
        wait: float = WAIT,
    ) -> None:
        self._place, self._wait = place_of(source), wait
        self._paced = realtime and self._place.is_file
        self._keeps_all = self._place.is_file and not realtime
        self._container, self._stream = _open(self._place, options or {}, wait)
        self._frames = self._decoded()
        self.dropped = self.broken = 0
        first = self._first()
        turn = upright(first)
        self.original_size: Size = shown_size(first, turn)
        self.size: Size = size or self.original_size
        self._rgb = RgbFrames(self.size, turn, self._stream.codec_context.name)
        self._tick, self._zero = float(self._stream.time_base or 1), first.pts
        self._changed = Condition()
        self._newest: tuple[float, av.VideoFrame] | None = (0.0, first)
        self._closed = self._ended = False
        self._error: DataError | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> "LiveSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[float, UInt8[np.ndarray, "height width 3"]]]:
        self._start()
        while (taken := self._take()) is not None:
            out = np.empty((*self.size, 3), dtype=np.uint8)
            self._rgb.write(taken[1], out)
            yield taken[0], out

    @property
    def fps(self) -> float:
        """Frames per second that the source announces, 0 if it does not."""
        return float(self._stream.average_rate or self._stream.guessed_rate or 0)

    def close(self) -> None:
        """Let go of the source; a loop over it ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is None:
            self._container.close()
        else:
            self._thread.join(self._wait + 1)

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = Thread(target=self._read, name="lp-live", daemon=True)
            self._thread.start()

    def _take(self) -> tuple[float, av.VideoFrame] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended or self._closed)
            taken, self._newest = self._newest, None
            self._changed.notify_all()
            if taken is None and self._error is not None and not self._closed:
                raise self._error
            return None if self._closed else taken

    def _read(self) -> None:
        """In the thread: put each frame in the place of the one before."""
        began = time.perf_counter()
        try:
            for frame in self._frames:
                if frame is None:
                    self.broken += 1
                elif not self._put(self._timestamp(frame, began), frame, began):
                    break
        except Exception as e:
            self._error = self._failed(e)
        finally:
            self._container.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, timestamp: float, frame: av.VideoFrame, began: float) -> bool:
        with self._changed:
            if self._paced:
                self._changed.wait_for(lambda: self._closed, began + timestamp - time.perf_counter())
            if self._keeps_all:
                self._changed.wait_for(lambda: self._newest is None or self._closed)
            self.dropped += self._newest is not None
            self._newest = (timestamp, frame)
            self._changed.notify_all()
            return not self._closed

    def _timestamp(self, frame: av.VideoFrame, began: float) -> float:
        if frame.pts is None or self._zero is None:
            return time.perf_counter() - began
        return (frame.pts - self._zero) * self._tick

    def _decoded(self) -> Iterator["av.VideoFrame | None"]:
        return decoded(_packets(self._container, self._stream, self._wait), self._stream)

    def _first(self) -> av.VideoFrame:
        try:
            first = next((f for f in self._frames if f is not None), None)
        except (av.FFmpegError, OSError) as e:
            self._container.close()
            raise self._failed(e) from e
        if first is None:
            self._container.close()
            raise DataError(f"{self._place.name} gives no frame that can be decoded; {self._place.remedy}.")
        return first

    def _failed(self, error: Exception) -> DataError:
        return DataError(f"{self._place.name} gives no more frames ({_reason(error, self._wait)}); start again.")


def _reason(error: Exception, wait: float) -> str:
    if isinstance(error, (av.error.ExitError, TimeoutError)):
        return f"nothing came for {wait:g} s"
    return getattr(error, "strerror", None) or str(error)


def _open(place: Place, options: dict[str, str], wait: float) -> tuple["av.container.InputContainer", "av.VideoStream"]:
    try:
        container = av.open(place.url, format=place.format, options={**place.options, **options}, timeout=wait)
    except (av.FFmpegError, OSError, ValueError) as e:
        raise DataError(f"{place.name} cannot be opened ({_reason(e, wait)}); {place.remedy}.") from e
    if not container.streams.video:
        container.close()
        raise DataError(f"{place.name} sends no video; {place.remedy}.")
    stream = container.streams.video[0]
    stream.thread_type = "SLICE"  # decoding several frames at once would hold each back by as many
    return container, stream


def _packets(container: "av.container.InputContainer", stream: "av.VideoStream", wait: float) -> Iterator["av.Packet"]:
    """Packets as they come; a place that cannot be parsed is passed over."""
    last = time.perf_counter()
    while True:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
                    last = time.perf_counter()
            return
        except (BlockingIOError, av.error.InvalidDataError) as e:  # a camera without a frame yet, a damaged place
            if time.perf_counter() - last > wait:
                raise TimeoutError from e
            time.sleep(PAUSE)
