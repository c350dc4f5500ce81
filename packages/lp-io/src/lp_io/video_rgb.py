"""Decoded frames as upright RGB of the size asked for."""

from contextlib import suppress
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.filter import Graph
from jaxtyping import UInt8
from lp_core import Size

# Without full_chroma_int, swscale takes a table to RGB that rounds down: 1.3 grey levels too dark on average.
FLAGS = "bilinear+accurate_rnd+full_chroma_int"
QUICK_FLAGS = "fast_bilinear"  # four times as fast, and half a level too dark: good enough to look at
CENTRED = frozenset({"mjpeg", "mpeg1video", "h261", "h263", "flv1"})  # colour samples between pixels; else at the left
TICK = Fraction(1, 1000)  # a graph asks for a unit of time; nothing here depends on it
QUARTER_TURNS = {(0, 1): "transpose=clock", (0, -1): "transpose=cclock", (1, 0): "", (-1, 0): "hflip,vflip"}


def upright(frame: av.VideoFrame) -> str:
    """The libavfilter filters that show `frame` as its display matrix asks, as players do; "" if it is as it should be.

    Turns that are no multiple of 90 degrees are left alone.
    """
    try:
        stored = frame.side_data["DISPLAYMATRIX"]
    except KeyError:
        return ""
    a, b, _, c, d = np.sign(np.frombuffer(memoryview(cast(Any, stored)), dtype=np.int32)[:5]).tolist()
    flipped = a * d - b * c < 0
    turn = QUARTER_TURNS.get((a, b), "")
    mirror = ("hflip" if b else "vflip") if flipped else ""
    return ",".join(filter(None, (turn, mirror)))


def shown_size(frame: av.VideoFrame, turn: str) -> Size:
    """(height, width) of `frame` after `turn`."""
    return (frame.width, frame.height) if "transpose" in turn else (frame.height, frame.width)


class RgbFrames:
    """Turns decoded frames into RGB arrays: resized with a triangle filter that widens as the image shrinks.

    The colour matrix and the range are the frame's own; a frame that does not say is BT.601 and limited, as in OpenCV.

    Args:
        size: (height, width) of the arrays.
        turn: as `upright` says.
        codec: the decoder's name, for where its colour samples lie.
        quick: rounds colours, for pictures that are only looked at.
    """

    def __init__(self, size: Size, turn: str, codec: str, *, quick: bool = False) -> None:
        self._size, self._turn, self._flags = size, turn, QUICK_FLAGS if quick else FLAGS
        self._location = "center" if codec in CENTRED else "left"
        self._graph: Graph | None = None
        self._kind: tuple[object, ...] = ()

    def write(self, frame: av.VideoFrame, out: UInt8[np.ndarray, "height width 3"]) -> None:
        """Put `frame` into `out`."""
        kind = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if self._graph is None or kind != self._kind:
            self._graph, self._kind = self._build(frame), kind
        self._graph.vpush(frame)
        plane = self._graph.vpull().planes[0]
        rows = np.frombuffer(memoryview(cast(Any, plane)), dtype=np.uint8).reshape(-1, plane.line_size)
        height, width = self._size
        np.copyto(out, rows[:height, : 3 * width].reshape(height, width, 3))

    def _build(self, frame: av.VideoFrame) -> Graph:
        height, width = self._size[::-1] if "transpose" in self._turn else self._size
        graph = Graph()
        with suppress(AttributeError):  # PyAV before 18
            graph.threads = 1  # on small pictures more threads cost more than they bring
        nodes = [
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TICK),
            graph.add("scale", f"{width}:{height}:flags={self._flags}:in_chroma_loc={self._location}"),
            graph.add("format", "pix_fmts=rgb24"),
            *(graph.add(*f.split("=")) for f in self._turn.split(",") if f),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph
