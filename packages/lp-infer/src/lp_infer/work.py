"""Work that any process can do: frames of a video, by a network that the process loads itself. No torch."""

import math
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from lp_core import DataError, LpError, Poses, Runtime, Size

from lp_infer.chunks import ChunkLog, chunk_length, missing
from lp_infer.options import PredictOptions
from lp_infer.runner import Runner
from lp_infer.video import about, open_video, predict_spans


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker must know to predict anything.

    Attributes:
        model: path of an exported file, or a function without arguments that gives a `PoseModel`. Workers import it by
            name: `functools.partial(load_model, "my_run")` for instance, never a lambda.
        options: how.
        key: a worker keeps the network of the last key ready.
        frames: that there are, about, for `runtime=auto`; see `open_runtime`.
    """

    model: Callable[[], Any] | Path | str
    options: PredictOptions = field(default_factory=PredictOptions)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    frames: float = math.inf


@dataclass(frozen=True, slots=True)
class Unit:
    """Some frames of one video: whole records of its log, which nobody has predicted yet.

    Attributes:
        video: the file.
        out: the table to be.
        about: what decides its values; a worker that would compute something else refuses.
        frames: from the first frame of a record to the last one of a record.
        lost: workers lost in a row over these frames.
    """

    video: Path
    out: Path
    about: Mapping[str, Any]
    frames: range
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a piece of work that must not raise.

    Attributes:
        value: if it went well.
        error: if not, one sentence.
        trace: of an error that is no fault of the user's, where it happened.
    """

    value: Any = None
    error: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class UnitReport:
    """What was done for a unit.

    Attributes:
        frames: predicted; those of the unit that were there already are not counted.
        waited: seconds that the network waited for frames.
    """

    frames: int
    waited: float


@dataclass(slots=True)
class Elsewhere:
    """All that a runtime of another process says of itself; see `lp_core.Runtime`."""

    name: str
    keypoint_names: tuple[str, ...]
    model_type: str
    image_size: Size
    context: int
    batch_size: int
    device: str
    precision: str
    fingerprint: str
    corner_pixels: bool = False
    any_size: bool = False

    @classmethod
    def of(cls, runtime: Runtime) -> "Elsewhere":
        """What `runtime` says."""
        return cls(**{f.name: getattr(runtime, f.name) for f in fields(cls) if hasattr(runtime, f.name)})

    def start(
        self, frames: UInt8[np.ndarray, "batch height width 3"], state: Any = None
    ) -> tuple[Callable[[], Poses], Any]:
        """Not here."""
        raise RuntimeError(f"The network is on {self.device} of another process.")


def units(out: Path, video: Path, about: Mapping[str, Any], done: Mapping[int, int], chunks: int) -> Iterator[Unit]:
    """What is missing of a table, cut into units of at most `chunks` records.

    Args:
        out: the table.
        video: the file it is of.
        about: see `lp_infer.video.about`.
        done: frames of the records there are, by first frame.
        chunks: records of a unit.
    """
    length = chunk_length(about["batch_size"])
    for span in missing(about["frames"], length, done):
        for first in range(span.start, span.stop, chunks * length):
            yield Unit(video, out, about, range(first, min(first + chunks * length, span.stop)))


def runner_of(job: Job) -> Runner:
    """The network of `job`, made ready when this process first needs it."""
    if job.key not in _ready:
        _ready.clear()
        _ready[job.key] = Runner.of(job.model() if callable(job.model) else job.model, job.options, job.frames)
    return _ready[job.key]


def predict_unit(job: Job, unit: Unit) -> UnitReport:
    """Predict what is still missing of a unit into a log of this process.

    Raises:
        DataError: the video cannot be read, or is another one here.
        ConfigError: the network does not run here.
    """
    runner = runner_of(job)
    waited = runner.waiting.seconds
    with open_video(runner, unit.video) as reader:
        runner = runner.for_frames(reader.original_size)
        if (here := about(runner, reader)) != unit.about:
            raise DataError(_differs(unit, here, runner))
        log = ChunkLog(unit.out, here, len(runner.keypoint_names))
        spans = [s for s in left(unit, log.done) if s]
        predict_spans(runner, reader, log, spans)
    return UnitReport(sum(map(len, spans)), runner.waiting.seconds - waited)


def left(unit: Unit, done: Mapping[int, int]) -> list[range]:
    """Runs of frames of a unit that nobody has predicted."""
    spans = missing(unit.about["frames"], chunk_length(unit.about["batch_size"]), done)
    cut = (range(max(s.start, unit.frames.start), min(s.stop, unit.frames.stop)) for s in spans)
    return [s for s in cut if s]


def predict_units(job: Job, units: Sequence[Unit]) -> list[Answer]:
    """`predict_unit` of each; never raises."""
    return [attempt(lambda unit=unit: predict_unit(job, unit)) for unit in units]


def describe(job: Job) -> list[Answer]:
    """One `Elsewhere`: what the job is run by here, chosen here if that was left open; never raises."""
    return [attempt(lambda: Elsewhere.of(runner_of(job).runtime))]


def attempt(work: Callable[[], Any]) -> Answer:
    """Its value, or its error as text, which travels between processes where not every exception does."""
    try:
        return Answer(work())
    except LpError as e:
        return Answer(error=str(e))
    except OSError as e:
        return Answer(error=said(e), trace=traceback.format_exc())
    except Exception as e:
        return Answer(error=f"{type(e).__name__}: {e}", trace=traceback.format_exc())


def said(error: OSError) -> str:
    """What the system refused, as a sentence."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; make sure the path exists, is yours to use, and the disk has room."


def _differs(unit: Unit, here: Mapping[str, Any], runner: Runner) -> str:
    if any(here[k] != unit.about[k] for k in ("frames", "size", "video")):
        return f"{unit.video} is not the same file on all machines or has changed; give the same command again."
    return (
        f"{unit.video}: a worker would compute it otherwise (runtime={runner.runtime.name} on {runner.runtime.device}) "
        "than the first one; use machines of one kind, or name runtime and device."
    )


_ready: dict[str, Runner] = {}
