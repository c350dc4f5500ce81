"""The images of a `.slp` as files: embedded ones, and frames of videos."""

from io import BytesIO
from pathlib import Path

import numpy as np
from lp_core import DataError
from PIL import Image

from lp_io.files import VIDEO_SUFFIXES, atomic_path
from lp_io.formats.sleap import SleapFrame
from lp_io.video_reader import VideoReader


def video_file(labels: Path, video: object) -> Path | None:
    """The file of a `sleap_io.Video`, or None if it is missing or not a video; also sought beside the `.slp`."""
    name = getattr(video, "filename", None)
    if not isinstance(name, str) or Path(name).suffix.lower() not in VIDEO_SUFFIXES:
        return None
    stored = Path(name)
    places = [labels.parent / stored, labels.parent / stored.name, labels.parent / "videos" / stored.name]
    return next((place for place in places if place.is_file()), None)


class SleapFrames:
    """Writes frames as image files; one video is open at a time.

    Args:
        labels: the `.slp`.
    """

    def __init__(self, labels: Path) -> None:
        self.labels = labels
        self._reader: VideoReader | None = None

    def __enter__(self) -> "SleapFrames":
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def write(self, frame: SleapFrame, to: Path) -> None:
        """The image's own bytes if they are embedded in their true colours, and a PNG otherwise.

        Raises:
            DataError: the video is missing, or shorter than the frame's number, or the image cannot be read.
        """
        with atomic_path(to) as temporary:
            if frame.swapped:
                _unswapped(self._bytes(frame)).save(temporary)
            elif frame.encoded:
                temporary.write_bytes(self._bytes(frame))
            else:
                Image.fromarray(self._pixels(frame)).save(temporary)

    def _bytes(self, frame: SleapFrame) -> bytes:
        data = frame.video.backend.get_frame_raw_bytes(frame.number)
        if data is None:
            raise DataError(f"{self.labels} holds no image of frame {frame.number}; export the package again in SLEAP.")
        return np.asarray(data).astype(np.int8).tobytes()

    def _pixels(self, frame: SleapFrame) -> np.ndarray:
        file = video_file(self.labels, frame.video)
        if file is not None and not hasattr(frame.video.backend, "crop"):
            return self._open(file).clip(frame.number, 1)[0]
        name = frame.video.filename
        try:
            return np.squeeze(np.asarray(frame.video[frame.number]))
        except Exception as e:  # sleap-io raises whatever its backends raise
            raise DataError(
                f"{self.labels}: frame {frame.number} of {name} cannot be read; put the video beside the .slp file."
            ) from e

    def _open(self, file: Path) -> VideoReader:
        if self._reader is None or self._reader.path != file:
            self._close()
            self._reader = VideoReader(file)
        return self._reader

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None


def _unswapped(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        if image.mode != "RGB":
            return image.copy()
        return Image.fromarray(np.array(image)[..., ::-1])
