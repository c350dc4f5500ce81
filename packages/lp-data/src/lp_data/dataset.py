"""Labeled frames as batches whose order depends on nothing but seed and epoch."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from lp_core import LabelSet, Size
from lp_core.tensors import LabeledBatch
from torch import Tensor

from lp_data.context import load_windows
from lp_data.frames import LIMIT, load_frames, original_sizes

SMALL, LARGE, MANY = 192, 1024, 500  # the reference's rules of thumb: pixels, pixels, frames
FRAME, CELL = 640, 32  # pixels


def propose_image_size(labels: LabelSet) -> Size:
    """An input size: 256×256; 128×128 for images under 192 px; 384×384 for large images with many labels.

    The rule of Lightning Pose's `recommend`, on the median image. Images are stretched to it.
    """
    sizes = original_sizes(labels).double()
    short, long = float(sizes.min(-1).values.median()), float(sizes.max(-1).values.median())
    side = 128 if short < SMALL else 384 if long > LARGE and len(labels) > MANY else 256
    return side, side


def propose_frame_size(labels: LabelSet) -> Size:
    """An input size for frames with several animals, which are small in them: as they are, or shrunk until the longer side
    has `FRAME` px; in whole cells of every backbone. On the median image.
    """
    height, width = original_sizes(labels).double().median(0).values.tolist()
    factor = min(1.0, FRAME / max(height, width))
    return CELL * max(1, round(height * factor / CELL)), CELL * max(1, round(width * factor / CELL))


class LabeledDataset:
    """Images at input size in memory, keypoints in input pixels.

    Args:
        labels: keypoints in original pixels.
        image_size: (height, width) of the network's input.
        limit_bytes: beyond it images are memory-mapped.
        context: frames before and after each labeled one that batches carry too.
        videos: where the videos are that frames were taken from, for the frames round them.
        cameras: how many cameras filmed the same moments; `labels` has one after the other's images, in the same order.
            A row of the dataset is then a moment, and a batch has the images of all cameras, one camera after the other.
    """

    def __init__(
        self,
        labels: LabelSet,
        image_size: Size,
        limit_bytes: int = LIMIT,
        *,
        context: int = 0,
        videos: Path | None = None,
        cameras: int = 1,
    ) -> None:
        self.image_size, self.cameras = image_size, cameras
        self.original_size = original_sizes(labels)
        self.keypoints = _to_input(torch.from_numpy(labels.keypoints), self.original_size, image_size)
        self.visibility = torch.from_numpy(labels.visibility.astype(np.int64))
        self.images = load_frames(labels, image_size, limit_bytes)
        self.windows, self.alone = load_windows(labels, self.images, context, videos) if context else (None, 0)

    def __len__(self) -> int:
        return len(self.images) // self.cameras

    def batch(self, rows: Int[np.ndarray, " batch"]) -> LabeledBatch:
        """The frames of `rows`, in that order; `index` are the rows of the label set."""
        rows = np.concatenate([camera * len(self) + np.asarray(rows) for camera in range(self.cameras)])
        index = torch.as_tensor(rows, dtype=torch.int64)
        return LabeledBatch(
            images=self.images[index],
            keypoints=self.keypoints[index],
            visibility=self.visibility[index],
            index=index,
            original_size=self.original_size[index],
            windows=self.windows[index] if self.windows is not None else None,
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


def batch_rows(rows: Int[np.ndarray, " rows"], batch_size: int, seed: int, step: int) -> Int[np.ndarray, " batch"]:
    """The rows of batch number `step` of an endless sequence: pass after pass over `rows`, each in an order of its own."""
    epoch, place = divmod(step, -(-len(rows) // batch_size))
    return epoch_order(rows, seed, epoch)[place * batch_size : (place + 1) * batch_size]


class BatchLoader:
    """Iterates over the rows of a `LabeledDataset` in their order; nothing is left to decode, so it needs no workers.

    Args:
        rows: of the dataset.
    """

    def __init__(self, dataset: LabeledDataset, rows: Int[np.ndarray, " rows"], batch_size: int) -> None:
        self.dataset, self.rows, self.batch_size = dataset, np.asarray(rows), batch_size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[LabeledBatch]:
        for start in range(0, len(self.rows), self.batch_size):
            yield self.dataset.batch(self.rows[start : start + self.batch_size])
