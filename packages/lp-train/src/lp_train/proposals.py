"""Where a conditional network's poses come from: a copy of another run, or a table of predictions."""

import shutil
from pathlib import Path
from typing import TypeGuard

import numpy as np
import torch
from lp_core import ConfigError, DataError, LabelSet, PoseTable, Resize, Size
from lp_core.tensors import PoseModel
from lp_detectors.conditional import ConditionalNet, GivenConditions
from lp_detectors.following import FollowingNet, FollowOptions
from lp_detectors.poses import by_animal
from lp_io import image_size, read_predictions

from lp_train._hydra import load
from lp_train.build import is_conditional, load_model
from lp_train.rundir import RunDir


def is_table(conditions: Path | str | None) -> TypeGuard[Path | str]:
    """Whether these are poses in a file, not a run."""
    return conditions is not None and Path(conditions).suffix.lower() == ".csv"


def is_waiting(run: Path | str) -> bool:
    """Whether this is a conditional network, and nobody proposes poses to it yet."""
    files = RunDir(Path(run))
    return is_conditional(load(files.config)) and not files.conditions.exists()


def check_proposer(net: ConditionalNet, conditions: str) -> None:
    """Raise `ConfigError` unless the run `conditions` can propose poses to `net`; for before training."""
    if is_table(conditions):
        raise ConfigError(
            f"conditions={conditions} is a table; training needs none: give it to lpose evaluate or lpose predict, or a run "
            "here."
        )
    net.use(load_model(conditions))
    net.detector = None


def keep_copy(conditions: str, run: RunDir) -> None:
    """Copy what it takes to predict with the run `conditions` into `run`, which then depends on nothing outside of it."""
    source, target = RunDir(Path(conditions)), RunDir(run.conditions)
    if target.root.exists():
        return
    best, unfinished = source.best(), run.root / "conditions.tmp"
    place = unfinished / best.relative_to(source.root)
    shutil.rmtree(unfinished, ignore_errors=True)
    place.parent.mkdir(parents=True)
    shutil.copyfile(source.config, unfinished / source.config.name)
    shutil.copyfile(best, place)
    if source.conditions.exists():
        shutil.copytree(source.conditions, unfinished / source.conditions.name)
    unfinished.rename(target.root)


def given_for_video(model: PoseModel | Path, table: Path, frames: int, original_size: Size) -> GivenConditions:
    """`model` with the poses of `table` for a video of so many frames.

    Raises:
        DataError: the table is of another video or of other animals.
    """
    net, found = _read(model, table)
    if found.index != tuple(range(frames)):
        raise DataError(f"{table} is not of the {frames} frames of this video; give the table of this one.")
    return _given(net, Resize(original_size, net.image_size).forward(found.keypoints))


def given_for_labels(model: PoseModel | Path, table: Path, labels: LabelSet) -> GivenConditions:
    """`model` with the poses of `table` for labeled frames; those that it lacks have none.

    Raises:
        DataError: the table has none of these frames, or is of other animals.
    """
    net, found = _read(model, table)
    rows = {name: row for row, name in enumerate(found.index)}
    if rows.keys().isdisjoint(labels.images):
        raise DataError(f"{table} has none of the frames of {labels.source}; give a table of these.")
    poses = np.full(labels.keypoints.shape, np.nan)
    for number, name in enumerate(labels.images):
        if name in rows:
            resize = Resize(image_size(labels.root / name), net.image_size)
            poses[number] = resize.forward(found.keypoints[rows[name]])
    return _given(net, poses)


def following(model: PoseModel | Path, options: dict) -> FollowingNet:
    """`model`, going from frame to frame by itself.

    Raises:
        ConfigError: it is not conditional, or there is no such option.
    """
    try:
        chosen = FollowOptions(**options)
    except TypeError as e:
        known = ", ".join(f"tracker.{name}" for name in FollowOptions.__slots__)
        raise ConfigError(f"tracker=ctd has the options {known}; {str(e).rpartition(' ')[2]} is none of them.") from e
    return FollowingNet(_conditional(model, "tracker=ctd"), chosen)


def _conditional(model: PoseModel | Path, word: str) -> ConditionalNet:
    if not isinstance(model, ConditionalNet):
        raise ConfigError(
            f"{word} is for networks that are told poses (backbone=cond_prenet or hrnet_coam, trained here); leave it out."
        )
    return model


def _read(model: PoseModel | Path, table: Path) -> tuple[ConditionalNet, PoseTable]:
    net, found = _conditional(model, f"conditions={table}"), read_predictions(table)
    if found.keypoint_names != net.keypoint_names:
        raise DataError(
            f"{table} has the keypoints {', '.join(found.keypoint_names)}, and the network those of "
            f"{', '.join(net.keypoint_names)}; give a table of the same animals and parts."
        )
    return net, found


def _given(net: ConditionalNet, keypoints: np.ndarray) -> GivenConditions:
    return GivenConditions(net, by_animal(torch.from_numpy(keypoints), net.animals)).eval()
