"""When a training began and how long it took: TensorBoard's event files say, without TensorBoard."""

import struct
from collections.abc import Iterator
from pathlib import Path

HEAD = 12  # bytes before a record: its length (8), a checksum (4); 4 more follow it
TIME = b"\x09"  # of an event the first field, `double wall_time = 1`, in protocol buffers


def training_times(folder: Path) -> list[tuple[float, float]]:
    """First and last moment of every event file in `folder`, in seconds since 1970, the oldest first."""
    spans = []
    for path in folder.glob("events.out.tfevents.*"):
        if times := list(_times(path)):
            spans.append((times[0], times[-1]))
    return sorted(spans)


def _times(path: Path) -> Iterator[float]:
    data, at = path.read_bytes(), 0
    while at + HEAD + 9 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        if data[at + HEAD : at + HEAD + 1] == TIME:
            yield struct.unpack_from("<d", data, at + HEAD + 1)[0]
        at += HEAD + length + 4
