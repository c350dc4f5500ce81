"""Which frames train, validate and test."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from lp_core import ConfigError

FEW = 5  # a test set smaller than this goes to training instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Row numbers of each part; `unused` are training frames left out by `train_frames`."""

    train: Int[np.ndarray, " train"]
    val: Int[np.ndarray, " val"]
    test: Int[np.ndarray, " test"]
    unused: Int[np.ndarray, " unused"]


def split_indices(frames: int, train: float = 0.8, val: float = 0.1, seed: int = 0, train_frames: float = 1.0) -> Split:
    """Divide `frames` rows at random; the same rows as Lightning Pose for the same numbers and seed.

    Its rule: floor(train · n) and floor(val · n) rows, the rest tests; fewer than five are too few to test and train
    instead; validation gets at least one. The order is torch's permutation for the seed.

    Args:
        train_frames: share of the training rows (at most 1) or number of them (above 1) that are used.

    Raises:
        ConfigError: shares that are impossible or leave nothing to train on.
    """
    if not 0 < train <= 1 or not 0 <= val < 1 or train + val > 1 + 1e-9:
        raise ConfigError(f"data.split.train={train} and data.split.val={val} must be shares that add up to at most 1.")
    if train_frames <= 0:
        raise ConfigError(f"data.split.train_frames={train_frames} must be above zero.")
    counts = _counts(frames, train, val)
    order = torch.randperm(frames, generator=torch.Generator().manual_seed(seed)).numpy()
    first, second = counts[0], counts[0] + counts[1]
    used = _used(counts[0], train_frames)
    return Split(train=order[:used], val=order[first:second], test=order[second:], unused=order[used:first])


def given_split(
    train: Int[np.ndarray, " train"], test: Int[np.ndarray, " test"], frames: int, *, val: float = 0.1, seed: int = 0,
    train_frames: float = 1.0,
) -> Split:  # fmt: skip
    """The rows `train` and `test` as they are said to be; of `train`, floor(val · n) rows validate, at least one.

    Args:
        frames: how many rows there are; those in neither part are unused.
        val: share of n, the rows of both parts; 0: `test` also validates, and nothing is taken from `train`.

    Raises:
        ConfigError: nothing is left to train on.
    """
    if not 0 <= val < 1:
        raise ConfigError(f"data.split.val={val} must be a share below 1.")
    order = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).numpy()]
    count = max(int(np.floor(val * (len(train) + len(test)))), 1) if val else 0
    if len(train) <= count or not len(test):
        raise ConfigError(
            f"{len(train)} training frames, with data.split.val={val}, and {len(test)} of test are too few."
        )
    used = _used(len(train) - count, train_frames)
    training, validation = order[count:], order[:count] if val else test
    rest = np.setdiff1d(np.arange(frames), np.concatenate([train, test]))
    return Split(train=training[:used], val=validation, test=test, unused=np.concatenate([training[used:], rest]))


def _counts(frames: int, train: float, val: float) -> tuple[int, int]:
    training, validation = int(np.floor(train * frames)), int(np.floor(val * frames))
    rest = frames - training - validation
    if rest < FEW:
        training += rest
    if validation == 0:
        training, validation = training - 1, 1
    if training < 1:
        raise ConfigError(
            f"{frames} labeled frames are too few for data.split.train={train} and data.split.val={val}; label more."
        )
    return training, validation


def _used(available: int, wanted: float) -> int:
    if wanted == 1 or wanted >= available:
        return available
    used = int(wanted) if wanted > 1 else int(wanted * available)
    if used < 1:
        raise ConfigError(f"data.split.train_frames={wanted} leaves none of {available} training frames; raise it.")
    return used
