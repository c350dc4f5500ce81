"""Labeled frames, decoded and resized once."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from lp_core import LabelSet, Size
from lp_io import atomic_path, image_size, read_image
from torch import Tensor

LIMIT = 4 * 2**30  # bytes


def load_frames(labels: LabelSet, size: Size, limit_bytes: int = LIMIT) -> UInt8[Tensor, "frames 3 height width"]:
    """All labeled images at `size`: in memory, or in a memory-mapped file in the cache if larger than `limit_bytes`.

    Raises:
        DataError: an image is missing or damaged; the message names it.
    """
    shape = (len(labels), 3, *size)
    if np.prod(shape, dtype=np.int64) <= limit_bytes:
        out = np.empty(shape, dtype=np.uint8)
        _fill(labels, size, out)
        return torch.from_numpy(out)
    path = _cache_file(labels, size)
    if not path.exists():
        with atomic_path(path) as temporary:
            out = np.memmap(temporary, dtype=np.uint8, mode="w+", shape=shape)
            _fill(labels, size, out)
            out.flush()
    return torch.from_numpy(np.memmap(path, dtype=np.uint8, mode="c", shape=shape))


def original_sizes(labels: LabelSet) -> Int[Tensor, "frames 2"]:
    """(height, width) of each original image."""
    return torch.tensor([image_size(labels.root / name) for name in labels.images])


def _fill(labels: LabelSet, size: Size, out: np.ndarray) -> None:
    def read(row: int) -> None:
        out[row] = read_image(labels.root / labels.images[row], size).transpose(2, 0, 1)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        _watch(pool.map(read, range(len(labels))), len(labels), print)


def _watch(results: Iterable[None], total: int, say: Callable[..., None]) -> None:
    """Wait for every result; report every 500 images where there are many."""
    for done, _ in enumerate(results, 1):
        if done % 500 == 0:
            say(f"read {done} of {total} labeled images", file=sys.stderr)


def _cache_file(labels: LabelSet, size: Size) -> Path:
    digest = hashlib.blake2b(repr(size).encode(), digest_size=16)
    for name in labels.images:
        path = labels.root / name
        facts = path.stat()
        digest.update(f"{path.resolve()}/{facts.st_size}/{facts.st_mtime_ns}".encode())
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lp" / "frames"
    return folder / f"{digest.hexdigest()}.u8"
