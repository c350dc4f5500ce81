"""lpose render run=RUN source=VIDEO [out=FILE] [key=value …]

Draws the run's keypoints on a video, in a colour for each, or of several animals for each animal, the fainter the less
sure; predicts the video first where RUN has no predictions of it.
FILE is RUN/video_preds/labeled_videos/<stem>_labeled.mp4 if not given.

  runs=[A,B]             several models on one video, each with a marker of its own, instead of run=RUN
  source=[A.mp4,B.mp4]   videos of the same moments from several cameras, side by side
  min_confidence=0.1     draw nothing for less confident keypoints
  trail=0                frames of each keypoint's past path
  skeleton=true          lines between keypoints, where the project names them
  names=false            write the keypoints' names
  radius=NUMBER          of a dot, in pixels of the new video; fits the picture if not given
  min_side=320           smaller videos are enlarged by a whole number
  slow=worst             only the worst moments, slowly; or slow=jumps, slow=unsure for one kind of bad
  moments=5  seconds=1  slower=4   how many, how long in the source, and how many times slower
  encoder=auto           the machine's own where one works, else quick; exact: a smaller file, three times slower
  crf=22                 quality, lower is better and larger
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lp_core import ConfigError, DataError, listed

from lp_apps import predict
from lp_apps.lists import run_folders, short_names
from lp_apps.options import parse

if TYPE_CHECKING:
    from lp_viz import RenderOptions, SlowMotion


@dataclass
class Options:
    """What `lpose render` takes."""

    source: str
    run: str | None = None
    runs: str | None = None
    out: str | None = None
    min_confidence: float = 0.1
    trail: int = 0
    skeleton: bool = True
    names: bool = False
    radius: float | None = None
    min_side: int = 320
    slow: str | None = None
    moments: int = 5
    seconds: float = 1.0
    slower: float = 4.0
    encoder: str = "auto"
    crf: int = 22


def run(words: list[str]) -> None:
    """Draw, and print where the video is."""
    from lp_viz import View, render_views

    options = parse(words, Options)
    runs, videos = run_folders(options.run, options.runs), [Path(name) for name in listed(options.source)]
    absent = [video for video in videos if not video.is_file()]
    if absent or not videos:
        raise DataError(f"source={options.source}: {absent[0] if absent else 'it'} does not exist; give a video.")
    looks, slow = _looks(options, next(iter(runs.values()))), _slow(options)
    names = short_names(videos) if len(videos) > 1 else [""]
    views = [
        View(video=video, predictions={n: predictions(folder, video) for n, folder in runs.items()}, name=name)
        for video, name in zip(videos, names, strict=True)
    ]
    out = Path(options.out) if options.out else _out(next(iter(runs.values())), videos[0], options)
    render_views(views, out, looks, slow)
    print(f"labeled video  {out}")


def predictions(run: Path, video: Path) -> Path:
    """The table of `video` in `run`, predicted if need be; the one in which animals were followed, if there is one."""
    from lp_train import RunDir

    table = RunDir(run).video_predictions / f"{video.stem}.csv"
    if not table.exists():
        predict.run([f"run={run}", f"source={video}"])
    tracks = table.with_name(f"{table.stem}_tracks.csv")
    return tracks if tracks.exists() else table


def _looks(options: Options, first: Path) -> "RenderOptions":
    from lp_train import RunDir
    from lp_viz import RenderOptions

    pairs = json.loads(RunDir(first).provenance.read_text())["skeleton"] if options.skeleton else []
    return RenderOptions(
        min_confidence=options.min_confidence, trail=options.trail, names=options.names, skeleton=pairs,
        radius=options.radius, min_side=options.min_side, encoder=options.encoder, crf=options.crf,
    )  # fmt: skip


def _slow(options: Options) -> "SlowMotion | None":
    from lp_viz import SlowMotion

    if options.slow is None:
        if (options.moments, options.seconds, options.slower) != (Options.moments, Options.seconds, Options.slower):
            raise ConfigError("moments, seconds and slower belong to slow=worst; add it.")
        return None
    return SlowMotion(by=options.slow, moments=options.moments, seconds=options.seconds, factor=options.slower)


def _out(first: Path, video: Path, options: Options) -> Path:
    from lp_train import RunDir

    kind = f"_{options.slow}" if options.slow else ""
    return RunDir(first).video_predictions / "labeled_videos" / f"{video.stem}{kind}_labeled.mp4"
