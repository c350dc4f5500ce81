"""The labeled data of a run: label set, split and loaders."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lp_core import Animals, ConfigError, DataError, LabelSet, TrainingPoses
from lp_core.tensors import ClipSource
from lp_data import LabeledDataset, Split, propose_frame_size, propose_image_size
from lp_io import VIDEO_SUFFIXES, read_labels

from lp_train.cameras import CameraClips, read_views, videos_of_cameras
from lp_train.config import TrainConfig
from lp_train.poses import training_poses
from lp_train.splits import split_of


@dataclass(frozen=True, slots=True)
class RunData:
    """What a run is trained and measured on. With several cameras, `labels` has one camera's rows after the other's, and
    `split` and `dataset` count moments.
    """

    labels: LabelSet
    split: Split
    dataset: LabeledDataset
    poses: TrainingPoses

    def split_names(self) -> tuple[str, ...]:
        """For each row of `labels` "train", "validation", "test" or "unused"."""
        names = np.full(len(self.dataset), "unused", dtype=object)
        for name, indices in (("train", self.split.train), ("validation", self.split.val), ("test", self.split.test)):
            names[indices] = name
        return tuple(names) * self.dataset.cameras


def complete(config: TrainConfig, labels: LabelSet) -> str:
    """Fill in what the configuration leaves to the data; returns a sentence about what was chosen."""
    if config.data.image_size is not None:
        return ""
    size = propose_frame_size(labels) if labels.animals else propose_image_size(labels)
    height, width = config.data.image_size = list(size)
    return f"image size {height}×{width} (proposed from the labels; set it with data.image_size=[H,W])"


def _check_keypoints(labels: LabelSet) -> None:
    names, seen = labels.keypoint_names, (labels.visibility > 0).any(0)
    if labels.animals:  # a part has to be labeled in one of them
        of_parts = seen[: labels.animals.owned].reshape(-1, len(labels.animals.parts)).any(0)
        names, seen = labels.animals.parts + labels.animals.unique, np.append(of_parts, seen[labels.animals.owned :])
    elif Animals.of(names):
        raise DataError(
            f"{labels.source} names keypoints <animal>/<part> but has one animal; rename {names[0]} and so on."
        )
    never = [name for name, known in zip(names, seen, strict=True) if not known]
    if never:
        raise DataError(
            f"{labels.source} has no label at all for {', '.join(never)}; label some or take the columns out."
        )


def load_data(config: TrainConfig, say: Callable[[str], object] = print) -> RunData:
    """Read, check, split and decode the labels of `config.data`.

    Args:
        say: gets a sentence about what the configuration left open.

    Raises:
        DataError: labels or images are wrong.
        ConfigError: the split leaves nothing to train on.
    """
    cameras = config.data.view_names or []
    labels = read_views(config.data) if cameras else _read(config)
    _check_keypoints(labels)
    if chosen := complete(config, labels):
        say(chosen)
    moments = len(labels) // max(len(cameras), 1)
    split = split_of(config.data, labels)
    if not (labels.visibility.reshape(-1, moments, labels.visibility.shape[1])[:, split.train] > 0).any():
        raise ConfigError(
            f"{labels.source}: no training frame has a labeled keypoint; label some or change data.split."
        )
    dataset = dataset_of(config, labels, say)
    return RunData(labels, split, dataset, training_poses(config.data, labels, split.train, say))


def _read(config: TrainConfig) -> LabelSet:
    return read_labels(Path(config.data.root), config.data.format, config.data.labels)


def dataset_of(config: TrainConfig, labels: LabelSet, say: Callable[[str], object] = print) -> LabeledDataset:
    """The images of `labels` at input size, with the frames round them where the head looks at several."""
    size, context = config.data.image_size, config.head.context
    assert size is not None
    limit = int(config.data.cache_gb * 2**30)
    dataset = LabeledDataset(
        labels,
        (size[0], size[1]),
        limit,
        context=context,
        videos=videos_folder(config),
        cameras=len(config.data.view_names or [1]),
    )
    if dataset.alone:
        say(
            f"{dataset.alone} of {len(labels)} labeled frames of {labels.source.name} have no neighbours (files with the "
            "next numbers, or a video named like their folder); they are repeated in their place"
        )
    return dataset


def videos_folder(config: TrainConfig) -> Path:
    """Where the unlabeled videos are."""
    return Path(config.data.videos or Path(config.data.root) / "videos")


def video_files(config: TrainConfig) -> list[Path]:
    """The videos of the project, sorted by name; none if there is no such folder."""
    folder = videos_folder(config)
    found = (p for p in folder.glob("*") if p.suffix.lower() in VIDEO_SUFFIXES and not p.name.startswith("."))
    return sorted(found) if folder.is_dir() else []


def clip_source(config: TrainConfig, videos: list[Path]) -> ClipSource:
    """Clips of the videos; of the same moments of all cameras, where there are several."""
    height, width = config.data.image_size or (0, 0)
    seed = config.training.seed
    if config.data.view_names:
        return CameraClips(config.clips, videos_of_cameras(videos, config.data.view_names), (height, width), seed)
    return config.clips.build(videos, image_size=(height, width), seed=seed)
