"""Labeled frames and clips of unlabeled video, joined into the batches of an epoch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.distributed
from jaxtyping import Int
from lp_core.tensors import Augmentation, Augmented, Clip, ClipSource, LabeledBatch
from lp_data import LabeledDataset, batch_rows
from lp_io import ahead

from lp_train.seeding import step_seed

AUGMENTING, DEPTH = 2, 1  # the purpose of the augmentation's seed; batches made ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainBatch:
    """One step of training.

    Attributes:
        seed: of the step's augmentation.
        augmented: the labeled frames after augmentation, if the loader's thread has done it already.
        clip: unlabeled frames, if a loss learns from them.
    """

    labeled: LabeledBatch
    seed: int
    augmented: Augmented | None = None
    clip: Clip | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "TrainBatch":
        """The same batch on another device."""
        moved = {
            name: part.to(device, non_blocking=non_blocking)
            for name in ("labeled", "clip")
            if (part := getattr(self, name)) is not None
        }
        return replace(self, **moved)

    def __len__(self) -> int:
        return len(self.labeled) + (len(self.clip) if self.clip else 0)


def augment(batch: LabeledBatch, augmentation: Augmentation, seed: int) -> Augmented:
    """Labeled frames changed by the draws of `seed`; frames round a labeled one are changed in the same way."""
    result = augmentation(batch.images, batch.keypoints, batch.visibility, torch.Generator().manual_seed(seed))
    if batch.windows is None:
        return result
    middle = batch.windows.shape[1] // 2
    frames = [
        result.images
        if place == middle
        else augmentation(
            batch.windows[:, place], batch.keypoints, batch.visibility, torch.Generator().manual_seed(seed)
        ).images
        for place in range(batch.windows.shape[1])
    ]
    return replace(result, windows=torch.stack(frames, dim=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How an epoch is made up.

    Attributes:
        batch_size: labeled frames per step, of all processes together.
        seed: of the order and of the augmentation.
        steps: per epoch; None: one pass through the longer stream.
    """

    batch_size: int
    seed: int
    steps: int | None = None


class StreamLoader:
    """The batches of one epoch, each a function of (seed, step) alone, made in a thread ahead of the network.

    The shorter stream starts again when it is used up: an epoch is one pass through the longer one, as in the
    reference, or `steps` steps. Where several processes train together, each takes its share of every labeled batch, and
    a clip of its own.

    Args:
        rows: labeled frames to train on.
        source: of clips, if a loss learns from unlabeled frames.
        augmentation: done by the loader's thread if given; for training on the CPU.
    """

    def __init__(
        self,
        dataset: LabeledDataset,
        rows: Int[np.ndarray, " rows"],
        sampling: Sampling,
        *,
        source: ClipSource | None = None,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.dataset, self.rows, self.sampling = dataset, rows, sampling
        self.source, self.augmentation, self.epoch = source, augmentation, 0
        self._clips: tuple[int, Iterator[Clip]] | None = None  # the number of the next clip, and where it comes from

    @property
    def sampler(self) -> "StreamLoader":
        """Where Lightning looks for somebody to tell which epoch is next."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch is next, also after resuming."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.sampling.steps:
            return self.sampling.steps
        labeled = -(-len(self.rows) // self.sampling.batch_size)
        return max(labeled, -(-self.source.clips_per_epoch // _processes()[1])) if self.source else labeled

    def __iter__(self) -> Iterator[TrainBatch]:
        with ahead(self._batches(), DEPTH) as batches:
            yield from batches

    def _batches(self) -> Iterator[TrainBatch]:
        rank, count = _processes()
        first = self.epoch * len(self)
        clips = self._from(first * count + rank, count)
        for step in range(first, first + len(self)):
            rows = batch_rows(self.rows, self.sampling.batch_size, self.sampling.seed, step)
            labeled = self.dataset.batch(rows[rank::count] if len(rows) >= count else rows)
            seed = step_seed(self.sampling.seed, step * count + rank, AUGMENTING)
            yield TrainBatch(
                labeled=labeled,
                seed=seed,
                augmented=augment(labeled, self.augmentation, seed) if self.augmentation else None,
                clip=next(clips) if clips else None,
            )
        self._clips = ((first + len(self)) * count + rank, clips) if clips else None

    def _from(self, number: int, step: int) -> Iterator[Clip] | None:
        """Clips from `number` on; those of the epoch before go on if they are next, for some sources are slow to start."""
        if self.source is None:
            return None
        return self._clips[1] if self._clips and self._clips[0] == number else self.source.clips(number, step)


def _processes() -> tuple[int, int]:
    """(this process's number, how many train together)."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
