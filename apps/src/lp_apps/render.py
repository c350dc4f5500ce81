"""lpose render run=RUN source=VIDEO [out=FILE] [key=value …]

Draws the run's keypoints on a video, in a colour for each, or of several animals for each animal;
predicts it first where RUN has no predictions of it.
FILE is RUN/video_preds/labeled_videos/<stem>_labeled.mp4 if not given.

  min_confidence=0.1     draw nothing for less confident keypoints
  trail=0                frames of each keypoint's past path
  names=false            write the keypoints' names
"""

import json
from dataclasses import dataclass
from pathlib import Path

from lp_apps import predict
from lp_apps.options import parse


@dataclass
class Options:
    """What `lpose render` takes."""

    run: str
    source: str
    out: str | None = None
    min_confidence: float = 0.1
    trail: int = 0
    names: bool = False


def run(words: list[str]) -> None:
    """Draw, and print where the video is."""
    from lp_train import RunDir
    from lp_viz import RenderOptions, render_video

    options = parse(words, Options)
    files = RunDir(Path(options.run))
    video = Path(options.source)
    table = files.video_predictions / f"{video.stem}.csv"
    if not table.exists():
        predict.run([f"run={options.run}", f"source={video}"])
    tracks = table.with_name(f"{table.stem}_tracks.csv")
    table = tracks if tracks.exists() else table
    out = Path(options.out) if options.out else table.parent / "labeled_videos" / f"{video.stem}_labeled.mp4"
    skeleton = json.loads(files.provenance.read_text())["skeleton"]
    style = RenderOptions(
        min_confidence=options.min_confidence, trail=options.trail, names=options.names, skeleton=skeleton
    )
    render_video(video, table, out, style)
    print(f"labeled video  {out}")
