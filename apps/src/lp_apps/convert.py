"""lpose convert source=SOURCE to=LAYOUT out=DIR [key=value …]

Rewrites a labeled project in another layout, in the new directory DIR: labels, images, skeleton and videos. SOURCE is
the directory of a project, or its label file: a CSV, a COCO JSON, a DeepLabCut config.yaml, a SLEAP .slp or .pkg.slp.
LAYOUT is lightning_pose (this system's own), deeplabcut, coco or sleap (a .pkg.slp with the labeled images inside).
Positions, and the order of keypoints and images, stay exactly as they are; what LAYOUT cannot keep is said.
SLEAP needs sleap-io: pip install "lp-io[sleap]"

  videos=link      takes no disk: hard links, or symbolic links if DIR is on another disk; or copy, or none
  scorer=NAME      who labeled; DeepLabCut has it in file names; as SOURCE says if not given
  format=auto      layout of SOURCE, if it is not recognised
"""

from dataclasses import dataclass
from pathlib import Path

from lp_apps.options import parse


@dataclass
class Options:
    """What `lpose convert` takes."""

    source: str
    to: str
    out: str
    videos: str = "link"
    scorer: str | None = None
    format: str = "auto"


def run(words: list[str]) -> None:
    """Convert, and say what there is now and what was lost."""
    from lp_io.convert import convert

    options = parse(words, Options)
    done = convert(options.source, options.to, options.out, options.format, options.videos, options.scorer)
    labels = done.labels
    count = int((labels.visibility > 0).sum())
    print(f"labels   {len(labels)} images, {len(labels.keypoint_names)} keypoints, {count} labeled positions")
    print(f"videos   {done.videos}")
    for note in done.notes:
        print(f"note     {note}")
    print(f"{done.source_format} → {options.to}  {Path(options.out)}")
