"""SLEAP: one `labels.pkg.slp` with the labeled images inside."""

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
from lp_core import VISIBLE, LabelSet

from lp_io.files import atomic_path
from lp_io.formats.sleap import sleap_io
from lp_io.images import image_size
from lp_io.label_writers.losses import hidden

FILE = "labels.pkg.slp"
ATTRIBUTE_LIMIT = 64_000  # bytes; HDF5 attributes end at 64 KiB, and sleap-io reads a dataset instead


class SleapWriter:
    """Image files are put into the package byte for byte if they are PNG or JPEG, and as PNG otherwise.

    Like ours, SLEAP's pixel frame has the centre of the top-left pixel at (0, 0) (since its format 1.1).
    """

    folder = "labeled-data"
    flat = False

    def write(self, labels: LabelSet, final: Path, videos: Sequence[str]) -> list[str]:
        """`labels.pkg.slp`; the image files it holds are removed."""
        sio = sleap_io(labels.root / FILE)
        names = list(labels.keypoint_names)
        edges = [(names[a], names[b]) for a, b in labels.skeleton]
        skeleton = sio.Skeleton(nodes=names, edges=edges, name="animal")
        place = _videos(sio, labels)
        frames = [
            sio.LabeledFrame(video=video, frame_idx=number, instances=[_instance(sio, skeleton, labels, row)])
            for row, (video, number) in enumerate(place)
        ]
        content = sio.Labels(frames)
        content.provenance["scorer"] = labels.scorer
        with atomic_path(labels.root / FILE) as temporary:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about long lists of names, which get shorter next
                sio.save_slp(content, str(temporary), embed=place, verbose=False)
            _forget_folder(temporary, labels.root)
        shutil.rmtree(labels.root / self.folder)
        return hidden(labels, "SLEAP")


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


def _instance(sio: Any, skeleton: Any, labels: LabelSet, row: int) -> Any:
    instance = sio.Instance.empty(skeleton=skeleton)
    visibility = labels.visibility[row]
    instance.points["xy"] = np.where(visibility[:, None] > 0, labels.keypoints[row], np.nan)
    instance.points["visible"] = (visibility == VISIBLE) & np.isfinite(labels.keypoints[row]).all(-1)
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
