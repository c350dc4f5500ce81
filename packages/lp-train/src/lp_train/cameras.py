"""Several cameras that filmed the same moments, each with label file and videos of its own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from lp_core import ClipSourceConfig, DataError, LabelSet, Size
from lp_core.tensors import Clip, ClipSource
from lp_io import VideoReader, read_labels
from torch import Tensor

from lp_train.config import DataConfig


def read_views(config: DataConfig) -> LabelSet:
    """The label files of all cameras as one: one camera's rows after the other's.

    Raises:
        DataError: one is missing, or they do not have the same keypoints, or the same images by name in the same order.
    """
    root, names = Path(config.root), config.view_names or []
    files = config.view_labels or [f"{name}.csv" for name in names]
    layout = "lightning_pose" if config.format == "auto" else config.format
    if missing := [file for file in files if not (root / file).is_file()]:
        raise DataError(f"{root / missing[0]} does not exist; name the cameras' label files with data.view_labels=[…].")
    sets = [read_labels(root, layout, file) for file in files]
    first = sets[0]
    for labels in sets[1:]:
        if labels.keypoint_names != first.keypoint_names:
            raise DataError(f"{labels.source} and {first.source} have different keypoints; cameras need the same ones.")
        for row, (one, two) in enumerate(zip(first.images, labels.images, strict=False)):
            if Path(one).name != Path(two).name:
                raise DataError(
                    f"{labels.source} has {two} in row {row + 1}, where {first.source} has {one}; "
                    "give both the same images by name, in the same order."
                )
        if len(labels) != len(first):
            raise DataError(
                f"{labels.source} has {len(labels)} rows and {first.source} has {len(first)}; they need as many."
            )
    return replace(
        first,
        images=tuple(image for labels in sets for image in labels.images),
        keypoints=np.concatenate([labels.keypoints for labels in sets]),
        visibility=np.concatenate([labels.visibility for labels in sets]),
    )


def joined_poses(
    keypoints: Float[np.ndarray, "rows keypoints 2"], cameras: int
) -> Float[np.ndarray, "moments all_keypoints 2"]:
    """One camera's rows after the other's → moments, with one camera's keypoints after the other's."""
    apart = keypoints.reshape(cameras, -1, *keypoints.shape[1:])
    return np.moveaxis(apart, 0, 1).reshape(apart.shape[1], -1, 2)


def separated(
    values: Shaped[np.ndarray, "moments all_keypoints"], cameras: int
) -> list[Shaped[np.ndarray, "moments keypoints"]]:
    """The inverse, of one value per keypoint: a table per camera."""
    return np.split(values, cameras, axis=1)


def joined(value: Shaped[Tensor, "rows *rest"], cameras: int) -> Shaped[Tensor, "moments *more"]:
    """`joined_poses` for tensors with any number of dimensions after the keypoints'; a flag per row becomes one per
    moment, true if it is for every camera."""
    apart = value.unflatten(0, (cameras, -1))
    if value.ndim == 1:
        return apart.all(0)
    return apart.movedim(0, 1).flatten(1, 2)


def videos_of_cameras(videos: Sequence[Path], names: Sequence[str]) -> list[list[Path]]:
    """For each camera its videos, in the order of their sessions: what is left of a name without the camera's.

    Raises:
        DataError: a video of no camera, or a session that a camera lacks.
    """
    found: list[dict[str, Path]] = [{} for _ in names]
    for video in videos:
        matches = [(v, m) for v, name in enumerate(names) if (m := _token(name).search(video.stem))]
        if len(matches) != 1:
            raise DataError(
                f"{video} must have the name of one camera ({', '.join(names)}) in its own; rename or move it."
            )
        view, match = matches[0]
        found[view][video.stem[: match.start()] + video.stem[match.end() :]] = video
    sessions = sorted(set().union(*found))
    for name, of_camera in zip(names, found, strict=True):
        if missing := [s for s in sessions if s not in of_camera]:
            raise DataError(
                f"There is no video of camera {name} for session {missing[0].strip('_-. ')!r}; add it or take the others out."
            )
    return [[of_camera[s] for s in sessions] for of_camera in found]


def _token(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9a-zA-Z]){re.escape(name)}(?![0-9a-zA-Z])")


class CameraClips:
    """The same moments of several cameras: clips of equal number and seed from one source per camera, joined.

    Args:
        videos: per camera, in the same order.

    Raises:
        DataError: videos of one session differ in length.
    """

    def __init__(self, config: ClipSourceConfig, videos: Sequence[Sequence[Path]], image_size: Size, seed: int) -> None:
        for session in zip(*videos, strict=True):
            counts = []
            for video in session:
                with VideoReader(video, threads=1) as reader:
                    counts.append(reader.frame_count)
            if len(set(counts)) > 1:
                names = " and ".join(f"{v.name} ({c} frames)" for v, c in zip(session, counts, strict=True))
                raise DataError(f"{names} are of one session but differ in length; cut them to the same moments.")
        self._sources: list[ClipSource] = [config.build(v, image_size=image_size, seed=seed) for v in videos]
        self.clips_per_epoch = self._sources[0].clips_per_epoch
        self.remarks: tuple[str, ...] = getattr(self._sources[0], "remarks", ())  # of one length with the others

    def clips(self, first: int, step: int = 1) -> Iterator[Clip]:
        """See `lp_core.tensors.ClipSource`; the frames of one camera come after the other's."""
        for parts in zip(*(source.clips(first, step) for source in self._sources), strict=True):
            sizes = [part.original_size.expand(len(part), -1) for part in parts]
            yield replace(
                parts[0],
                images=torch.cat([part.images for part in parts]),
                valid=torch.cat([part.valid for part in parts]),
                original_size=torch.cat(sizes),
                frames=torch.cat([part.frames for part in parts]),
            )
