"""A video with its poses drawn on it."""

from collections import deque
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import ConfigError, DataError, PoseTable, Resize, Size
from lp_io import VideoReader, VideoWriter, read_predictions
from lp_io.progress import Progress

from lp_viz.colors import pose_colors
from lp_viz.draw import dot_radius, draw_pose, line
from lp_viz.style import RenderOptions


def render_video(
    video: Path | str, predictions: Path | str | PoseTable, out: Path | str, options: RenderOptions | None = None
) -> Path:
    """Write `video` with the poses of `predictions` drawn on it to the mp4 file `out`: same frames, same rate.

    Args:
        video: the file.
        predictions: one row per frame, in pixels of the video's frames; a CSV file or a table.
        out: the file to write; it appears when it is complete.
        options: what it looks like.

    Returns:
        `out`.

    Raises:
        DataError: a file cannot be read, or the table has not one row per frame.
        ConfigError: the skeleton names keypoints that the table does not have.
    """
    options = options or RenderOptions()
    table = predictions if isinstance(predictions, PoseTable) else read_predictions(predictions)
    with VideoReader(video) as reader:
        original = reader.size
        _check(table, reader, "the table of predictions" if table is predictions else str(predictions), options)
    size = enlarged(original, options.min_side)
    artist = Artist(table, Resize(original, size), options)
    with VideoReader(video, size) as reader, VideoWriter(out, reader.fps, size) as writer:
        progress = Progress(f"render {Path(video).name}", reader.frame_count, options.progress)
        number = 0
        for batch in reader.batches(options.batch_size):
            for frame in batch:
                writer.write(artist.draw(frame, number))
                number += 1
            progress.update(number)
    return Path(out)


def _check(table: PoseTable, reader: VideoReader, source: str, options: RenderOptions) -> None:
    """Whether table, video and skeleton belong together."""
    rows, count = len(table.keypoints), len(table.keypoint_names)
    if reader.frame_count != rows:
        raise DataError(
            f"{source} has {rows} rows but {reader.path} has {reader.frame_count} frames; predict this video again."
        )
    if strangers := sorted({k for pair in options.skeleton for k in pair if not 0 <= k < count}):
        raise ConfigError(f"skeleton names keypoint {strangers[0]} but {source} has keypoints 0 to {count - 1} only.")


def enlarged(size: Size, min_side: int) -> Size:
    """`size` times the smallest whole number that makes its shorter side `min_side`."""
    factor = max(1, -(-min_side // min(size)))
    return size[0] * factor, size[1] * factor


class Artist:
    """Draws frame after frame of a table; remembers what the trail needs."""

    def __init__(self, table: PoseTable, resize: Resize, options: RenderOptions) -> None:
        self._table, self._resize, self._options = table, resize, options
        self._colors = pose_colors(table.keypoint_names, len(table.keypoint_names))
        self._past: deque[Float[np.ndarray, "keypoints 2"]] = deque(maxlen=options.trail + 1)

    def draw(self, frame: UInt8[np.ndarray, "height width 3"], number: int) -> UInt8[np.ndarray, "height width 3"]:
        """`frame` with row `number` on it. Frames must come in order for the trail to be right."""
        confidence = self._table.confidence[number]
        keypoints = self._resize.forward(self._table.keypoints[number])
        if self._options.trail:
            sure = (confidence >= self._options.min_confidence)[:, None]
            self._past.append(np.where(sure, keypoints, np.nan))
            frame = self._with_trail(frame)
        return draw_pose(frame, keypoints, confidence, self._options, self._table.keypoint_names)

    def _with_trail(self, frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
        frame = frame.copy()
        width = 0.8 * dot_radius(frame, self._options)
        for age, (a, b) in enumerate(zip(self._past, list(self._past)[1:], strict=False), start=1):
            for start, end, color in zip(a, b, self._colors, strict=True):
                line(frame, np.stack([start, end]), color, width, 0.8 * age / len(self._past))
        return frame
