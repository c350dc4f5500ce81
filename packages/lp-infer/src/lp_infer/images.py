"""Images of any sizes in, a table of keypoints out."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import Animals, PoseTable, Size
from lp_io import Progress, ahead, image_size, read_image

from lp_infer.options import PredictOptions, usual
from lp_infer.runner import Runner

DECODERS = min(4, os.cpu_count() or 1)


def predict_images(
    model: Any,
    images: Sequence[str | Path],
    root: Path | str = ".",
    options: PredictOptions | None = None,
    split: tuple[str, ...] | None = None,
) -> PoseTable:
    """Keypoints of images, in pixels of each image as it is on disk.

    Args:
        model: any `PoseModel` that is a module, the path of an exported file, or a `Runner`, whose own options then count.
        images: paths relative to `root`; they are the table's index as they are given.
        root: folder.
        options: how; if not given the defaults, for an exported file with runtime=auto.
        split: the part of the data set each image belongs to, passed on.

    Raises:
        DataError: a file is missing or is not an image.
    """
    options = options or (model.options if isinstance(model, Runner) else usual(model))
    runner = Runner.of(model, options)
    count = len(runner.keypoint_names)
    keypoints, confidence = np.full((len(images), count, 2), np.nan), np.full((len(images), count), np.nan)
    progress = Progress("predict images", len(images), options.progress)
    paths = [Path(root) / image for image in images]
    with ahead(_decoded(paths, runner), options.queue) as batches:
        done = 0
        for sizes, frames in batches:
            points, sure = runner.stills(frames)
            rows = slice(done, done := done + len(sizes))
            keypoints[rows], confidence[rows] = _original(points, sizes, runner), sure
            progress.update(done)
    return PoseTable(
        keypoint_names=runner.keypoint_names,
        animals=Animals.of(runner.keypoint_names),
        index=tuple(Path(image).as_posix() for image in images),
        keypoints=keypoints,
        confidence=confidence,
        split=split,
        scorer=runner.scorer,
    )


def _decoded(
    paths: Sequence[Path], runner: Runner
) -> Iterator[tuple[list[Size], UInt8[np.ndarray, "batch height width 3"]]]:
    def load(path: Path) -> tuple[Size, UInt8[np.ndarray, "height width 3"]]:
        return image_size(path), read_image(path, runner.decode_size)

    with ThreadPoolExecutor(DECODERS) as pool:
        for first in range(0, len(paths), runner.batch_size):
            loaded = list(pool.map(load, paths[first : first + runner.batch_size]))
            yield [size for size, _ in loaded], np.stack([image for _, image in loaded])


def _original(
    points: Float[np.ndarray, "batch keypoints 2"], sizes: list[Size], runner: Runner
) -> Float[np.ndarray, "batch keypoints 2"]:
    """Input pixels → pixels of each row's own image."""
    return np.stack([runner.resize(size).inverse(row) for size, row in zip(sizes, points, strict=True)])
