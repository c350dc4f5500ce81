"""DeepLabCut, one animal or several: `config.yaml` and a label table per video folder."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import av
import numpy as np
import yaml
from lp_core import DataError, LabelSet, Size

from lp_io.animals import SINGLE, named_edges, named_pairs
from lp_io.files import atomic_path
from lp_io.hdf_table import KEY
from lp_io.images import image_size
from lp_io.label_writers.frame_hdf import write_frame_hdf
from lp_io.label_writers.losses import hidden, occluded
from lp_io.label_writers.table import write_header_table

_SETTINGS = {
    "start": 0, "stop": 1, "numframes2pick": 20, "skeleton_color": "black", "pcutoff": 0.6, "dotsize": 12,
    "alphavalue": 0.7, "colormap": "rainbow", "TrainingFraction": [0.95], "iteration": 0,
    "default_net_type": "resnet_50", "snapshotindex": -1, "detector_snapshotindex": -1, "batch_size": 8,
    "detector_batch_size": 1, "cropping": False, "x1": 0, "x2": 640, "y1": 277, "y2": 624,
    "corner2move2": [50, 50], "move2corner": True,
}  # fmt: skip


class DeepLabCutWriter:
    """Tables as CSV and HDF5. Every folder has an entry in `video_sets`, or DeepLabCut would pass over it."""

    folder = "labeled-data"
    flat = True
    several = True

    def write(self, labels: LabelSet, final: Path, videos: Sequence[str]) -> list[str]:
        """`config.yaml` and `labeled-data/<video>/CollectedData_<scorer>.csv` and `.h5`."""
        if labels.animals and SINGLE in labels.animals.individuals:
            raise DataError(
                f"{labels.source} calls an animal {SINGLE}, DeepLabCut's word for unique points; rename it."
            )
        labels = replace(labels, scorer=labels.scorer.replace("/", "_"))  # it is in file names
        folders: dict[str, list[int]] = {}
        for row, image in enumerate(labels.images):
            folders.setdefault(PurePosixPath(image).parent.name, []).append(row)
        for rows in folders.values():
            self._tables(labels, rows)
        config = _config(labels, final, _video_sets(labels, final, videos, folders))
        with atomic_path(labels.root / "config.yaml") as temporary:
            text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=10_000)
            temporary.write_text(text, encoding="utf-8")
        notes = hidden(labels, "DeepLabCut") + occluded(labels, "DeepLabCut")
        if [row for name in sorted(folders) for row in folders[name]] != list(range(len(labels))):
            notes.append(
                "DeepLabCut keeps a table per video: frames are grouped by video, in the order of their names."
            )
        return notes + _edge(labels) + _unlisted(videos, config, final)

    def _tables(self, labels: LabelSet, rows: list[int]) -> None:
        index = [PurePosixPath(labels.images[row]).parts for row in rows]
        named = named_pairs(labels.animals) if labels.animals else [(name,) for name in labels.keypoint_names]
        columns = [(labels.scorer, *names, coord) for names in named for coord in ("x", "y")]
        values = np.where(labels.visibility[rows, :, None] > 0, labels.keypoints[rows], np.nan).reshape(len(rows), -1)
        stem = labels.root / PurePosixPath(*index[0][:-1]) / f"CollectedData_{labels.scorer}"
        write_header_table(stem.with_name(f"{stem.name}.csv"), columns, index, values)
        write_frame_hdf(stem.with_name(f"{stem.name}.h5"), KEY, columns, index, values)


def _video_sets(labels: LabelSet, final: Path, videos: Sequence[str], folders: dict[str, list[int]]) -> dict[str, Any]:
    """An entry per folder and per further video; DeepLabCut matches them by name without suffix, so each name comes once."""
    paths = {folder: f"videos/{folder}.mp4" for folder in folders}
    sizes: dict[str, Size] = {}
    for video in videos:
        name = PurePosixPath(video).stem
        if name not in sizes and (size := _frame_size(labels.root / video)):
            paths[name], sizes[name] = video, size
    for folder, rows in folders.items():
        sizes.setdefault(folder, image_size(labels.root / labels.images[rows[0]]))
    return {
        str(final / path): {"crop": f"0, {sizes[name][1]}, 0, {sizes[name][0]}"} for name, path in paths.items()
    }  # fmt: skip


def _frame_size(video: Path) -> Size | None:
    """(height, width) as players show the first frame; None if it cannot be decoded."""
    try:
        with av.open(str(video)) as container:
            frame = next(container.decode(video=0))
    except (av.FFmpegError, OSError, StopIteration, IndexError):
        return None
    return (frame.width, frame.height) if frame.rotation % 180 else (frame.height, frame.width)


def _unlisted(videos: Sequence[str], config: dict[str, Any], final: Path) -> list[str]:
    left = [video for video in videos if str(final / video) not in config["video_sets"]]
    return [f"Not in video_sets, because damaged or named like another video: {', '.join(left)}."] if left else []


def _config(labels: LabelSet, final: Path, video_sets: dict[str, Any]) -> dict[str, Any]:
    skeleton = named_edges(labels.keypoint_names, labels.animals, labels.skeleton)
    return {
        "Task": final.name, "scorer": labels.scorer, "date": f"{date.today():%b%d}",
        "multianimalproject": labels.animals is not None, "identity": None, "project_path": str(final), "engine": "pytorch",
        "video_sets": video_sets, **_bodyparts(labels), "skeleton": skeleton, **_SETTINGS,
    }  # fmt: skip


def _bodyparts(labels: LabelSet) -> dict[str, Any]:
    if labels.animals is None:
        return {"bodyparts": list(labels.keypoint_names)}
    animals = labels.animals
    return {
        "bodyparts": "MULTI!", "multianimalbodyparts": list(animals.parts), "uniquebodyparts": list(animals.unique),
        "individuals": list(animals.individuals), "default_track_method": "ellipse",
    }  # fmt: skip


def _edge(labels: LabelSet) -> list[str]:
    count = int(((labels.keypoints <= 0).any(-1) & (labels.visibility > 0)).sum())
    if not count:
        return []
    return [f"DeepLabCut does not train on labels at or beyond the first row or column of pixels: {count} are there."]
