"""Finished tables of predictions in the layouts of other programs, beside the CSV."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lp_core import ConfigError, TableWriter, VideoFacts, nearest, table_writers

if TYPE_CHECKING:
    from lp_core import PoseTable


def writers_of(names: str) -> list[TableWriter]:
    """Those of `csv,h5,slp`, made before anything is predicted, so that what is not installed is said at once.

    Raises:
        ConfigError: an unknown layout, or one whose library is not installed.
    """
    wanted = [name for name in names.strip("[]").replace(" ", "").split(",") if name != "csv"]
    for name in wanted:
        if name not in table_writers:
            known = ["csv", *table_writers]
            raise ConfigError(f"format={name} is not known{nearest(name, known)} There are {', '.join(known)}.")
    return [table_writers[name]().build() for name in wanted]


def write_formats(writers: list[TableWriter], predictions: Path, video: Path, run: Path) -> None:
    """Write the finished CSV `predictions` of `video` once more with each writer."""
    from lp_io.files import is_due

    writers = [writer for writer in writers if is_due(predictions.with_suffix(writer.suffix), predictions)]
    if not writers:
        return
    from lp_io import VideoReader, read_predictions

    table = read_predictions(predictions)
    with VideoReader(video) as reader:
        size, fps, times = reader.original_size, reader.fps, reader.times
    facts = VideoFacts(path=video, size=size, fps=fps, times=times, skeleton=_skeleton(run, table))
    for writer in writers:
        path = predictions.with_suffix(writer.suffix)
        writer.write(path, table, facts)
        print(f"and {path}")


def _skeleton(run: Path, table: "PoseTable") -> tuple[tuple[int, int], ...]:
    """Of the training's labels; empty for an exported file."""
    try:
        pairs = json.loads((run / "provenance.json").read_text())["skeleton"]
    except (OSError, ValueError, KeyError):
        return ()
    return tuple((a, b) for a, b in pairs if max(a, b) < len(table.keypoint_names))
