"""Labeled frames as batches whose order depends on nothing but seed and epoch."""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from lp_core import LabelSet, Size
from lp_core.tensors import LabeledBatch
from torch import Tensor

from lp_data.frames import LIMIT, load_frames, original_sizes

SMALL, LARGE, MANY = 192, 1024, 500  # the reference's rules of thumb: pixels, pixels, frames


def propose_image_size(labels: LabelSet) -> Size:
    """An input size: 256×256; 128×128 for images under 192 px; 384×384 for large images with many labels.

    The rule of Lightning Pose's `recommend`, on the median image. Images are stretched to it.
    """
    sizes = original_sizes(labels).double()
    short, long = float(sizes.min(-1).values.median()), float(sizes.max(-1).values.median())
    side = 128 if short < SMALL else 384 if long > LARGE and len(labels) > MANY else 256
    return side, side


class LabeledDataset:
    """Images at input size in memory, keypoints in input pixels.

    Args:
        labels: keypoints in original pixels.
        image_size: (height, width) of the network's input.
        limit_bytes: beyond it images are memory-mapped.
    """

    def __init__(self, labels: LabelSet, image_size: Size, limit_bytes: int = LIMIT) -> None:
        self.image_size = image_size
        self.original_size = original_sizes(labels)
        self.keypoints = _to_input(torch.from_numpy(labels.keypoints), self.original_size, image_size)
        self.visibility = torch.from_numpy(labels.visibility.astype(np.int64))
        self.images = load_frames(labels, image_size, limit_bytes)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Int[np.ndarray, " batch"]) -> LabeledBatch:
        """The frames of `rows`, in that order."""
        index = torch.as_tensor(np.ascontiguousarray(rows), dtype=torch.int64)
        return LabeledBatch(
            images=self.images[index],
            keypoints=self.keypoints[index],
            visibility=self.visibility[index],
            index=index,
            original_size=self.original_size[index],
        )


def _to_input(
    keypoints: Float[Tensor, "frames keypoints 2"], original: Int[Tensor, "frames 2"], image_size: Size
) -> Float[Tensor, "frames keypoints 2"]:
    """`lp_core.Resize` with a size of its own per frame."""
    target = torch.tensor([image_size[1], image_size[0]], dtype=torch.float64)
    scale = (target / original.flip(-1))[:, None]
    return (keypoints * scale + (scale - 1) / 2).float()


def epoch_order(rows: Int[np.ndarray, " rows"], seed: int, epoch: int) -> Int[np.ndarray, " rows"]:
    """`rows` in an order that is a function of (seed, epoch)."""
    digest = hashlib.blake2b(f"{seed}/{epoch}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little")).permutation(rows)


class BatchLoader:
    """Iterates over batches of a `LabeledDataset`; needs no worker processes, for nothing is left to decode.

    Lightning calls `set_epoch` on it (as on a sampler); order and content of an epoch never depend on earlier ones.

    Args:
        rows: of the dataset.
        shuffle: a new order each epoch.
    """

    def __init__(
        self, dataset: LabeledDataset, rows: Int[np.ndarray, " rows"], batch_size: int, *, shuffle: bool, seed: int = 0
    ) -> None:
        self.dataset, self.rows, self.batch_size = dataset, np.asarray(rows), batch_size
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[LabeledBatch]:
        rows = epoch_order(self.rows, self.seed, self.epoch) if self.shuffle else self.rows
        for start in range(0, len(rows), self.batch_size):
            yield self.dataset.batch(rows[start : start + self.batch_size])
