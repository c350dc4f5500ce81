"""SLEAP: one `labels.pkg.slp` with the labeled images inside."""

import json
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
from lp_core import VISIBLE, LabelSet

from lp_io.animals import SINGLE, Owner, owners
from lp_io.files import atomic_path
from lp_io.formats.sleap import sleap_io
from lp_io.images import image_size
from lp_io.label_writers.losses import across, hidden

FILE = "labels.pkg.slp"
ATTRIBUTE_LIMIT = 64_000  # bytes; HDF5 attributes end at 64 KiB, and sleap-io reads a dataset instead


class SleapWriter:
    """Image files are put into the package byte for byte if they are PNG or JPEG, and as PNG otherwise.

    Like ours, SLEAP's pixel frame has the centre of the top-left pixel at (0, 0) (since its format 1.1).
    """

    folder = "labeled-data"
    flat = False
    several = True

    def __init__(self) -> None:
        self._sio = sleap_io(Path(FILE))

    def write(self, labels: LabelSet, final: Path, videos: Sequence[str]) -> list[str]:
        """`labels.pkg.slp`; the image files it holds are removed."""
        sio = self._sio
        place, figures = (
            _videos(sio, labels),
            sleap_figures(sio, owners(labels.keypoint_names, labels.animals, labels.skeleton)),
        )
        frames = [
            sio.LabeledFrame(video=video, frame_idx=number, instances=_instances(sio, figures, labels, row))
            for row, (video, number) in enumerate(place)
        ]
        content = sio.Labels(frames)
        content.provenance["scorer"] = labels.scorer
        if labels.animals:
            content.provenance["individuals"] = list(labels.animals.individuals)
        with atomic_path(labels.root / FILE) as temporary:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about long lists of names, which get shorter next
                sio.save_slp(content, str(temporary), embed=place, verbose=False)
            _forget_folder(temporary, labels.root)
        shutil.rmtree(labels.root / self.folder)
        return hidden(labels, "SLEAP") + across(labels, "SLEAP") + _second(labels)


@dataclass(frozen=True, slots=True)
class SleapFigure:
    """An owner of keypoints with its SLEAP skeleton and track."""

    owner: Owner
    skeleton: Any
    track: Any


def sleap_figures(sio: Any, found: Sequence[Owner]) -> list[SleapFigure]:
    """A skeleton for all animals, one for unique points if there are any, and a track for each named animal."""
    skeletons = {
        owner.is_animal: sio.Skeleton(
            nodes=list(owner.parts), edges=[(owner.parts[a], owner.parts[b]) for a, b in owner.edges],
            name="animal" if owner.is_animal else SINGLE,
        )
        for owner in found[-2:]
    }  # fmt: skip
    return [
        SleapFigure(
            owner, skeletons[owner.is_animal], sio.Track(owner.name) if owner.name and owner.is_animal else None
        )
        for owner in found
    ]


def _second(labels: LabelSet) -> list[str]:
    if labels.animals is None or not labels.animals.unique:
        return []
    return [f"Points that a frame has once are in a second skeleton, {SINGLE}; SLEAP's own programs may show only one."]


def _videos(sio: Any, labels: LabelSet) -> list[tuple[Any, int]]:
    """SLEAP's video and frame number of every image; the images of a video share folder, size and kind."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, image in enumerate(labels.images):
        path = PurePosixPath(image)
        groups.setdefault((path.parent, path.suffix.lower(), image_size(labels.root / image)), []).append(row)
    place: dict[int, tuple[Any, int]] = {}
    for rows in groups.values():
        files = [str(labels.root / labels.images[row]) for row in rows]
        video = sio.Video.from_filename(files)
        place.update({row: (video, number) for number, row in enumerate(rows)})
    return [place[row] for row in range(len(labels))]


def _instances(sio: Any, figures: Sequence[SleapFigure], labels: LabelSet, row: int) -> list[Any]:
    """Those with a label, or an empty one, without which the frame would be lost."""
    seen = [f for f in figures if (labels.visibility[row, f.owner.columns] > 0).any()]
    return [_instance(sio, figure, labels, row) for figure in seen or figures[:1]]


def _instance(sio: Any, figure: SleapFigure, labels: LabelSet, row: int) -> Any:
    instance = sio.Instance.empty(skeleton=figure.skeleton, track=figure.track)
    keypoints, visibility = labels.keypoints[row, figure.owner.columns], labels.visibility[row, figure.owner.columns]
    instance.points["xy"] = np.where(visibility[:, None] > 0, keypoints, np.nan)
    instance.points["visible"] = (visibility == VISIBLE) & np.isfinite(keypoints).all(-1)
    return instance


def _forget_folder(path: Path, root: Path) -> None:
    """Make the names of the images, which the package remembers, relative: `root` is a temporary name."""
    with h5py.File(path, "a") as file:
        for node in file.values():
            if isinstance(node, h5py.Group) and "source_video" in node:
                _rewrite(node["source_video"], f"{root.as_posix()}/")


def _rewrite(group: Any, prefix: str) -> None:
    stored = group["json"][()] if "json" in group else group.attrs["json"]
    text = json.dumps(_relative(json.loads(stored), prefix), separators=(",", ":"))
    if "json" in group:
        del group["json"]
    if len(text) < ATTRIBUTE_LIMIT:
        group.attrs["json"] = text
    else:
        group.create_dataset("json", data=np.bytes_(text))


def _relative(value: Any, prefix: str) -> Any:
    if isinstance(value, dict):
        return {key: _relative(item, prefix) for key, item in value.items()}
    if isinstance(value, list):
        return [_relative(item, prefix) for item in value]
    return value.removeprefix(prefix) if isinstance(value, str) else value
