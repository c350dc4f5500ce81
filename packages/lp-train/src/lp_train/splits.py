"""Which labeled frames train: by lot, or as a DeepLabCut project says."""

import numpy as np
from lp_core import ConfigError, DataError, LabelSet
from lp_data import Split, given_split, split_indices
from lp_io import find_shuffle, shuffle_images

from lp_train.config import DataConfig


def split_of(config: DataConfig, labels: LabelSet) -> Split:
    """The rows of `labels` in each part; the moments, with several cameras.

    Raises:
        ConfigError: shares that are impossible, or a shuffle for several cameras.
        DataError: no such shuffle, or one of other frames.
    """
    rule, cameras = config.split, len(config.view_names or [1])
    if rule.shuffle is None:
        return split_indices(len(labels) // cameras, rule.train, rule.val, rule.seed, rule.train_frames)
    if cameras > 1:
        raise ConfigError(
            f"data.split.shuffle={rule.shuffle} is for DeepLabCut projects; leave it out with data.view_names."
        )
    path = find_shuffle(labels.root, rule.shuffle)
    train, test = (_rows(labels, images, path.name) for images in shuffle_images(path))
    return given_split(train, test, len(labels), val=rule.val, seed=rule.seed, train_frames=rule.train_frames)


def _rows(labels: LabelSet, images: list[str], source: str) -> np.ndarray:
    rows = {name: row for row, name in enumerate(labels.images)}
    missing = [name for name in images if name not in rows]
    if missing:
        raise DataError(
            f"{source} has {len(missing)} frames without a row in {labels.source}, {missing[0]} for instance; "
            "put their labels back, or choose another data.split.shuffle."
        )
    return np.array([rows[name] for name in images], dtype=int)
