"""An exported network: an ONNX file that says of itself what it is. Needs neither torch nor onnx.

ONNX files are protobuf messages, whose entries may come in any order. Behind the graph stands one entry of metadata under
`KEY`: the description as JSON, and a checksum over the description and everything else in the file.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lp_core import DataError, Size
from lp_io import atomic_path

KEY = "lp"
FORMAT = 1
METADATA = 14  # number of the entry `metadata_props` of ONNX's ModelProto
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5  # protobuf's kinds of entries

Skeleton = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an exported file says of its network.

    Attributes:
        keypoint_names: in the order of the outputs.
        image_size: (height, width) of the frames it takes.
        model_type: the reference's name of the kind of model.
        context: frames before and after each one that it looks at.
        corner_pixels: see `lp_core.Resize`.
        state: shape of what it hands from call to call; empty without context.
        skeleton: pairs of keypoint numbers to be joined by lines.
        precision: float32, or int8 for convolutions and matrix products.
        weights: fingerprint of the trained weights.
        about: further notes.
        made_by: what wrote the file.
        format: of this description.
    """

    keypoint_names: tuple[str, ...]
    image_size: Size
    model_type: str
    context: int = 0
    corner_pixels: bool = False
    state: tuple[int, ...] = ()
    skeleton: Skeleton = ()
    precision: str = "float32"
    weights: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    made_by: str = field(default_factory=lambda: f"lp-infer {version('lp-infer')}")
    format: int = FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An exported file in memory.

    Attributes:
        data: the whole file, for a library that runs ONNX.
        checksum: of all of it.
    """

    description: Description
    data: bytes
    checksum: str


def write_exported(path: Path | str, graph: bytes, description: Description) -> None:
    """Write an ONNX graph and its description as one file."""
    said = asdict(description)
    said["checksum"] = _checksum([graph], said)
    with atomic_path(path) as temporary:
        temporary.write_bytes(graph + _entry(json.dumps(said)))


def read_exported(path: Path | str) -> Exported:
    """Read a file of `write_exported`, whole and unchanged.

    Raises:
        DataError: there is no such file, it is damaged, or it was not written by `lpose export` of a version up to this.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist; write one with lpose export run=RUN out=FILE.onnx.")
    data = path.read_bytes()
    try:
        said, rest = _split(data)
        checksum = said.pop("checksum")
        if said["format"] > FORMAT:
            raise DataError(f"{path} was written by a newer version ({said['made_by']}); pip install -U lp-infer.")
        if _checksum(rest, said) != checksum:
            raise ValueError("checksum")
        return Exported(description=_description(said), data=data, checksum=checksum)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        if isinstance(e, DataError):
            raise
        raise DataError(
            f"{path} is damaged, or not a network that lpose export wrote; write one with "
            "lpose export run=RUN out=FILE.onnx."
        ) from e


def _description(said: Mapping[str, Any]) -> Description:
    tuples = {key: tuple(said[key]) for key in ("keypoint_names", "image_size", "state")}
    skeleton = tuple((a, b) for a, b in said["skeleton"])
    return Description(**{**said, **tuples, "skeleton": skeleton})


def _checksum(graph: list[Any], said: Mapping[str, Any]) -> str:
    digest = hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16)
    for part in graph:
        digest.update(part)
    return digest.hexdigest()


def _split(data: bytes) -> tuple[dict[str, Any], list[memoryview]]:
    """The description, and all entries but the one it stands in."""
    view, rest, said = memoryview(data), list[memoryview](), None
    for number, start, value, stop in entries(view):
        pair = {n: bytes(view[b:c]) for n, _, b, c in entries(view, value, stop)} if number == METADATA else {}
        if pair.get(1) == KEY.encode():
            said = json.loads(pair[2])
        else:
            rest.append(view[start:stop])
    if said is None:
        raise ValueError("no description")
    return said, rest


def entries(view: memoryview, at: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """(number, where the entry begins, where its value does, where both end) of the entries of a protobuf message."""
    end = len(view) if end is None else end
    while at < end:
        start = at
        tag, at = _varint(view, at)
        value = at
        if tag & 7 == VARINT:
            _, at = _varint(view, at)
        elif tag & 7 == BYTES:
            length, value = _varint(view, at)
            at = value + length
        elif tag & 7 in (EIGHT, FOUR):
            at += 8 if tag & 7 == EIGHT else 4
        else:
            raise ValueError("not protobuf")
        if at > end:
            raise ValueError("cut off")
        yield tag >> 3, start, value, at


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise ValueError("cut off")
        byte = view[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _entry(text: str) -> bytes:
    """Of metadata."""
    pair = b"".join(length_delimited(n, s.encode()) for n, s in ((1, KEY), (2, text)))
    return length_delimited(METADATA, pair)


def length_delimited(number: int, value: bytes) -> bytes:
    return _as_varint(number << 3 | BYTES) + _as_varint(len(value)) + value


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
