"""The frames before and after a labeled one: image files beside it, or the video it was taken from."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from lp_core import LabelSet, Size
from lp_io import VIDEO_SUFFIXES, VideoReader, read_image
from torch import Tensor

SAME = 12.0  # mean absolute difference in grey levels below which a video's frame is the labeled image, recompressed
NUMBER = re.compile(r"(\d+)(\.\w+)$")
Images = UInt8[Tensor, "frames 3 height width"]


def load_windows(
    labels: LabelSet, images: Images, context: int, videos: Path | None
) -> tuple[UInt8[Tensor, "frames window 3 height width"], int]:
    """`context` frames on each side of every labeled one, and how many labeled frames have no neighbour at all.

    A neighbour is the file with the next number (`img00123.png` → `img00124.png`, as the reference has it), else the
    frame of that number of the video that is named like the image's folder, if the labeled image itself is found in the
    video under its own number. A neighbour that is found nowhere is replaced by the labeled frame.
    """
    size = (images.shape[-2], images.shape[-1])
    windows = images[:, None].repeat(1, 2 * context + 1, 1, 1, 1)
    missing: dict[str, list[int]] = {}
    alone = np.ones(len(labels), dtype=bool)
    for row, name in enumerate(labels.images):
        for place, path in _files(labels.root / name, context):
            if path.exists():
                windows[row, place] = _tensor(read_image(path, size))
                alone[row] = False
            else:
                missing.setdefault(Path(name).parent.name, []).append(row)
    for folder, rows in missing.items():
        if video := _video(videos or labels.root / "videos", folder):
            found = _from_video(video, labels, windows, sorted(set(rows)), size)
            alone[found] = False
    return windows, int(alone.sum())


def _files(path: Path, context: int) -> Iterator[tuple[int, Path]]:
    """(place in the window, file) of each neighbour; numbers do not go below zero."""
    match = NUMBER.search(path.name)
    if match is None:
        return
    digits, suffix = match.groups()
    for offset in range(-context, context + 1):
        number = int(digits) + offset
        if offset and number >= 0:
            yield offset + context, path.with_name(f"{path.name[: match.start()]}{number:0{len(digits)}d}{suffix}")


def _video(folder: Path, stem: str) -> Path | None:
    if not folder.is_dir():
        return None
    return next((p for p in sorted(folder.iterdir()) if p.stem == stem and p.suffix.lower() in VIDEO_SUFFIXES), None)


def _from_video(video: Path, labels: LabelSet, windows: Tensor, rows: list[int], size: Size) -> list[int]:
    """Fill windows whose file neighbours are missing; returns the rows whose own image is where its number says."""
    context, found = windows.shape[1] // 2, []
    with VideoReader(video, size) as reader:
        for row in rows:
            match = NUMBER.search(labels.images[row])
            number = int(match.group(1)) if match else -1
            if not 0 <= number < reader.frame_count:
                continue
            first, last = max(number - context, 0), min(number + context, reader.frame_count - 1)
            frames = _tensor(reader.clip(first, last - first + 1))
            own = windows[row, context]
            if (frames[number - first].float() - own.float()).abs().mean() > SAME:
                continue
            found.append(row)
            for place in range(2 * context + 1):
                at = min(max(number + place - context, first), last) - first
                missing = torch.equal(windows[row, place], own) and place != context
                windows[row, place] = frames[at] if missing else windows[row, place]
    return found


def _tensor(images: np.ndarray) -> UInt8[Tensor, "*batch 3 height width"]:
    return torch.from_numpy(np.moveaxis(images, -1, -3).copy())
