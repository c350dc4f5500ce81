"""Suggestions as a printed table, as CSV and as a contact sheet."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lp_io import VideoReader, atomic_path

from lp_viz.check.tiles import Picture, captioned, tile_of, write_sheet
from lp_viz.draw import draw_pose
from lp_viz.style import PoseStyle
from lp_viz.suggest.run import Suggestion

SHOWN = 40  # tiles of the contact sheet
SHORT = {
    "ensemble": "ensemble",
    "temporal": "jump",
    "pca_singleview": "pose",
    "pca_multiview": "views",
    "confidence": "unsure",
}


def table_of(suggestions: Sequence[Suggestion]) -> str:
    """One row each: video, frame, time, score, its parts, how new, and why."""
    names = list(suggestions[0].parts)
    width = max(5, *(len(s.evidence.video.stem) for s in suggestions))
    head = f"{'':>3} {'video':{width}} {'frame':>7} {'time':>8} {'score':>6} " + " ".join(
        f"{SHORT[n]:>8}" for n in names
    )
    rows = [f"{head} {'new':>5}  why"]
    for rank, s in enumerate(suggestions, 1):
        parts = " ".join(f"{s.parts[n]:8.1f}" if np.isfinite(s.parts[n]) else f"{'':8}" for n in names)
        place = f"{rank:3} {s.evidence.video.stem:{width}} {s.frame:7} {s.time:7.2f}s {s.score:6.1f}"
        rows.append(f"{place} {parts} {s.novelty:5.2f}  {s.why}")
    return "\n".join(rows)


def write_table(path: Path, suggestions: Sequence[Suggestion], images: Sequence[str]) -> Path:
    """The same as CSV, with the path of each image (empty where the layout has none)."""
    names = list(suggestions[0].parts)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "video", "frame", "time", "score", *names, "new", "why", "image"])
    for rank, (s, image) in enumerate(zip(suggestions, images, strict=True), 1):
        parts = [f"{s.parts[n]:.3f}" if np.isfinite(s.parts[n]) else "" for n in names]
        numbers = [f"{s.time:.3f}", f"{s.score:.3f}", *parts, f"{s.novelty:.3f}"]
        writer.writerow([rank, s.evidence.video, s.frame, *numbers, s.why, image])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return path


def write_contact_sheet(
    path: Path, suggestions: Sequence[Suggestion], skeleton: Sequence[tuple[int, int]] = ()
) -> Path:
    """The first `SHOWN` suggestions with their predictions; faint ones are unsure."""
    shown = suggestions[:SHOWN]
    images = frames_of(shown)
    style = PoseStyle(skeleton=[list(pair) for pair in skeleton], radius=3.0)
    tiles: list[Picture] = []
    for rank, s in enumerate(shown, 1):
        tile = tile_of(images[rank - 1])
        table = s.evidence.table
        picture = draw_pose(
            tile.picture, tile.places(table.keypoints[s.frame]), table.confidence[s.frame], style, table.keypoint_names
        )
        tiles.append(
            captioned([picture], [f"{rank}  {s.evidence.video.stem} {s.frame}  score {s.score:.1f}", s.why], 2)
        )
    return write_sheet(path, tiles)


def frames_of(suggestions: Sequence[Suggestion]) -> list[Picture]:
    """The frame of each suggestion in its original size; every video is opened once."""
    found: dict[int, Picture] = {}
    for video in dict.fromkeys(s.evidence.video for s in suggestions):
        rows = sorted((s.frame, row) for row, s in enumerate(suggestions) if s.evidence.video == video)
        with VideoReader(video, threads=1) as reader:
            found |= {row: reader.clip(frame, 1)[0] for frame, row in rows}
    return [found[row] for row in range(len(suggestions))]
