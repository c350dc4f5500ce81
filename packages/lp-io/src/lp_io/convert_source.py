"""What `convert` reads: the labels of any layout, the frames behind them, and the project's videos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from lp_core import DataError, LabelSet

from lp_io.files import VIDEO_SUFFIXES
from lp_io.formats.sleap import SleapFrame, SleapProject, only_slp, read_sleap
from lp_io.formats.sleap_frames import video_file
from lp_io.labels import detect_format, ood_label_files, read_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A labeled project.

    Attributes:
        frames: where SLEAP's images are; empty for other layouts, whose images are files.
        videos: file, and path below `videos/`.
        notes: what will not be converted, one sentence each.
    """

    format: str
    labels: LabelSet
    frames: tuple[SleapFrame, ...] = ()
    videos: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()


def open_source(source: Path, format: str = "auto") -> Source:
    """Read the project in the directory `source`, or that of the label file `source`.

    Raises:
        DataError: missing, of no known layout, or without labels.
    """
    if not source.exists():
        raise DataError(f"source={source} does not exist; give the directory of a labeled project, or its label file.")
    root, file, of_file = (source, None, "auto") if source.is_dir() else _label_file(source)
    name = of_file if format == "auto" else format
    name = detect_format(root) if name == "auto" else name
    if name == "sleap":
        return _sleap_source(read_sleap(root / file if file else only_slp(root)))
    labels = read_labels(root, name, file)
    named = _named_videos(root / "config.yaml") if name == "deeplabcut" else []
    return Source(
        format=name, labels=labels, videos=tuple(_videos(root, named)), notes=tuple(_left(labels, name))
    )  # fmt: skip


def _label_file(path: Path) -> tuple[Path, str | None, str]:
    """Project directory, label file in it, and layout, of a label file."""
    folder = path.parent
    if path.suffix == ".slp":
        return folder, path.name, "sleap"
    if path.suffix == ".json":
        root = folder.parent if folder.name == "annotations" else folder
        return root, str(path.relative_to(root)), "coco"
    if path.name == "config.yaml":
        return folder, None, "deeplabcut"
    root = folder.parent.parent
    if path.suffix in (".csv", ".h5") and folder.parent.name == "labeled-data" and (root / "config.yaml").exists():
        return root, str(path.relative_to(root)), "deeplabcut"
    if path.suffix == ".csv":
        return folder, path.name, "lightning_pose"
    raise DataError(f"{path} is not a label file; give a label CSV, a COCO JSON, a DeepLabCut config.yaml or a .slp.")


def _sleap_source(project: SleapProject) -> Source:
    path = project.labels.source
    origins = [video for own in project.videos for video in (own, own.source_video) if video is not None]
    files = [file for video in origins if (file := video_file(path, video))]
    notes = []
    if project.predicted:
        notes.append(f"{project.predicted} frames of {path} hold predictions only and were left out.")
    return Source(
        format="sleap", labels=project.labels, frames=project.frames, videos=tuple(_videos(path.parent, files)),
        notes=tuple(notes),
    )  # fmt: skip


def _videos(root: Path, named: Sequence[Path] = ()) -> Iterator[tuple[Path, str]]:
    """Those below `videos/`, then those elsewhere that the labels name."""
    folder = root / "videos"
    seen = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            seen.add(path.resolve())
            yield path, str(path.relative_to(folder))
    for path in named:
        if path.is_file() and path.resolve() not in seen:
            seen.add(path.resolve())
            yield path, path.name


def _named_videos(config: Path) -> list[Path]:
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        return [config.parent / str(name) for name in content["video_sets"]]
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return []


def _left(labels: LabelSet, format: str) -> Iterator[str]:
    """Label files beside the one that was read."""
    files = ood_label_files(labels) if format in ("lightning_pose", "deeplabcut") else []
    if format == "coco":
        files = [path for path in sorted(labels.source.parent.glob("*.json")) if path != labels.source]
    if files:
        names = ", ".join(path.name for path in files)
        yield f"Only {labels.source.name} was converted; for {names} convert again with source={files[0]}."
