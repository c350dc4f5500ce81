"""Frames of a video as JPEG, by number, with those round the cursor decoded ahead. Memory is bounded."""

import threading
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from lp_core import DataError
from lp_io import VideoReader

QUALITY = 92
AHEAD, BEHIND = 24, 12  # frames decoded beyond the one that was asked for, forwards and backwards


def jpeg(image: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """RGB → JPEG."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not ok:
        raise DataError(f"An image of {image.shape[1]}×{image.shape[0]} pixels cannot be shown.")
    return data.tobytes()


class Cache:
    """The most recently used pictures, up to `limit` bytes together."""

    def __init__(self, limit: int) -> None:
        self._limit, self.used = limit, 0
        self._items: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: tuple[str, int]) -> bool:
        return key in self._items

    def get(self, key: tuple[str, int]) -> bytes | None:
        """The picture, which becomes the most recent; None if it is not there."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def put(self, key: tuple[str, int], data: bytes) -> None:
        """Keep a picture, and forget the oldest ones beyond the limit."""
        with self._lock:
            self.used += len(data) - len(self._items.pop(key, b""))
            self._items[key] = data
            while self.used > self._limit and len(self._items) > 1:
                self.used -= len(self._items.popitem(last=False)[1])


class VideoFrames:
    """One video. A frame that is asked for comes before those decoded ahead.

    Args:
        path: of the video.
        cache: shared by all videos.

    Raises:
        DataError: not a video.
    """

    def __init__(self, path: Path, cache: Cache) -> None:
        self.path, self._cache, self._name = path, cache, str(path)
        self._reader = VideoReader(path, threads=1)
        self.count, self.size, self.fps = self._reader.frame_count, self._reader.original_size, self._reader.fps
        self._decoding, self._waiting = threading.Lock(), threading.Condition()
        self._wanted: list[int] = []
        self._last, self._closed = 0, False
        self._thread = threading.Thread(target=self._ahead, name=f"frames of {path.name}", daemon=True)
        self._thread.start()

    def jpeg(self, number: int) -> bytes:
        """Frame `number`, and decode on from there in the direction of the last two requests.

        Raises:
            DataError: no such frame, or the file can no longer be read.
        """
        if not 0 <= number < self.count:
            raise DataError(f"{self.path.name} has frames 0 to {self.count - 1}, not {number}.")
        data = self._get(number)
        back = number < self._last
        self._last = number
        near = (
            range(max(0, number - BEHIND), number) if back else range(number + 1, min(self.count, number + 1 + AHEAD))
        )
        with self._waiting:
            self._wanted = [n for n in near if (self._name, n) not in self._cache]
            self._waiting.notify()
        return data

    def image(self, number: int) -> UInt8[np.ndarray, "height width 3"]:
        """Frame `number` as it is, RGB.

        Raises:
            DataError: it cannot be decoded.
        """
        with self._decoding:
            frame = self._reader.clip(number, 1)[0]
            if number in self._reader.broken:
                raise DataError(f"Frame {number} of {self.path} cannot be decoded; choose another one.")
        return frame

    def close(self) -> None:
        """Stop decoding and release the file."""
        with self._waiting:
            self._closed = True
            self._waiting.notify()
        self._thread.join(timeout=5)
        with self._decoding:
            self._reader.close()

    def _get(self, number: int) -> bytes:
        data = self._cache.get((self._name, number))
        if data is None:
            with self._decoding:
                data = jpeg(self._reader.clip(number, 1)[0])
            self._cache.put((self._name, number), data)
        return data

    def _ahead(self) -> None:
        while True:
            with self._waiting:
                while not self._wanted and not self._closed:
                    self._waiting.wait()
                if self._closed:
                    return
                number = self._wanted.pop(0)
            try:
                self._get(number)
            except DataError:  # told when the frame itself is asked for
                with self._waiting:
                    self._wanted = []
