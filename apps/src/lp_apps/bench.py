"""lpose bench run=RUN source=VIDEO [key=value …]

Measures how fast RUN (the folder of a training, a file that lpose export wrote, or a Lightning Pose model folder) is on
VIDEO: reading frames alone, the network alone, and the whole way from the file to the table, in frames per second; one
call of the network in milliseconds; the whole as a share of the slower stage alone; the most memory of the process in the
meantime (on Linux).

  runtime=all            every runtime that is installed, or one of torch, onnx, openvino, mnn
  precision=all          every precision that the runtime knows, or one
  batch_size=0           frames per step; 0 chooses
  device=auto            auto, cpu, cuda or mps
  threads=0              of the network on a CPU; 0 chooses
  seconds=10             per stage, about
  out=FILE.json          write the figures there too
  against=VENV           also run Lightning Pose from the environment VENV, with the same weights, on the whole video;
                         RUN must then be a model folder of Lightning Pose
"""

import json
import math
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lp_core import ConfigError, DataError, runtimes

from lp_apps.options import parse

if TYPE_CHECKING:
    from lp_infer.speed import Speed

PRECISIONS = ("float32", "bfloat16", "float16", "int8")
COLUMNS = ("decode", "network", "whole", "of floor", "p50 ms", "p99 ms", "memory MiB")
REFERENCE = """
import sys, time, tempfile
from lightning_pose.api import Model
run, video = sys.argv[1:]
model = Model.from_dir(run)
model.model
with tempfile.TemporaryDirectory() as out:
    began = time.perf_counter()
    model.predict_on_video_file(video, output_dir=out, compute_metrics=False)
    print("SECONDS", time.perf_counter() - began)
"""


@dataclass
class Options:
    """What `lpose bench` takes."""

    run: str
    source: str
    runtime: str = "all"
    precision: str = "all"
    batch_size: int = 0
    device: str = "auto"
    threads: int = 0
    seconds: float = 10.0
    out: str | None = None
    against: str | None = None


def run(words: list[str]) -> None:
    """Measure and print the table."""
    options = parse(words, Options)
    from lp_infer import Runner
    from lp_infer.speed import measure
    from lp_io import VideoReader

    from lp_apps.predict import model_of

    if not options.seconds > 0:
        raise ConfigError(f"seconds={options.seconds} must be positive.")
    with VideoReader(options.source):
        pass  # what cannot be read is said at once
    model = model_of(options.run)
    reference = _reference(options) if options.against else None
    names = list(runtimes) if options.runtime == "all" else [options.runtime]
    precisions = PRECISIONS if options.precision == "all" else (options.precision,)
    print(f"{'frames/s':<20}" + "".join(f"{name:>12}" for name in COLUMNS) + ("   × reference" if reference else ""))
    if reference:
        print(f"{'reference':<20}{'':>24}{reference:>12.1f}")
    found: list[dict[str, Any]] = []
    for name in names:
        if options.runtime == "all" and (command := runtimes.make(name).missing()):
            print(f"{name:<20}not installed: {command}")
            continue
        for precision in precisions:
            runner = None  # its memory is not the next one's
            try:
                runner = Runner.of(model, _predict_options(options, name, precision))
            except ConfigError:
                if options.precision != "all" and options.runtime != "all":
                    raise
                continue  # a precision that this runtime does not know
            if options.precision == "all" and precision == "float16" and runner.runtime.device == "cpu":
                continue  # slower than float32 there
            speed = measure(runner, Path(options.source), options.seconds)
            found.append(_figures(speed, reference))
            print(_row(speed, reference), flush=True)
    if options.out:
        Path(options.out).write_text(json.dumps(found, indent=1))


def _predict_options(options: Options, runtime: str, precision: str):
    from lp_infer import PredictOptions

    return PredictOptions(
        runtime=runtime,
        precision=precision,
        batch_size=options.batch_size or None,
        device=options.device,
        threads=options.threads or None,
    )


def _figures(speed: "Speed", reference: float | None) -> dict[str, Any]:
    memory = None if math.isnan(speed.peak_mb) else speed.peak_mb  # JSON has no NaN
    return asdict(speed) | {"peak_mb": memory, "of_floor": speed.of_floor, "reference": reference}


def _row(speed: "Speed", reference: float | None) -> str:
    numbers = f"{speed.decode:>12.1f}{speed.network:>12.1f}{speed.whole:>12.1f}{speed.of_floor:>11.0%} "
    numbers += f"{speed.p50:>12.1f}{speed.p99:>12.1f}"
    numbers += " " * 12 if math.isnan(speed.peak_mb) else f"{speed.peak_mb:>12.0f}"
    ratio = f"{speed.whole / reference:>13.2f}" if reference else ""
    return f"{speed.runtime + ' ' + speed.precision:<20}{numbers}{ratio}"


def _reference(options: Options) -> float:
    """Frames per second of Lightning Pose's own prediction.

    Raises:
        DataError: it cannot run.
    """
    from lp_io import VideoReader

    python = Path(str(options.against)) / "bin/python"
    if not python.exists():
        raise DataError(f"against={options.against} is not an environment with Lightning Pose: {python} is missing.")
    words = [str(python), "-c", REFERENCE, str(Path(options.run).resolve()), str(Path(options.source).resolve())]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    seconds = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("SECONDS")]
    if not seconds:
        last = done.stderr.strip().rsplit("\n", 1)[-1]
        raise DataError(f"Lightning Pose in {options.against} cannot predict with {options.run}: {last}")
    with VideoReader(options.source) as reader:
        return reader.frame_count / float(seconds[0])
