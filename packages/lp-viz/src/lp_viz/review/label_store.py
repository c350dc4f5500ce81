"""The label files of a project, in its own layout."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

import numpy as np
import yaml
from lp_core import DataError, LabelSet
from lp_io.animals import named_pairs
from lp_io.formats.deeplabcut import TABLE
from lp_io.formats.ood import OOD
from lp_io.hdf_table import KEY
from lp_io.label_writers.frame_hdf import write_frame_hdf

from lp_viz.review.folder import clear_away, inside, put, put_bytes
from lp_viz.review.label_csv import LabelCsv, new_csv
from lp_viz.review.label_hdf import LabelHdf
from lp_viz.review.pose import Pose

LAYOUTS = ("lightning_pose", "deeplabcut")  # that can be edited
Stamp = tuple[tuple[str, int, int], ...]


@runtime_checkable
class LabelFile(Protocol):
    """One open label file."""

    path: Path

    @property
    def images(self) -> list[str]: ...
    @property
    def occluded(self) -> bool: ...
    @property
    def missing(self) -> list[str]: ...
    def pose(self, image: str) -> Pose | None: ...
    def set(self, image: str, pose: Pose) -> None: ...
    def remove(self, image: str) -> None: ...
    def write(self) -> None: ...


class LabelStore:
    """Reads and writes the labels of a Lightning Pose or DeepLabCut project.

    Args:
        labels: of the project.
        layout: one of `LAYOUTS`.
    """

    def __init__(self, labels: LabelSet, layout: str) -> None:
        self.labels, self.layout, self.root = labels, layout, labels.root
        self._flat = layout != "deeplabcut"
        self._given = None if labels.source.is_dir() else labels.source
        for folder in (self.root, *(self.root / "labeled-data").glob("*/")):
            clear_away(folder)

    @property
    def keeps_occluded(self) -> bool:
        """Whether occluded points can be told from visible ones in the files."""
        return self._flat

    def stamp(self) -> Stamp:
        """What changes whenever a label file does."""
        facts = ((path, path.stat()) for path in self._tables())
        return tuple((str(path), fact.st_size, fact.st_mtime_ns) for path, fact in facts)

    def poses(self) -> dict[str, Pose]:
        """The labels as they are on the disk now.

        Raises:
            DataError: a file cannot be read, or has no longer the same keypoints.
        """
        found: dict[str, Pose] = {}
        for path in self._tables():
            file = self._open(path)
            if self._flat and file.missing:
                raise DataError(f"{path} has no longer the keypoint {file.missing[0]}; start lpose review again.")
            found |= {image: pose for image in file.images if (pose := file.pose(image)) is not None}
        return found

    def write(self, poses: Mapping[str, Pose | None]) -> list[Path]:
        """Put `poses` into the files; None takes the image's row out.

        Of two files of one folder the CSV, which counts, is written last: after a kill in between, both are written again.

        Returns:
            The files that were written.

        Raises:
            DataError: a file cannot be written, leads out of the project, or is changed by another program just now.
        """
        groups: dict[tuple[Path, ...], dict[str, Pose | None]] = {}
        for image, pose in poses.items():
            groups.setdefault(self._files_of(image), {})[image] = pose
        for files, group in groups.items():
            for path in reversed(files):
                inside(self.root, str(path.relative_to(self.root)))
                self._edit(path, group)
        return [path for files in groups for path in files]

    def _edit(self, path: Path, poses: Mapping[str, Pose | None]) -> None:
        if not path.exists() and path.suffix == ".h5":
            self._new_hdf(path, {image: pose for image, pose in poses.items() if pose is not None})
            return
        if not path.exists():
            put_bytes(path, new_csv(self._columns(), 3))
        file = self._open(path)
        for image, pose in poses.items():
            if pose is None:
                file.remove(image)
            else:
                file.set(image, pose)
        if file.images:
            file.write()
        else:
            path.unlink()  # readers refuse a table without a row; only added frames can all be taken out again

    def _open(self, path: Path) -> LabelFile:
        inside(self.root, str(path.relative_to(self.root)))
        names = self.labels.keypoint_names
        return LabelHdf(path, names) if path.suffix == ".h5" else LabelCsv(path, names, self._flat)

    def _tables(self) -> list[Path]:
        """One file for every folder, or the only one."""
        if self._flat and self._given:
            return [self._given]
        folders = sorted(p for p in (self.root / "labeled-data").iterdir() if p.is_dir())
        return [files[0] for folder in folders if (files := self._in_folder(folder))]

    def _in_folder(self, folder: Path) -> tuple[Path, ...]:
        """The CSV, which counts, and the HDF5; whichever are there."""
        apart = {f"{TABLE}{self.labels.scorer}{suffix}" for suffix in OOD}
        found = [p for p in sorted(folder.glob(f"{TABLE}*")) if p.suffix in (".csv", ".h5") and p.stem not in apart]
        given = self._given if self._given and self._given.parent == folder else None
        stem = given.stem if given else found[0].stem if found else None
        return tuple(p for p in found if p.stem == stem)

    def _files_of(self, image: str) -> tuple[Path, ...]:
        if self._flat and self._given:
            return (self._given,)
        folder = inside(self.root, image).parent
        stem = folder / f"{TABLE}{self.labels.scorer}"
        return self._in_folder(folder) or (stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.h5"))

    def _columns(self) -> list[tuple[str, ...]]:
        """Of a new table."""
        labels = self.labels
        named = named_pairs(labels.animals) if labels.animals else [(name,) for name in labels.keypoint_names]
        return [(labels.scorer, *names, coord) for names in named for coord in ("x", "y")]

    def _new_hdf(self, path: Path, poses: Mapping[str, Pose]) -> None:
        index = [tuple(PurePosixPath(image).parts) for image in poses]
        values = [[np.nan if cell is None else cell for point in pose for cell in point[:2]] for pose in poses.values()]
        if poses:
            put(path, lambda temporary: write_frame_hdf(temporary, KEY, self._columns(), index, np.array(values)))


def list_video(root: Path, video: Path, size: tuple[int, int]) -> str | None:
    """Enter a video into `video_sets` of a DeepLabCut project, without which DeepLabCut passes over its labels.

    Only one line and the one below it are added, so that comments stay.

    Returns:
        What the user has to do, if it could not be done.
    """
    path = inside(root, "config.yaml")
    text = path.read_text(encoding="utf-8")
    before = yaml.safe_load(text)
    listed = before.get("video_sets") or {}
    if video.stem in {PurePosixPath(str(name).replace("\\", "/")).stem for name in listed}:
        return None
    entry = f"0, {size[1]}, 0, {size[0]}"
    lines = text.split("\n")
    at = next(
        (i for i, line in enumerate(lines) if line.split("#")[0].rstrip() in ("video_sets:", "video_sets: {}")), -1
    )
    if at >= 0:
        below = next((line for line in lines[at + 1 :] if line.strip()), "")
        indent = below[: len(below) - len(below.lstrip())] if listed else "  "
        lines[at : at + 1] = ["video_sets:", f"{indent}{_quoted(str(video))}:", f"{indent}  crop: {entry}"]
        after = _load("\n".join(lines))
        if indent and after == before | {"video_sets": listed | {str(video): {"crop": entry}}}:
            put_bytes(path, "\n".join(lines).encode())
            return None
    return f"Add {video} to video_sets in {path}, or DeepLabCut passes over its labels."


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _load(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise DataError(f"config.yaml cannot be edited: {e}") from e
