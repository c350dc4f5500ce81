"""Frames that are labeled already."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lp_core import DataError, LabelSet
from lp_io import read_image

from lp_viz.naming import frame_of, name_of
from lp_viz.suggest.material import SIZE, Material, features_of_pose, small


@dataclass(frozen=True, slots=True)
class Labeled:
    """What is labeled, in every label file of the project.

    Attributes:
        numbers: per video (its name without suffix) the numbers of its labeled frames.
        material: what the labeled frames look like, as far as their images can be read.
        images: paths of the labeled images, after which others are named.
    """

    numbers: dict[str, set[int]]
    material: Material
    images: tuple[str, ...] = ()

    def image(self, video: str, number: int, frames: int) -> str:
        """The path of a frame's image in a project, in the data set's own naming."""
        return name_of(video, number, self.images, frames)


def labeled_frames(sets: Sequence[LabelSet]) -> Labeled:
    """Those of several label files. An image's folder names its video and the digits at its end the frame."""
    numbers: dict[str, set[int]] = {}
    images = tuple(image for labels in sets for image in labels.images)
    for video, number in filter(None, map(frame_of, images)):
        numbers.setdefault(video, set()).add(number)
    return Labeled(numbers, _material(sets), images)


def _material(sets: Sequence[LabelSet]) -> Material:
    pictures, poses = [], []
    for labels in (one for one in sets if one.keypoint_names == sets[0].keypoint_names):
        for row, image in enumerate(labels.images):
            try:
                picture = read_image(Path(labels.root) / image)
            except DataError:
                continue
            pictures.append(small(picture))
            size = np.array(picture.shape[1::-1], float)
            poses.append(features_of_pose(labels.keypoints[row][None], size, labels.animals)[0])
    if not pictures:
        return Material(np.zeros((0, *SIZE), np.float32), np.zeros((0, 0)))
    return Material(np.stack(pictures), np.stack(poses))
