"""lpose track predictions=FILE out=FILE [source=VIDEO] [tracker=skeleton] [key=value …]

Gives every animal its own columns: FILE is a table of predictions of one video with several animals, in each frame in any
order and from any program; out is the same table with each individual's columns being one animal throughout, empty where
it was not found. Nothing is predicted anew.

  source=VIDEO           the video that FILE is of: animals that differ in colour are told apart by it, so that tracks which
                         were swapped where animals lay on each other are put right; where they look alike, the motion
                         decides alone, as without it
  tracker=skeleton       what is followed from frame to frame: every keypoint, which tells animals that cross apart best,
                         the ellipse round them, or their box
  tracker.KEY=VALUE      its options: max_age=5 (frames that an animal may be missing for), similarity, min_hits=1,
                         min_confidence=0.1 (keypoints below it are not listened to), length (of an animal in pixels)
  animals=N              how many there are in the video; as many as the table has columns for if not given
  keep_names=false       true: individuals keep the names they mostly have in FILE; else they are named as they appear,
                         from left to right
"""

from dataclasses import dataclass, field
from pathlib import Path

from lp_core import ConfigError, DataError

from lp_apps.options import parse


@dataclass
class Options:
    """What `lpose track` takes."""

    predictions: str
    out: str
    source: str | None = None
    tracker: str = "skeleton"
    tracker_options: dict = field(default_factory=dict)
    animals: int | None = None
    keep_names: bool = False


def run(words: list[str]) -> None:
    """Track, and say what became of the animals."""
    from lp_core import trackers
    from lp_infer.tracking import track, video_looks
    from lp_io import read_predictions, write_predictions

    options = parse(words, Options)
    given, out = Path(options.predictions), Path(options.out)
    if out.resolve() == given.resolve():
        raise ConfigError(f"{out} is the table to be tracked and would be replaced; give another out=FILE.")
    tracker = trackers.make(options.tracker, **options.tracker_options)
    table = read_predictions(given)
    if table.animals is None:
        raise DataError(f"{given} has one animal only, whose keypoints need no tracking; use the table as it is.")
    if table.index and isinstance(table.index[0], str):
        raise DataError(f"{given} holds images, not frames of a video; predict the video and track that.")
    looks = None
    if options.source:
        looks = video_looks(table, options.source, getattr(tracker, "min_confidence", 0.0))
    tracked, report = track(table, tracker, options.animals, keep_names=options.keep_names, looks=looks)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_predictions(out, tracked)
    print(f"frames     {report.frames}")
    print(f"animals    {report.kept} of {report.poses} found in all frames together have an identity")
    print(f"tracklets  {report.tracklets}, joined {report.links} times")
    if looks is not None:
        told = "tell the animals apart" if report.by_looks else "do not tell the animals apart, their motion decided"
        print(f"colours    {told}")
    for name, share in report.coverage.items():
        print(f"           {name} in {share:.1%} of the frames")
    for note in report.notes:
        print(f"note       {note}")
    print(f"{options.tracker} → {out}")
