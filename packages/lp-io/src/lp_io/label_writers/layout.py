"""Where the images of one layout go in another."""

from collections.abc import Sequence
from pathlib import PurePosixPath

MARKERS = ("labeled-data", "images")  # the folders in which layouts keep their images
LOOSE = "frames"  # the folder of images without one, where a layout wants a folder


def place(images: Sequence[str], folder: str, flat: bool = False) -> list[str]:
    """New relative paths: `folder`, then the old path without its own `labeled-data` or `images`.

    Images of different folders stay in different folders; where two would fall together, the later one's name gets a number.

    Args:
        images: paths with forward slashes, relative or absolute.
        folder: where they go.
        flat: exactly one folder level below `folder`.
    """
    taken: dict[str, str] = {}  # new folder → old folder
    moved: dict[str, str] = {}
    placed = []
    for image in images:
        old, _, name = image.rpartition("/")
        if old not in moved:
            inner = _inner(image)
            if flat or (not inner and taken.get(folder, old) != old):
                inner = ["_".join(inner) or LOOSE]
            moved[old] = unused("/".join([folder, *inner]), taken, old)
        placed.append(f"{moved[old]}/{name}")
    return placed


def unused(name: str, taken: dict[str, str], owner: str) -> str:
    """`name`, or with _2, _3, … at the end if another owner has it already; `taken` is told."""
    found, number = name, 2
    while taken.setdefault(found, owner) != owner:
        found, number = f"{name}_{number}", number + 1
    return found


def without_folder(image: str) -> bool:
    """Whether an image lies in no folder but `labeled-data` or `images`."""
    return not _inner(image)


def _inner(image: str) -> list[str]:
    """The folders that say which video an image is of."""
    folders = [part for part in PurePosixPath(image).parts[:-1] if part != "."]
    if image.startswith("/") or ".." in folders:
        marker = next((m for m in MARKERS if m in folders), None)
        start = len(folders) - folders[::-1].index(marker) if marker else max(len(folders) - 1, 0)
        return [part for part in folders[start:] if part not in ("/", "..")]
    return folders[1:] if folders[:1] and folders[0] in MARKERS else folders
