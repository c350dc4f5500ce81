"""What images of added frames are called: as the project's other images are."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from lp_core import DataError

NUMBERED = re.compile(r"img(\d+)\.\w+")
FOLDER = "labeled-data"
DIGITS = 8  # Lightning Pose's


def frame_of(image: str) -> tuple[str, int] | None:
    """The name of the video and the frame that `labeled-data/<video>/img<number>.png` is; None if it is not called so."""
    parts = PurePosixPath(image).parts
    found = NUMBERED.fullmatch(parts[-1]) if len(parts) == 3 and parts[0] == FOLDER else None
    return (parts[1], int(found[1])) if found else None


def name_of(video: str, frame: int, images: Iterable[str], count: int, digits: int = DIGITS) -> str:
    """The path of an added image, with as many digits as the images of the video have, or else most others.

    Args:
        video: its name without suffix.
        images: of the project.
        count: frames of the video.
        digits: for a project without numbered images.

    Raises:
        DataError: the video's name cannot be a folder's.
    """
    if not video or video.startswith(".") or re.search(r"[\x00-\x1f/\\]", video):
        raise DataError(f"The video {video!r} cannot give its name to a folder of images; rename it.")
    own, others = list[int](), list[int]()
    for image in images:
        if found := NUMBERED.fullmatch(PurePosixPath(image).name):
            (own if PurePosixPath(image).parent.name == video else others).append(len(found[1]))
    widths = own or others or [digits]
    width = max(set(widths), key=widths.count)
    width = width if own else max(width, len(str(count - 1)))  # so that names sort as frames do
    return f"{FOLDER}/{video}/img{frame:0{width}d}.png"
