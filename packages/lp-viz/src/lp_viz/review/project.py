"""What the review page shows: models, videos, the labels, and which label is furthest from its prediction."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lp_core import DataError, LabelSet, PoseTable
from lp_io import VIDEO_SUFFIXES, read_labels
from lp_io.labels import detect_format

from lp_viz.review.folder import leads_out
from lp_viz.review.frames import Cache, VideoFrames
from lp_viz.review.label_store import LAYOUTS
from lp_viz.review.model import Model, Predictions
from lp_viz.review.tables import in_order, poses_of, read_numbers


@dataclass(slots=True, kw_only=True)
class ReviewOptions:
    """What is reviewed.

    Attributes:
        run: the directory of a run; its labels are edited.
        runs: further runs, or directories that `lpose ensemble` wrote, to compare.
        videos: to look at; empty = those that the runs have predicted.
        root: of the labeled project; None = the one the run was trained on.
        labels: the label file in it; None = as the run says.
        cache_mb: memory for decoded frames.
    """

    run: Path
    runs: Sequence[Path] = ()
    videos: Sequence[Path] = ()
    root: Path | None = None
    labels: str | None = None
    cache_mb: int = 192


@dataclass(slots=True)
class Video:
    """One video, opened when it is first looked at.

    Attributes:
        names: of the keypoints, in the order that all models' tables are brought into; None = the first model's.
        notes: about models that are not shown.
    """

    path: Path
    models: Sequence[Model]
    cache: Cache
    names: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)
    _frames: VideoFrames | None = None
    _predictions: dict[int, Predictions] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """Without folder and suffix."""
        return self.path.stem

    def frames(self) -> VideoFrames:
        """Its pictures.

        Raises:
            DataError: not a video.
        """
        with self._lock:
            self._frames = self._frames or VideoFrames(self.path, self.cache)
            return self._frames

    def predictions(self) -> dict[int, Predictions]:
        """What each model says, by its number; models whose tables do not fit are left out and noted.

        Raises:
            DataError: not a video.
        """
        count = self.frames().count
        with self._lock:
            if not self._predictions and not self.notes:
                for number, model in enumerate(self.models):
                    self._read(number, model, count)
            return self._predictions

    def close(self) -> None:
        """Release the file."""
        if self._frames:
            self._frames.close()

    def _read(self, number: int, model: Model, count: int) -> None:
        try:
            table = model.table(self.name)
            if table is None:
                raise DataError(f"{model.name} has not predicted this video.")
            self._predictions[number] = Predictions.read(table, model.videos(), count, self.names)
            self.names = self.names or self._predictions[number].table.keypoint_names
        except DataError as e:
            self.notes.append(str(e))


@dataclass(frozen=True, slots=True)
class Furthest:
    """The keypoint of a labeled image whose prediction is furthest from its label.

    Attributes:
        distance: in pixels; None = no keypoint has both.
        keypoint: its name.
        part: of the split that the image is in.
    """

    distance: float | None = None
    keypoint: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that can be looked at. The lists are fixed when the page starts.

    Attributes:
        labels: None where they cannot be read.
        layout: of the labels.
        reason: why labels cannot be edited; empty if they can.
        errors: how far the predictions of each labeled image are from its labels.
        labeled: each model's predictions of labeled images.
        notes: about what is not shown.
    """

    models: tuple[Model, ...]
    videos: tuple[Video, ...]
    labels: LabelSet | None
    layout: str
    reason: str
    errors: dict[str, Furthest]
    labeled: dict[int, PoseTable]
    notes: tuple[str, ...]

    def close(self) -> None:
        """Release all videos."""
        for video in self.videos:
            video.close()


def open_review(options: ReviewOptions) -> Project:
    """Find the models, videos and labels.

    Raises:
        DataError: no run, or a video that does not exist.
    """
    models = tuple(Model.at(Path(root)) for root in dict.fromkeys((options.run, *options.runs)))
    config = _config(models[0].root)
    labels, layout, reason = _labels(options, config)
    given = options.root or config.get("root")
    root = labels.root if labels else Path(given) if given and Path(given).is_dir() else None
    videos, notes = _videos(options, models, root)
    cache = Cache(options.cache_mb * 1_000_000)
    names = labels.keypoint_names if labels else None
    shown = tuple(Video(path, models, cache, names) for path in videos)
    if not shown and labels is None:
        raise DataError(f"There is nothing to review: {reason} No predicted video was found; give source=VIDEO.")
    return Project(
        models, shown, labels, layout, reason, _errors(models[0].root), _labeled(models, names), tuple(notes)
    )  # fmt: skip


def _config(root: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    data = content.get("data") if isinstance(content, dict) else None
    return data if isinstance(data, dict) else {}


def _labels(options: ReviewOptions, config: dict[str, Any]) -> tuple[LabelSet | None, str, str]:
    """The labels, their layout, and why they cannot be edited."""
    root = options.root or config.get("root")
    if root is None:
        return None, "", "The run does not say where its labels are; give data.root=DIR to edit them."
    file = options.labels or config.get("labels")
    if config.get("view_names"):
        reason = "Labels of several cameras in several files belong together, so they are corrected in these files."
        return None, "", reason
    try:
        kept = str(config.get("format") or "auto") if options.root is None else "auto"
        layout = detect_format(Path(root)) if kept == "auto" else kept
        labels = read_labels(Path(root).resolve(), layout, file)
    except DataError as e:
        return None, "", f"{e} Give data.root=DIR to edit labels."
    if layout not in LAYOUTS:
        return (
            labels,
            layout,
            f"Labels in the layout {layout} are shown but not edited; lpose convert makes them editable.",
        )
    if not os.access(labels.root, os.W_OK):
        return labels, layout, f"You have no right to write in {labels.root}; change its permissions."
    return labels, layout, ""


def _videos(options: ReviewOptions, models: Sequence[Model], root: Path | None) -> tuple[list[Path], list[str]]:
    """The videos that are shown, and those that are not."""
    given = [path.resolve() for path in options.videos]
    if given:
        if len({path.stem for path in given}) < len(given):
            raise DataError(
                "Two videos have the same name, and so would their images; review them one after the other."
            )
        if missing := [path for path in given if not path.is_file()]:
            raise DataError(f"{missing[0]} does not exist; give the path of a video file.")
        return given, []
    stems = {stem for model in models for stem in model.videos()}
    there = sorted(p for p in (root / "videos").rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES) if root else []
    found = {path.stem: path for path in there if path.stem in stems and path.is_file()}
    outside = [path for path in found.values() if root and leads_out(path, root)]
    notes = [f"{path} leads out of {root}; name it with source= to review it." for path in outside]
    lost = sorted(stems - found.keys())
    notes += [
        f"The predicted video {stem} was not found; name its file with source= to review it." for stem in lost[:3]
    ]
    return [path for path in found.values() if path not in outside], notes


def _errors(root: Path) -> dict[str, Furthest]:
    """The keypoint furthest from its label in every labeled image."""
    path = root / "predictions_pixel_error.csv"
    if not path.is_file() or leads_out(path, root):
        return {}
    numbers = read_numbers(path)
    split = numbers.split or ("",) * len(numbers.index)
    names, found = [head[-1] for head in numbers.heads], {}
    for image, part, errors in zip(numbers.index, split, numbers.values, strict=True):
        k = int(np.nanargmax(errors)) if np.isfinite(errors).any() else None
        found[image] = Furthest(None, "", part) if k is None else Furthest(float(errors[k]), names[k], part)
    return found


def _labeled(models: Sequence[Model], names: tuple[str, ...] | None) -> dict[int, PoseTable]:
    found = {}
    for number, model in enumerate(models):
        path = model.root / "predictions.csv"
        if path.is_file() and not leads_out(path, model.root):
            table = poses_of(path, read_numbers(path))
            found[number] = in_order(table, names) if names else table
    return found
