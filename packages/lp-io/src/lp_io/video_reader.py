"""Frame-exact video reading, resized while decoding."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.reformatter import Interpolation
from jaxtyping import Float, UInt8
from lp_core import DataError, Size

from lp_io.video_index import VideoIndex, decoded, open_video, video_index


class VideoReader:
    """Frames of a video by number. Frame n is the n-th in presentation order, whatever the container claims.

    Frames that cannot be decoded come out black and their numbers are in `broken`, so that nothing ever shifts.

    Args:
        path: the file.
        size: (height, width) to stretch frames to; the original size if not given.
        threads: that decode; 0 takes every core, which is best alone and not beside a network on the same cores.

    Raises:
        DataError: missing, not a video, or nothing in it can be decoded.
    """

    def __init__(self, path: Path | str, size: Size | None = None, threads: int = 0) -> None:
        self.path = Path(path)
        self._index: VideoIndex = video_index(self.path)
        self._threads = threads
        self._container, self._stream = open_video(self.path, threads)
        self.original_size: Size = (self._stream.height, self._stream.width)
        self.size: Size = size or self.original_size
        self._row = {int(pts): row for row, pts in enumerate(self._index.pts)}
        self._broken: set[int] = set()
        self._decoding: Iterator[av.VideoFrame] | None = None
        self._next = -1  # the row that `_decoding` is about to give, -1 if unknown
        self._ahead: tuple[int, av.VideoFrame] | None = None

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._decoding = None
        self._container.close()

    @property
    def frame_count(self) -> int:
        """Frames that are presented."""
        return len(self._index)

    @property
    def fps(self) -> float:
        """Frames per second: the inverse of the median frame duration."""
        if len(self._index) > 1:
            return float(1 / np.median(np.diff(self._index.seconds)))
        return float(self._stream.average_rate or 30)

    @property
    def times(self) -> Float[np.ndarray, " frames"]:
        """Presentation times in seconds."""
        return self._index.seconds

    @property
    def broken(self) -> frozenset[int]:
        """Numbers of the frames met so far that could not be decoded."""
        return frozenset(self._broken)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is unusual about the file, one sentence each."""
        found = []
        if self._index.variable_rate:
            found.append(
                f"{self.path} has a variable frame rate: rows of predictions are frames, not equal steps of time."
            )
        if claimed := self._stream.frames:
            missing = claimed - len(self._index)
            if missing > 0:
                found.append(f"{self.path} announces {claimed} frames but presents {len(self._index)}.")
        if self._broken:
            found.append(f"{self.path}: {len(self._broken)} frames cannot be decoded (first: {min(self._broken)}).")
        return tuple(found)

    def batches(
        self, batch_size: int, start: int = 0, stop: int | None = None
    ) -> Iterator[UInt8[np.ndarray, "b h w 3"]]:
        """Consecutive frames from `start` up to `stop` (the end), at most `batch_size` at a time."""
        end = self.frame_count if stop is None else min(stop, self.frame_count)
        for first in range(start, end, batch_size):
            yield self.clip(first, min(batch_size, end - first))

    def clip(self, start: int, length: int) -> UInt8[np.ndarray, "length h w 3"]:
        """Frames `start` to `start + length - 1`.

        Raises:
            DataError: outside the video.
        """
        if start < 0 or start + length > self.frame_count:
            raise DataError(f"{self.path} has frames 0 to {self.frame_count - 1}, not {start} to {start + length - 1}.")
        out = np.zeros((length, *self.size, 3), dtype=np.uint8)
        for row in range(start, start + length):
            frame = self._frame(row)
            if frame is None:
                self._broken.add(row)
            else:
                out[row - start] = self._rgb(frame)
        return out

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "frames h w 3"]:
        """Any frames, in the order asked for; decoded in the video's order."""
        wanted = np.asarray(indices, dtype=np.int64)
        out = np.zeros((len(wanted), *self.size, 3), dtype=np.uint8)
        for row in np.unique(wanted):
            out[wanted == row] = self.clip(int(row), 1)[0]
        return out

    def _rgb(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
        height, width = self.size
        return frame.reformat(width, height, format="rgb24", interpolation=Interpolation.BILINEAR).to_ndarray()

    def _frame(self, row: int) -> av.VideoFrame | None:
        """Frame `row`, or None if it cannot be decoded. Decoding goes on from where it is if that is the shorter way."""
        key = self._index.keyframe_before(row)
        if self._decoding is None or self._next > row or key > self._next:
            self._seek(key)
        while True:
            if self._ahead is None:
                self._ahead = self._decode()
            if self._ahead is None:  # the stream ended early
                return None
            at, frame = self._ahead
            if at > row:
                self._next = at
                return None
            self._ahead, self._next = None, at + 1
            if at == row:
                return None if frame.is_corrupt else frame

    def _decode(self) -> tuple[int, av.VideoFrame] | None:
        assert self._decoding is not None
        for frame in self._decoding:
            row = self._row.get(frame.pts) if frame.pts is not None else None
            if row is not None:
                return row, frame
        return None

    def _seek(self, row: int) -> None:
        """Put decoding at keyframe `row`; where the container lands behind it, start from the beginning instead."""
        self._restart(int(self._index.pts[row]) if row else None)
        self._ahead = self._decode()
        if row and (self._ahead is None or self._ahead[0] > row):
            self._restart(None)
            self._ahead = self._decode()
        self._next = self._ahead[0] if self._ahead else self.frame_count

    def _restart(self, pts: int | None) -> None:
        try:
            if pts is None and self._decoding is None:
                pass  # freshly opened: already at the beginning
            elif pts is None:
                raise av.FFmpegError(0, "reopen")
            else:
                self._container.seek(pts, stream=self._stream, backward=True)
        except av.FFmpegError:
            self._container.close()
            self._container, self._stream = open_video(self.path, self._threads)
        self._decoding = decoded(self._container, self._stream)
