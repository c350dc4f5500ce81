"""lpose live run=RUN source=SOURCE [out=FILE.csv] [key=value …]

Poses as frames come, always of the newest frame. RUN is the folder of a training, or a file that lpose export wrote.
SOURCE is the number of a camera (0 is the first), its device, an address (rtsp://…, http://…) or a video file.
Ends with the source, after `seconds`, or with Ctrl-C; then says how long poses took.

FILE.csv is appended to with every pose (scorer, keypoint, x, y, likelihood in pixels of the original frame), FILE_times.csv
has the timestamp and the latency of each, FILE_raw.csv the unfiltered keypoints if there is a filter. What is written
stays, however it ends. FILE is RUN/live/DATE-TIME.csv if not given.

  filter=none            one_euro (steadier), or kalman (where keypoints will be filter.ahead=SECONDS later); their
                         options as filter.KEY=VALUE: min_cutoff, beta, speed_cutoff; ahead, agility, noise;
                         and of both min_confidence, forget
  processor=MODULE:CLASS your code, called with every pose; see lp_infer.processors.  strict=true ends at its first error
  causal=true            of networks with context: false gives the better poses of lpose predict, some frames later
  seconds=N              end after that long
  realtime=true          a file plays at its own rate, frames are dropped; false: every frame, as fast as it goes
  camera.KEY=VALUE       for the camera or protocol as FFmpeg names it: camera.video_size=640x480 camera.framerate=60
  report=FILE.json       the figures at the end, there too
  runtime=auto  precision=auto  device=auto  threads=0  checkpoint=FILE    as in lpose predict
"""

import json
import math
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lp_core import ConfigError, DataError

from lp_apps.options import parse
from lp_apps.predict import model_of

if TYPE_CHECKING:
    from lp_infer.live import LivePredictor
    from lp_infer.live_table import LiveTable
    from lp_io.live_source import LiveSource

EVERY = 5.0  # seconds between two lines of progress on a terminal


@dataclass
class Options:
    """What `lpose live` takes."""

    run: str
    source: str
    out: str | None = None
    filter: str = "none"
    filter_options: dict = field(default_factory=dict)
    processor: str | None = None
    strict: bool = False
    causal: bool = True
    seconds: float = math.inf
    realtime: bool = True
    camera_options: dict = field(default_factory=dict)
    report: str | None = None
    runtime: str = "auto"
    runtime_options: dict = field(default_factory=dict)
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0
    checkpoint: str | None = None


def run(words: list[str]) -> None:
    """Predict until the source, the time or the user's patience ends."""
    options = parse(words, Options)
    if not options.seconds > 0:
        raise ConfigError(f"seconds={options.seconds} must be positive; leave it out to go on until the source ends.")
    from lp_infer.live_table import LiveTable, absent
    from lp_io.live_devices import place_of
    from lp_io.live_source import LiveSource

    place_of(options.source)  # what cannot be is said before a network is loaded
    out = absent(_out(options))[0]
    camera = {key: str(value) for key, value in options.camera_options.items()}
    with _predictor(options) as predictor:
        size, names, scorer = predictor.runner.image_size, predictor.runner.keypoint_names, predictor.runner.scorer
        with (
            LiveSource(options.source, size, realtime=options.realtime, options=camera) as source,
            LiveTable(out, names, scorer, raw=predictor.filter is not None) as table,
        ):
            try:
                _loop(predictor, source, table, options)
            finally:
                predictor.save(table.path)
                _tell(predictor, source, table.path, options)


def _predictor(options: Options) -> "LivePredictor":
    from lp_infer import PredictOptions
    from lp_infer.filters import make_filter
    from lp_infer.live import LivePredictor
    from lp_infer.processors import load_processor

    filter = make_filter(options.filter, **options.filter_options)
    processor = load_processor(options.processor) if options.processor else None
    how = PredictOptions(
        runtime=options.runtime,
        runtime_options=options.runtime_options,
        precision=options.precision,
        device=options.device,
        threads=options.threads or None,
    )
    model: Any = model_of(options.run, options.checkpoint)
    return LivePredictor(model, how, filter=filter, processor=processor, causal=options.causal, strict=options.strict)


def _out(options: Options) -> Path:
    if options.out:
        return Path(options.out)
    folder = Path(options.run) if Path(options.run).is_dir() else Path(options.run).parent
    return folder / "live" / f"{time.strftime('%Y%m%d-%H%M%S')}.csv"


def _loop(predictor: "LivePredictor", source: "LiveSource", table: "LiveTable", options: Options) -> None:
    """Until the end; Ctrl-C and a polite kill are one."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    show, told = sys.stderr.isatty(), time.monotonic()
    try:
        for pose in predictor.run(source, every=not options.realtime, seconds=options.seconds):
            table.add(pose)
            if show and time.monotonic() - told > EVERY:
                told = time.monotonic()
                print(str(predictor.report()).splitlines()[0], file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("ended by the user", file=sys.stderr)
    except DataError as e:
        if not options.out:
            raise
        raise DataError(f"{e} The poses until then stay in {table.path}: give another out=FILE.") from e
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(predictor: "LivePredictor", source: "LiveSource", out: Path, options: Options) -> None:
    report = predictor.report()
    if source.broken:
        print(f"{options.source}: frames that cannot be decoded and have no pose: {source.broken}.")
    print(f"{report}\nposes  {out}")
    if options.report:
        from lp_io import atomic_path

        with atomic_path(options.report) as temporary:
            temporary.write_text(json.dumps(report.as_dict(), indent=1, allow_nan=False) + "\n")
        print(f"report {options.report}")
