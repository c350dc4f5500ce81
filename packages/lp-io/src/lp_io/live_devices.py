"""How a camera, an address or a file is opened on this system."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import av
from lp_core import DataError

CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where frames come from.

    Attributes:
        name: for people.
        url: for libavformat.
        format: of a camera; None otherwise.
        remedy: what to do if it does not open.
        is_file: whether it has an end that is known and a rate that can be kept.
        options: for libavformat.
    """

    name: str
    url: str
    format: str | None
    remedy: str
    is_file: bool = False
    options: dict[str, str] = field(default_factory=dict)


def place_of(source: int | str | Path) -> Place:
    """What `source` means: the number or the device of a camera, an address or a file.

    Raises:
        DataError: nothing of these, or this system has no cameras that can be read here.
    """
    text = str(source)
    if isinstance(source, int) or text.isdecimal():
        return _camera(int(text))
    if Path(text).is_file():
        return Place(text, text, None, "check that the file is complete", is_file=True)
    if "://" in text:
        options = {"rtsp_transport": "tcp"} if text.startswith("rtsp") else {}
        return Place(text, text, None, "check the address, and that the camera or server is on", options=options)
    if text.startswith(("/dev/", "video=")) and _format() in ("v4l2", "dshow"):
        return Place(f"Camera {text}", text, _format(), "connect it, or give another one")
    raise DataError(f"{text} is no file, no address such as rtsp://… and no number of a camera; give one of these.")


def _format() -> str:
    if (found := CAMERAS.get(sys.platform)) is None:
        raise DataError(f"Cameras cannot be read on {sys.platform}; give a file or an address such as rtsp://….")
    return found


def _camera(number: int) -> Place:
    kind = _format()
    urls = {"v4l2": f"/dev/video{number}", "avfoundation": f"{number}:none"}
    url = urls.get(kind) or f"video={_name_of(number)}"
    return Place(f"Camera {number} ({url})", url, kind, "connect it, allow its use, or give another number")


def _name_of(number: int) -> str:
    """The name of camera `number`, which Windows asks for."""
    try:
        found = [d for d in av.device.enumerate_input_devices("dshow") if "video" in d.media_types]
    except (AttributeError, av.FFmpegError, OSError) as e:
        raise DataError(
            f"The cameras of this computer cannot be listed; give the camera {number} by name, as video=NAME."
        ) from e
    if number >= len(found):
        names = ", ".join(f"{i}: {d.description or d.name}" for i, d in enumerate(found)) or "none"
        raise DataError(f"There is no camera {number}; connect it, or give another number (found: {names}).")
    return found[number].description or found[number].name
