"""Decoded frames by their number, going on from where decoding is if that is the shorter way."""

from collections.abc import Iterator
from pathlib import Path

import av

from lp_io.video_index import VideoIndex
from lp_io.video_packets import decoded, open_video, packets


class VideoDecoder:
    """Frames of one open file.

    Args:
        path: of the file.
        index: of the file.
        threads: that decode; 0 takes every core.
    """

    def __init__(self, path: Path, index: VideoIndex, threads: int) -> None:
        self._path, self._index = path, index
        self._threads = 1 if index.counted else threads  # with one, what is lost is lost at the same place every time
        self._container, self._stream = open_video(path, self._threads)
        self._fresh = True  # nothing has been read yet
        self._frames: Iterator[av.VideoFrame | None] | None = None
        self._next = 0  # the lowest row that `_ahead` and `_frames` may still give
        self._count = 0  # frames that came since the beginning, in a counted file
        self._ahead: tuple[int, av.VideoFrame | None] | None = None

    def close(self) -> None:
        """Release the file."""
        self._frames = self._ahead = None
        self._container.close()

    @property
    def stream(self) -> "av.VideoStream":
        """What is decoded."""
        return self._stream

    def frame(self, row: int) -> av.VideoFrame | None:
        """Frame `row`; None if it cannot be decoded.

        Raises:
            OSError: the file cannot be read.
            DataError: the file cannot be opened again.
        """
        if self._frames is None or row < self._next or self._jump_pays(row):
            self._seek(row)
        self._next = row + 1
        while True:
            self._ahead = self._ahead or self._decode()
            if self._ahead is None or self._ahead[0] > row:
                return None
            (at, frame), self._ahead = self._ahead, None
            if at == row:
                return frame

    def _jump_pays(self, row: int) -> bool:
        return row > self._next and not self._index.counted and self._index.keyframe_before(row) > self._next

    def _decode(self) -> tuple[int, av.VideoFrame | None] | None:
        assert self._frames is not None
        for frame in self._frames:
            if self._index.counted:
                self._count += 1
                return self._count - 1, frame
            row = self._index.row(frame.pts) if frame is not None and frame.pts is not None else None
            if row is not None:
                return row, frame
        return None

    def _seek(self, row: int) -> None:
        """Put decoding at a keyframe from which `row` is reached, or at the beginning."""
        key, back = 0 if self._index.counted else self._index.keyframe_before(row), 1
        while key:
            if self._land(key):
                return
            for _ in range(back):
                key = self._index.keyframe_before(key - 1) if key else 0
            back *= 2
        self._rewind()

    def _land(self, key: int) -> bool:
        """Seek to keyframe `key`; whether what comes begins there or before.

        Containers without a table of their own land anywhere, also in the middle of a packet.
        """
        self._fresh = False
        try:
            self._container.seek(self._index.shown.at(key), stream=self._stream, backward=True)
        except av.FFmpegError:
            return False
        self._frames = decoded(packets(self._container, self._stream), self._stream, trusted=False)
        self._ahead = self._decode()
        return self._ahead is not None and self._ahead[0] <= key

    def _rewind(self) -> None:
        if not self._fresh:
            self._container.close()
            self._container, self._stream = open_video(self._path, self._threads)
        self._fresh, self._count, self._ahead = False, 0, None
        self._frames = decoded(packets(self._container, self._stream), self._stream)
