"""A video in, a table of keypoints out, in constant memory; interrupted at any moment, it goes on where it was."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from lp_core import Animals, DataError
from lp_io import PredictionWriter, Progress, VideoReader, ahead
from lp_io.video_reader import undecodable

from lp_infer.chunks import ChunkLog, about_parts, chunk_length, missing
from lp_infer.options import PredictOptions, PredictReport, usual
from lp_infer.runner import Call, Rows, Runner

EDGE = 1 << 16  # bytes at each end of a video that tell it from others


def predict_video(
    model: Any, video: Path | str, out: Path | str, options: PredictOptions | None = None
) -> PredictReport:
    """Write the keypoints of every frame of `video` to the CSV file `out`, in pixels of the original frame.

    Frames are decoded in a thread while the network works on those before. Frames that cannot be decoded get empty
    rows. What is predicted is kept beside `out` as it comes (`lp_infer.chunks`): after a crash, a kill or an error the
    same call goes on, and `out`, which appears when it is complete, is the same to the byte.

    Args:
        model: any `PoseModel` that is a module, the path of an exported file, or a `Runner`, whose own options then count.
        video: the file.
        out: the file to write.
        options: how; if not given the defaults, for an exported file with runtime=auto.

    Raises:
        DataError: the video cannot be read, `out` exists and must not be replaced, or the disk is full.
        ConfigError: no such device or runtime.
    """
    began = time.perf_counter()
    video, out = Path(video), Path(out)
    options = options or (model.options if isinstance(model, Runner) else usual(model))
    if out.exists() and not options.overwrite:
        raise DataError(f"{out} exists already; delete it or set overwrite=true.")
    runner = Runner.of(model, options).as_begun(about_parts(out))
    waited = runner.waiting.seconds
    with open_video(runner, video) as reader:
        runner = runner.for_frames(reader.original_size)
        what = about(runner, reader)
        log = ChunkLog(out, what, len(runner.keypoint_names))
        problems = [f"{log.folder} was of another video, network or setting; began anew."] if log.replaced else []
        problems += reader.problems
        if runner.walks and log.done:
            problems.append("Animals cannot be followed from the middle of a video on; began anew.")
            log.remove()
            log = ChunkLog(out, what, len(runner.keypoint_names))
        kept = sum(log.done.values())
        progress = Progress(f"predict {video.name}", reader.frame_count, options.progress, done=kept)
        spans = missing(reader.frame_count, chunk_length(runner.batch_size), log.done)
        predict_spans(runner, reader, log, spans, progress)
        check_unchanged(video, what)
        broken = write_table(log, runner)
        return PredictReport(
            out=out,
            frames=reader.frame_count,
            seconds=time.perf_counter() - began,
            kept=kept,
            broken=broken,
            problems=(*problems, *undecodable(video, broken)),
            runtime=runner.runtime.name,
            device=runner.runtime.device,
            precision=runner.runtime.precision,
            batch_size=runner.batch_size,
            waited=runner.waiting.seconds - waited,
        )


def open_video(runner: Runner, video: Path | str) -> VideoReader:
    """The video, as the network takes its frames."""
    return VideoReader(video, runner.decode_size, threads=decoders(runner))


def decoders(runner: Runner) -> int:
    """Threads that decode: one beside a network on the same cores, all of them beside an accelerator."""
    return 1 if runner.runtime.device == "cpu" else 0


def about(runner: Runner, reader: VideoReader) -> dict[str, Any]:
    """All that decides the values of the table."""
    return {
        "network": runner.runtime.fingerprint,
        "runtime": runner.runtime.name,
        "batch_size": runner.batch_size,
        "frames": reader.frame_count,
        "size": reader.original_size,
        "video": _edges(reader.path),
    }


def check_unchanged(video: Path, what: Mapping[str, Any]) -> None:
    """Whether the file is still the one that was opened; a file that is gone by now was read to its end.

    Raises:
        DataError: it was written to meanwhile.
    """
    try:
        now = _edges(video)
    except OSError:
        return
    if now != what["video"]:
        raise DataError(
            f"{video} was written to while it was read; if it is still being recorded or copied, wait until it is "
            "complete, then give the same command again."
        )


def predict_spans(
    runner: Runner, reader: VideoReader, log: ChunkLog, spans: Iterable[range], progress: Progress | None = None
) -> None:
    """Predict runs of frames that begin and end where records do, into the log.

    Args:
        runner: for frames of the video's size, see `Runner.for_frames`.
    """
    resize = runner.resize(reader.original_size)
    length = chunk_length(runner.batch_size)
    for span in spans:
        record = _Record(log, span, length)
        with ahead(calls(runner, reader, span), runner.options.queue) as batches:
            for rows, (points, confidence) in runner.run(batches):
                values = np.concatenate([resize.inverse(points), confidence[..., None]], axis=-1)
                values[np.isin(rows.first + np.arange(len(values)), list(rows.broken))] = np.nan
                record.add(rows.first, values)
                if progress:
                    progress.add(record.flush())
                else:
                    record.flush()


def calls(runner: Runner, reader: VideoReader, span: range) -> Iterator[Call]:
    """What the network is called with for the frames of `span`, always with the same frames in the same batch.

    A network that looks around first gets the batch before the span, and last the one behind it; before the video there
    is its first frame again, and behind it its last one.
    """
    context, size, count = runner.context, runner.batch_size, reader.frame_count
    if context and span.start:
        yield Call(Rows(span.start - size - context), reader.clip(span.start - size, size), fresh=True)
    stop = min(count, span.stop + size) if context else span.stop
    for first in range(span.start, stop, size):
        frames = reader.clip(first, min(size, stop - first))
        if context and first == 0:
            yield Call(Rows(-3 * context), np.repeat(frames[:1], 2 * context, axis=0), fresh=True)
        fresh = not context and (first == span.start or not runner.walks)
        yield Call(Rows(first - context, reader.broken), frames, fresh=fresh)
        if context and first + len(frames) == count:
            yield Call(Rows(count - context, reader.broken), np.repeat(frames[-1:], context, axis=0))
        del frames


def write_table(log: ChunkLog, runner: Runner) -> tuple[int, ...]:
    """Turn the finished parts into the table and delete them; the numbers of the empty rows."""
    empty: list[int] = []
    names = runner.keypoint_names
    with PredictionWriter(log.out, names, runner.scorer, animals=Animals.of(names)) as writer:
        for start, values in log.read():
            writer.write(start, values[..., :2], values[..., 2])
            empty += (start + np.flatnonzero(np.isnan(values).all((1, 2)))).tolist()
    log.remove()
    return tuple(empty)


class _Record:
    """Frames that become whole records of the log; those outside the span are let go."""

    def __init__(self, log: ChunkLog, span: range, length: int) -> None:
        self._log, self._span, self._length = log, span, length
        self._next, self._parts = span.start, list[np.ndarray]()

    def add(self, first: int, values: Float[np.ndarray, "batch keypoints 3"]) -> None:
        """Frames `first`, `first` + 1, …"""
        wanted = values[max(self._next - first, 0) : max(self._span.stop - first, 0)]
        if len(wanted):
            self._parts.append(wanted)

    def flush(self) -> int:
        """Write what makes a whole record; how many frames that were."""
        have = sum(map(len, self._parts))
        need = min(self._length, self._span.stop - self._next)
        if not need or have < need:
            return 0
        values = np.concatenate(self._parts)
        self._log.append(self._next, values[:need])
        self._next += need
        self._parts = [values[need:]] if have > need else []
        return need


def _edges(path: Path) -> str:
    """Of the size, the first and the last bytes of a file."""
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        digest.update(file.read(EDGE))
        file.seek(max(0, size - EDGE))
        digest.update(file.read(EDGE))
    return digest.hexdigest()
