"""Writing H.264 videos that every player opens."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import UInt8
from lp_core import Size

from lp_io.files import atomic_path
from lp_io.video_encoders import EXACT, HARDWARE, Encoder, bit_rate

SCALE = "out_chroma_loc=left:out_color_matrix=bt601:out_range=tv"


class VideoWriter:
    """Writes RGB frames as H.264 (yuv420p) in an mp4; the file appears under its name when it is complete.

    Colours are BT.601 in limited range and the file says so; colour samples lie where H.264 says, at the left pixel of
    each pair.

    Args:
        path: of the file.
        fps: frames per second.
        size: (height, width); odd sizes gain one black row or column, which the format asks for.
        crf: quality, lower is better and larger.
        threads: that encode; 0 takes every core, 1 gives the same bytes every time.
        encoder: what encodes; those of hardware choose quality and threads themselves.
    """

    def __init__(
        self, path: Path | str, fps: float, size: Size, crf: int = 20, threads: int = 0, encoder: Encoder = EXACT
    ) -> None:
        self.path, self.size, self._encoder = Path(path), size, encoder
        self._atomic = atomic_path(self.path)
        self._fps = Fraction(fps).limit_denominator(1_000_000)
        self._options = dict(encoder.options)
        if encoder.name in HARDWARE:
            return
        self._options |= {"crf": str(crf), **({"threads": str(threads)} if threads else {})}
        if threads == 1:
            self._options["x264-params"] = "mbtree=0"  # which differs from run to run

    def __enter__(self) -> "VideoWriter":
        self._container = av.open(str(self._atomic.__enter__()), "w", format="mp4", options={"movflags": "faststart"})
        stream = self._container.add_stream(self._encoder.name, rate=self._fps, options=self._options)
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        height, width = self.size
        if self._encoder.name in HARDWARE:
            self._stream.bit_rate = bit_rate(self.size, float(self._fps))
        self._stream.height, self._stream.width = height + height % 2, width + width % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.colorspace = Colorspace.ITU601
        self._stream.codec_context.color_range = ColorRange.MPEG
        self._yuv, self._written = self._graph(), 0
        return self

    def _graph(self) -> Graph:
        height, width = self._stream.height, self._stream.width
        graph = Graph()
        nodes = [
            graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / self._fps),
            graph.add("scale", f"{width}:{height}:{self._encoder.colors}:{SCALE}"),
            graph.add("format", "pix_fmts=yuv420p"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph

    def write(self, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        """Append one RGB frame of the writer's size."""
        height, width = self.size
        if height % 2 or width % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)))
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture.pts, picture.time_base = self._written, 1 / self._fps
        self._written += 1
        self._yuv.vpush(picture)
        self._container.mux(self._stream.encode(self._yuv.vpull()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except BaseException as e:
            self._atomic.__exit__(type(e), e, e.__traceback__)
            raise
        self._atomic.__exit__(kind, error, trace)
