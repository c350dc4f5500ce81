"""Rewrite a labeled project in another layout."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from lp_core import ConfigError, DataError, LabelSet, nearest

from lp_io.convert_source import Source, open_source
from lp_io.formats.sleap_frames import SleapFrames
from lp_io.label_writers import LabelWriter
from lp_io.label_writers.coco import CocoWriter
from lp_io.label_writers.deeplabcut import DeepLabCutWriter
from lp_io.label_writers.layout import LOOSE, place, without_folder
from lp_io.label_writers.lightning_pose import LightningPoseWriter
from lp_io.label_writers.sleap import SleapWriter
from lp_io.label_writers.transfer import MODES, put, put_videos
from lp_io.labels import check_labels
from lp_io.progress import Progress

WRITERS: dict[str, type[LabelWriter]] = {
    "lightning_pose": LightningPoseWriter, "deeplabcut": DeepLabCutWriter, "coco": CocoWriter, "sleap": SleapWriter,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What `convert` did.

    Attributes:
        source_format: the layout read.
        labels: as read back; for SLEAP the images are in the package, not on disk.
        videos: what became of the videos, in words.
        notes: what the new layout cannot keep and what was left behind, one sentence each.
    """

    out: Path
    source_format: str
    labels: LabelSet
    videos: str
    notes: tuple[str, ...]


def convert(
    source: Path | str, to: str, out: Path | str, format: str = "auto", videos: str = "link", scorer: str | None = None
) -> Conversion:
    """Write the labeled project `source` into the new directory `out`, in the layout `to`.

    Images are hard-linked, or copied where the disk does not allow it. The result is read back and compared before it
    gets its name; an interrupted run leaves nothing called `out`.

    Args:
        source: directory of a project, or its label file: CSV, COCO JSON, DeepLabCut's config.yaml, .slp.
        to: lightning_pose, deeplabcut, coco or sleap.
        format: layout of `source`; auto finds out.
        videos: link (hard link; symbolic to another disk), copy or none.
        scorer: who labeled; as the source says if not given.

    Raises:
        ConfigError: an unknown layout, or way with videos, or a scorer that cannot be part of a file name.
        DataError: `out` is not empty, or the source cannot be read, holds no label or does not fit its images.
    """
    final = Path(out).resolve()
    _check_options(to, final, videos, scorer)
    project = open_source(Path(source), format)
    if scorer:
        project = replace(project, labels=replace(project.labels, scorer=scorer))
    writer = WRITERS[to]()
    if project.labels.animals and not writer.several:
        fitting = [name for name, kind in WRITERS.items() if kind.several]
        raise DataError(
            f"{project.labels.source} has several animals, which {to} does not hold; choose to={' or to='.join(fitting)}."
        )
    with _partial(final) as root:
        labels = _with_images(project, root, writer)
        placed, how = put_videos(project.videos, root, videos)
        notes = writer.write(labels, final, placed)
        written = _read_back(root, to, labels)
    return Conversion(
        out=final, source_format=project.format, videos=how,
        labels=replace(written, root=final, source=final / written.source.relative_to(root)),
        notes=(*project.notes, *_loose(project.labels.images, writer), *notes),
    )  # fmt: skip


def _check_options(to: str, out: Path, videos: str, scorer: str | None) -> None:
    if to not in WRITERS:
        raise ConfigError(f"to={to} is not a layout{nearest(to, list(WRITERS))} The layouts are {', '.join(WRITERS)}.")
    if videos not in MODES:
        raise ConfigError(f"videos={videos} is not one of {', '.join(MODES)}.")
    if scorer is not None and (not scorer.strip() or set(scorer) & set("/\\\n")):
        raise ConfigError(f"scorer={scorer!r} must be a name without slashes; it becomes part of a file name.")
    if (out.exists() or out.is_symlink()) and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"out={out} exists already and is not an empty directory; give a new one.")


@contextmanager
def _partial(final: Path) -> Iterator[Path]:
    """A directory beside `final` that becomes it if the block ends well and is removed if it does not."""
    partial = final.with_name(f".{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    partial.mkdir(parents=True)
    try:
        yield partial
        if final.is_dir():
            final.rmdir()
        partial.replace(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _with_images(project: Source, root: Path, writer: LabelWriter) -> LabelSet:
    """The labels with their images in `root`, where the writer wants them."""
    source = project.labels
    images = place(source.images, writer.folder, writer.flat)
    progress = Progress(f"images of {source.source.name}", len(images))
    with SleapFrames(source.source) as frames:
        for row, (old, new) in enumerate(zip(source.images, images, strict=True)):
            frame = project.frames[row] if project.frames else None
            if frame is not None and frame.file is None:
                frames.write(frame, root / new)
            else:
                _put_image(source.source, source.root / old, root / new)
            progress.update(row + 1)
    labels = replace(source, root=root, images=tuple(images))
    check_labels(labels)
    return labels


def _put_image(labels: Path, image: Path, to: Path) -> None:
    if not image.is_file():
        raise DataError(f"{labels} names the image {image}, which is not there; put it there or remove its row.")
    put(image, to)


def _loose(images: Sequence[str], writer: LabelWriter) -> list[str]:
    count = sum(without_folder(image) for image in images) if writer.flat else 0
    return [f"{count} images that lay in no video's folder are in {writer.folder}/{LOOSE} now."] if count else []


def _read_back(root: Path, to: str, labels: LabelSet) -> LabelSet:
    """What was written.

    Raises:
        DataError: it is not what should have been written.
    """
    written = open_source(root, to).labels
    rows = {image: row for row, image in enumerate(written.images)}
    known = (labels.visibility > 0) & np.isfinite(labels.keypoints).all(-1)
    same = _layout(written) == _layout(labels) and rows.keys() == set(labels.images)
    if same:
        order = [rows[image] for image in labels.images]
        found = written.keypoints[order]
        kept = (written.visibility[order] > 0) & np.isfinite(found).all(-1)
        same = np.array_equal(kept, known) and np.array_equal(found[known], labels.keypoints[known])
    if not same:
        raise DataError(f"{labels.source} cannot be kept exactly in the layout {to}; please report this as an error.")
    return written


def _layout(labels: LabelSet) -> tuple[object, ...]:
    animals = labels.animals
    return labels.keypoint_names, *((animals.individuals, animals.parts, animals.unique) if animals else ())
