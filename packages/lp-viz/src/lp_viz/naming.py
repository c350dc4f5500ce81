"""What images of frames are called, by the review page and by suggestions: as the project's other images are."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from lp_core import DataError

NUMBERED = re.compile(r"(.*?)(\d+)\.\w+")
FOLDER, PREFIX = "labeled-data", "img"
DIGITS = 8  # Lightning Pose's


def frame_of(image: str) -> tuple[str, int] | None:
    """The name of the video and the frame that an image is: its folder's, and the digits at the end of its own name.

    None if it lies in no folder, or its name does not end in digits.
    """
    path = PurePosixPath(image)
    found = NUMBERED.fullmatch(path.name)
    return (path.parent.name, int(found[2])) if found and path.parent.name else None


def name_of(video: str, frame: int, images: Iterable[str], count: int, digits: int = DIGITS) -> str:
    """The path of the image of a frame that is labeled from now on.

    It is called as most images of the video are. Where there are none it has as many digits as most other images, or more
    so that names sort as frames do, and starts as all of these do, or with `img`.

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
    own, others = list[tuple[str, int]](), list[tuple[str, int]]()
    for path in map(PurePosixPath, images):
        if found := NUMBERED.fullmatch(path.name):
            (own if path.parent.name == video else others).append((found[1], len(found[2])))
    if own:
        prefix, width = max(dict.fromkeys(own), key=own.count)
    else:
        prefixes, widths = {prefix for prefix, _ in others}, [width for _, width in others] or [digits]
        prefix = prefixes.pop() if len(prefixes) == 1 else PREFIX
        width = max(max(dict.fromkeys(widths), key=widths.count), len(str(count - 1)))
    return f"{FOLDER}/{video}/{prefix}{frame:0{width}d}.png"
