"""Videos with poses drawn on them: of one model or several, of one camera or several, whole or where they are worst."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from lp_core import ConfigError, DataError, PoseTable, Resize, Size
from lp_io import VideoReader, VideoWriter, ahead, pick_encoder
from lp_io.progress import Progress

from lp_viz.artist import WHITE, Artist, caption, legend
from lp_viz.draw import word
from lp_viz.markers import MARKERS
from lp_viz.moments import worst_moments
from lp_viz.mosaic import Mosaic
from lp_viz.rows import Rows, Span
from lp_viz.style import RenderOptions, SlowMotion

Predictions = Path | str | PoseTable


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A video and what is drawn on it.

    Attributes:
        video: the file.
        predictions: by the model's name, a CSV file or a table: one row per frame, in pixels of the video's frames.
        name: written on it where there are several views.
    """

    video: Path
    predictions: Mapping[str, Predictions]
    name: str = ""


def render_video(
    video: Path | str,
    predictions: Predictions | Mapping[str, Predictions],
    out: Path | str,
    options: RenderOptions | None = None,
    slow: SlowMotion | None = None,
) -> Path:
    """Write `video` with the poses of `predictions` drawn on it to the mp4 file `out`; see `render_views`.

    Args:
        video: the file.
        predictions: a CSV file or a table; or several by the name of what predicted them, each drawn with its own marker.
        out: the file to write; it appears when it is complete.
        options: what it looks like.
        slow: show only the worst moments, slowly.
    """
    named = predictions if isinstance(predictions, Mapping) else {"": predictions}
    return render_views([View(video=Path(video), predictions=named)], out, options, slow)


def render_views(
    views: Sequence[View], out: Path | str, options: RenderOptions | None = None, slow: SlowMotion | None = None
) -> Path:
    """Write videos of the same moments side by side, with their poses, to the mp4 file `out`.

    Same frames and same rate as the videos, unless `slow` asks for moments. Memory does not grow with the videos' length,
    but by 8 bytes a frame where moments are looked for.

    Raises:
        DataError: a file cannot be read, a table has not one row per frame, or videos differ in length.
        ConfigError: the skeleton names keypoints that a table does not have, or there are more models than markers.
    """
    options = options or RenderOptions()
    with ExitStack() as files:
        panels = [_Panel(view, options) for view in views]
        fps, count, mosaic = _common(panels, options)
        tables = [table for panel in panels for table in panel.tables.values()]
        spans = worst_moments(tables, fps, slow) if slow else [Span(0, count)]
        fps_out = fps / slow.factor if slow else fps
        pictures = [panel.pictures(files, size, spans) for panel, size in zip(panels, mosaic.tiles, strict=True)]
        encoder = pick_encoder(options.encoder, mosaic.size, fps_out)
        writer = files.enter_context(VideoWriter(out, fps_out, mosaic.size, options.crf, options.threads, encoder))
        progress = Progress(f"render {views[0].video.name}", sum(s.stop - s.start for s in spans), options.progress)
        frames = ((span, n) for span in spans for n in range(span.start, span.stop))
        for done, ((span, number), *tiles) in enumerate(zip(frames, *pictures, strict=True), start=1):
            picture = mosaic.join(tiles)
            if span.caption:
                caption(picture, f"{span.caption}   frame {number}   {number / fps:.2f} s   {1 / (fps / fps_out):.2g}x")
            writer.write(picture)
            if done % options.batch_size == 0:
                progress.update(done)
    return Path(out)


def _common(panels: "Sequence[_Panel]", options: RenderOptions) -> tuple[float, int, Mosaic]:
    """Rate, frames and layout of all."""
    first = panels[0]
    for other in panels[1:]:
        if other.count != first.count:
            raise DataError(
                f"{first.view.video} has {first.count} frames but {other.view.video} has {other.count}; "
                "give videos of the same moments."
            )
    return first.fps, first.count, Mosaic.of([enlarged(panel.size, options.min_side) for panel in panels])


def enlarged(size: Size, min_side: int) -> Size:
    """`size` times the smallest whole number that makes its shorter side `min_side`."""
    factor = max(1, -(-min_side // min(size)))
    return size[0] * factor, size[1] * factor


class _Panel:
    """One view, checked and opened."""

    def __init__(self, view: View, options: RenderOptions) -> None:
        self.view, self._options = view, options
        self.tables = {name: Rows.of(table) for name, table in view.predictions.items()}
        if len(self.tables) > len(MARKERS):
            raise ConfigError(f"{len(self.tables)} models are more than the {len(MARKERS)} that can be told apart.")
        with VideoReader(view.video) as reader:
            self.size, self.fps, self.count = reader.size, reader.fps, reader.frame_count
        for table in self.tables.values():
            _check(table, self.count, view.video, options)

    def pictures(
        self, files: ExitStack, size: Size, spans: Sequence[Span]
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """The frames of `spans` with everything on them."""
        options = self._options
        reader = files.enter_context(VideoReader(self.view.video, size, options.threads, quick=True))
        batches = (batch for s in spans for batch in reader.batches(options.batch_size, s.start, s.stop))
        frames = files.enter_context(ahead(batches, depth=1))
        artists = [
            Artist(table.keypoint_names, Resize(self.size, size), options, marker)
            for table, marker in zip(self.tables.values(), MARKERS, strict=False)
        ]
        starts = {sum(s.stop - s.start for s in spans[:n]) for n in range(len(spans))}
        return self._drawn(frames, artists, spans, starts)

    def _drawn(
        self, batches: Iterator[np.ndarray], artists: list[Artist], spans: Sequence[Span], starts: set[int]
    ) -> Iterator[np.ndarray]:
        rows = zip(*(table.within(spans) for table in self.tables.values()), strict=True)
        frames = (frame for batch in batches for frame in batch)
        for number, (frame, each) in enumerate(zip(frames, rows, strict=True)):
            for artist, row in zip(artists, each, strict=True):
                if number in starts:
                    artist.forget()
                artist.draw(frame, row)
            if self._options.names:
                artists[0].name(frame, each[0])
            self._signs(frame)
            yield frame

    def _signs(self, picture: np.ndarray) -> None:
        if self.view.name:
            word(picture, self.view.name, (6.0, 18.0), WHITE)
        if len(self.tables) > 1:
            legend(picture, list(self.tables), top=24.0 if self.view.name else 0.0)


def _check(table: Rows, frames: int, video: Path, options: RenderOptions) -> None:
    """Whether table, video and skeleton belong together."""
    rows, count = len(table), len(table.keypoint_names)
    if frames != rows:
        raise DataError(f"{table.name} has {rows} rows but {video} has {frames} frames; predict this video again.")
    if strangers := sorted({k for pair in options.skeleton for k in pair if not 0 <= k < count}):
        raise ConfigError(
            f"skeleton names keypoint {strangers[0]} but {table.name} has keypoints 0 to {count - 1} only."
        )
