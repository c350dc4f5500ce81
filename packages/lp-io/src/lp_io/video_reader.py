"""Frame-exact video reading, resized while decoding."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import DataError, Size

from lp_io.memory import hand_back_freed_memory
from lp_io.video_decoder import VideoDecoder
from lp_io.video_file import FileState, file_problem
from lp_io.video_index import VideoIndex, video_index
from lp_io.video_rgb import RgbFrames

LONG = 20_000  # frames from which what FFmpeg freed while it opened the file is worth handing back


class VideoReader:
    """Frames of a video by number. Frame n is the n-th in presentation order, whatever the container claims.

    Frames that cannot be decoded come out black and their numbers are in `broken`, so that nothing ever shifts. Frames
    are upright, as players, OpenCV and DeepLabCut show them: a display matrix in the file is obeyed.

    Args:
        path: the file.
        size: (height, width) to stretch frames to; the original size if not given.
        threads: that decode; 0 takes every core, which is best alone and not beside a network on the same cores.
        quick: colours rounded, for pictures that are only looked at; never for a network.

    Raises:
        DataError: missing, not a video, or nothing in it can be decoded.
    """

    def __init__(self, path: Path | str, size: Size | None = None, threads: int = 0, *, quick: bool = False) -> None:
        self.path = Path(path)
        if problem := file_problem(self.path):
            raise DataError(problem)
        self._opened = FileState.of(self.path)
        self._index: VideoIndex = video_index(self.path)
        self._decoder = VideoDecoder(self.path, self._index, threads)
        if len(self._index) >= LONG:
            hand_back_freed_memory()
        self.original_size: Size = self._index.size
        self.size: Size = size or self.original_size
        codec = self._decoder.stream.codec_context.name
        self._rgb = RgbFrames(self.size, self._index.turn, codec, quick=quick)
        self._broken: set[int] = set()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._decoder.close()

    @property
    def frame_count(self) -> int:
        """Frames that are presented."""
        return len(self._index)

    @property
    def fps(self) -> float:
        """Frames per second: the inverse of the median frame duration."""
        return self._index.fps or float(self._decoder.stream.average_rate or 30)

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
        if self._index.counted:
            found.append(
                f"{self.path} does not say when each frame is shown, so that frames are counted from its beginning, which "
                "is slow for training on it; convert it to mp4."
            )
        if claimed := self._decoder.stream.frames:
            missing = claimed - len(self._index)
            if missing > 0:
                found.append(f"{self.path} announces {claimed} frames but presents {len(self._index)}.")
        return *found, *undecodable(self.path, self._broken)

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
            DataError: outside the video, or the file is gone, has changed or its drive has failed since it was opened.
        """
        if start < 0 or start + length > self.frame_count:
            raise DataError(f"{self.path} has frames 0 to {self.frame_count - 1}, not {start} to {start + length - 1}.")
        out = np.zeros((length, *self.size, 3), dtype=np.uint8)
        for row in range(start, start + length):
            self._read(row, out[row - start])
        return out

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "frames h w 3"]:
        """Any frames, in the order asked for; decoded in the video's order.

        Raises:
            DataError: as `clip`.
        """
        wanted = np.asarray(indices, dtype=np.int64)
        out = np.zeros((len(wanted), *self.size, 3), dtype=np.uint8)
        for row in np.unique(wanted):
            out[wanted == row] = self.clip(int(row), 1)[0]
        return out

    def _read(self, row: int, out: UInt8[np.ndarray, "h w 3"]) -> None:
        """Put frame `row` into `out`, or note that it is broken."""
        try:
            frame = self._decoder.frame(row)
        except OSError as e:
            raise self._unreadable(row, self._opened.complaint() or e.strerror or str(e)) from e
        except DataError as e:  # opened again to go back, and it is no longer a video
            raise self._unreadable(row, self._opened.complaint() or "it does not open again") from e
        if frame is not None:
            self._rgb.write(frame, out)
            return
        if reason := self._opened.complaint():
            raise self._unreadable(row, reason)
        self._broken.add(row)

    def _unreadable(self, row: int, reason: str) -> DataError:
        return DataError(
            f"{self.path} can no longer be read at frame {row} ({reason}); "
            "make sure that the file is there and that nothing writes to it, and start again."
        )


def undecodable(video: Path | str, broken: Collection[int]) -> tuple[str, ...]:
    """A sentence about the frames of a video that cannot be decoded, if there are any."""
    if not broken:
        return ()
    first = min(broken)
    which = f"frame {first}" if len(broken) == 1 else f"{len(broken)} frames (the first is {first})"
    return (f"{video}: {which} cannot be decoded.",)
