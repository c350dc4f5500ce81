"""What losses and metrics learn from the labels of the training split; kept in the run, so that no label file is needed later."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from lp_core import Animals, ConfigError, LabelSet, TrainingPoses
from lp_io import atomic_path

from lp_train.animals import with_skeleton
from lp_train.cameras import joined_poses
from lp_train.config import DataConfig

VIEW = re.compile(r"[_.-](top|bot|bottom|side|front|rear|(?:cam(?:era)?|view|mirror)[a-z]*\d*)$", re.IGNORECASE)
Views = tuple[tuple[int, ...], ...]


def mirrored_views(names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Views found in keypoint names such as `nose_top` and `nose_bot`: the columns of the body parts that all views have.

    Empty unless at least two views share at least two parts.
    """
    found: dict[str, dict[str, int]] = {}
    for column, name in enumerate(names):
        if match := VIEW.search(name):
            found.setdefault(match.group(1), {})[name[: match.start()]] = column
    if len(found) < 2:
        return {}
    first, *others = found.values()
    shared = [part for part in first if all(part in view for view in others)]
    return {view: tuple(columns[part] for part in shared) for view, columns in found.items()} if len(shared) > 1 else {}


def training_poses(
    config: DataConfig, labels: LabelSet, rows: np.ndarray, say: Callable[[str], object]
) -> TrainingPoses:
    """The labels of `rows`, and how keypoints belong together by `config` or by their names. With several cameras a row is
    a moment, and its pose has the keypoints of all of them.

    Raises:
        ConfigError: columns that do not exist, or views of different length.
    """
    if config.view_names:
        return _of_cameras(config.view_names, labels, rows)
    views = _views(config, labels.keypoint_names, say)
    return TrainingPoses(
        keypoint_names=labels.keypoint_names,
        keypoints=labels.keypoints[rows],
        views=views,
        singleview=_singleview(config, labels.keypoint_names, views),
        animals=labels.animals,
    )


def _of_cameras(cameras: list[str], labels: LabelSet, rows: np.ndarray) -> TrainingPoses:
    """Moments, with the keypoints of every camera; each camera is a view."""
    count, names = len(labels.keypoint_names), [f"{n}_{camera}" for camera in cameras for n in labels.keypoint_names]
    return TrainingPoses(
        keypoint_names=tuple(names),
        keypoints=joined_poses(labels.keypoints, len(cameras))[rows],
        views=tuple(tuple(range(v * count, (v + 1) * count)) for v in range(len(cameras))),
    )


def poses_of_crops(poses: TrainingPoses) -> TrainingPoses:
    """Of several animals the poses one by one, as a network for one animal learns them; a pose without labels is none."""
    animals = poses.animals
    assert animals is not None
    each = poses.keypoints[:, : animals.owned].reshape(-1, len(animals.parts), 2)
    return TrainingPoses(
        keypoint_names=animals.parts,
        keypoints=each[np.isfinite(each).all(-1).any(-1)],
        singleview=tuple(range(len(animals.parts))),
        animals=dataclasses.replace(animals, individuals=animals.individuals[:1], unique=()),
    )


def _views(config: DataConfig, names: tuple[str, ...], say: Callable[[str], object]) -> Views:
    given = config.mirrored_column_matches
    if given is None:
        found = mirrored_views(names)
        if found:
            count = len(next(iter(found.values())))
            say(
                f"mirrored views {', '.join(found)} with {count} shared keypoints "
                "(found in their names; data.mirrored_column_matches=[] for none)"
            )
        return tuple(found.values())
    for view in given:
        _check("data.mirrored_column_matches", view, names)
        if len(view) != len(given[0]):
            raise ConfigError(
                f"data.mirrored_column_matches={[list(v) for v in given]}: every view needs the same number of keypoints."
            )
    if len(given) == 1:
        raise ConfigError("data.mirrored_column_matches has one view; give one list of keypoint numbers for each view.")
    return tuple(tuple(view) for view in given)


def _singleview(config: DataConfig, names: tuple[str, ...], views: Views) -> tuple[int, ...]:
    if config.columns_for_singleview_pca is not None:
        _check("data.columns_for_singleview_pca", config.columns_for_singleview_pca, names)
        return tuple(config.columns_for_singleview_pca)
    return tuple(sorted(column for view in views for column in view))


def _check(key: str, columns: list[int], names: tuple[str, ...]) -> None:
    wrong = [c for c in columns if not 0 <= c < len(names)]
    if wrong or len(set(columns)) != len(columns):
        raise ConfigError(f"{key}={list(columns)} must be different keypoint numbers from 0 to {len(names) - 1}.")


def save_poses(path: Path, poses: TrainingPoses) -> None:
    """Write them as NumPy arrays, no pickle."""
    arrays = {
        "names": np.array(poses.keypoint_names),
        "keypoints": poses.keypoints,
        "views": np.array(poses.views, dtype=np.int64),
        "singleview": np.array(poses.singleview, dtype=np.int64),
        "skeleton": np.array(poses.animals.skeleton if poses.animals else (), dtype=np.int64).reshape(-1, 2),
    }
    with atomic_path(path) as temporary, Path(temporary).open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_poses(path: Path) -> TrainingPoses:
    """Read what `save_poses` wrote.

    Raises:
        ConfigError: there is no such file.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; run=DIR must be the directory of a run that lpose train made.")
    with np.load(path, allow_pickle=False) as arrays:
        names = tuple(arrays["names"].tolist())
        return TrainingPoses(
            keypoint_names=names,
            keypoints=arrays["keypoints"],
            views=tuple(tuple(view) for view in arrays["views"].tolist()),
            singleview=tuple(arrays["singleview"].tolist()),
            animals=with_skeleton(Animals.of(names), arrays["skeleton"].tolist() if "skeleton" in arrays else []),
        )
