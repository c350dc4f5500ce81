"""A video in, a table of keypoints out, in constant memory."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from lp_core import DataError, Resize
from lp_io import PredictionWriter, VideoReader
from lp_io.ahead import ahead
from lp_io.progress import Progress
from torch import Tensor, nn

from lp_infer.options import PredictOptions, PredictReport
from lp_infer.runner import Runner

Rows: TypeAlias = tuple[int, np.ndarray]  # number of a batch's first frame, which of its frames are broken


def predict_video(
    model: nn.Module | Runner, video: Path | str, out: Path | str, options: PredictOptions | None = None
) -> PredictReport:
    """Write the keypoints of every frame of `video` to the CSV file `out`, in pixels of the original frame.

    Frames are decoded in a thread while the network works on those before. Frames that cannot be decoded get empty
    rows. `out` appears when it is complete; an error or an interrupt leaves nothing behind.

    Args:
        model: any `PoseModel` that is a module, or a `Runner`, whose own options then count.
        video: the file.
        out: the file to write.
        options: how; the defaults if not given.

    Raises:
        DataError: the video cannot be read, or `out` exists and must not be replaced.
        ConfigError: no such device.
    """
    began = time.perf_counter()
    video, out = Path(video), Path(out)
    options = options or (model.options if isinstance(model, Runner) else PredictOptions())
    if out.exists() and not options.overwrite:
        raise DataError(f"{out} exists already; delete it or set overwrite=true.")
    runner = Runner.of(model, options)
    with VideoReader(video, runner.image_size, threads=_decoders(runner)) as reader:
        broken = _stream(runner, reader, out, Progress(f"predict {video.name}", reader.frame_count, options.progress))
        return PredictReport(
            out=out,
            frames=reader.frame_count,
            seconds=time.perf_counter() - began,
            broken=broken,
            problems=reader.problems,
            device=str(runner.device),
            precision=runner.precision,
            batch_size=runner.batch_size,
        )


def _decoders(runner: Runner) -> int:
    """Threads that decode: one beside a network on the same cores, all of them beside an accelerator."""
    return 1 if runner.device.type == "cpu" else 0


def _stream(runner: Runner, reader: VideoReader, out: Path, progress: Progress) -> tuple[int, ...]:
    """Decode, predict, write. Returns the numbers of the broken frames."""
    resize = Resize(reader.original_size, runner.image_size)
    found: list[int] = []
    with (
        PredictionWriter(out, runner.keypoint_names, runner.scorer) as writer,
        ahead(_decoded(reader, runner), runner.options.queue) as batches,
    ):
        for (start, bad), (keypoints, confidence) in runner.run(batches):
            writer.write(start, *_without(bad, resize.inverse(keypoints), confidence))
            found += (start + np.flatnonzero(bad)).tolist()
            progress.update(start + len(bad))
    return tuple(found)


def _decoded(reader: VideoReader, runner: Runner) -> Iterator[tuple[Rows, Tensor]]:
    start = 0
    for images in reader.batches(runner.batch_size):
        numbers = range(start, start + len(images))
        bad = np.isin(np.arange(start, numbers.stop), list(reader.broken))
        start = numbers.stop
        yield (numbers.start, bad), runner.tensor(images)


def _without(
    bad: Bool[np.ndarray, " batch"],
    keypoints: Float[np.ndarray, "batch keypoints 2"],
    confidence: Float[np.ndarray, "batch keypoints"],
) -> tuple[Float[np.ndarray, "batch keypoints 2"], Float[np.ndarray, "batch keypoints"]]:
    """NaN where frames are broken: there was nothing to see."""
    return np.where(bad[:, None, None], np.nan, keypoints), np.where(bad[:, None], np.nan, confidence)
