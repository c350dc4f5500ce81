"""Packets and frames of a video file, past what is damaged."""

import errno
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.stream import Disposition
from lp_core import DataError

from lp_io.video_file import file_problem

Opened: TypeAlias = tuple["av.container.InputContainer", "av.VideoStream"]
RETRIES = 100  # places in a row that cannot be parsed, after which the file counts as ended
DRIVE = {errno.EIO, errno.ESTALE, errno.ENOTCONN}  # errors that are the drive's, or the network's behind it
TOLERANT: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)  # 19 always is


def open_video(path: Path, threads: int = 0) -> Opened:
    """The container and its first video stream, decoded by `threads` threads (0: as many as there are cores).

    Raises:
        DataError: not a readable video.
    """
    if problem := file_problem(path):
        raise DataError(problem)
    try:
        container = av.open(str(path), **TOLERANT)
    except (av.FFmpegError, OSError) as e:
        remedy = "check its drive and start again" if e.errno in DRIVE else "check that the file is complete"
        raise DataError(f"{path} cannot be read as a video ({e.strerror or e}); {remedy}.") from e
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        container.close()
        raise DataError(f"{path} holds no video stream; give a video file.")
    stream = pictures[0]
    if stream.codec_context is None:
        container.close()
        raise DataError(f"{path} is coded in a way that cannot be decoded here; convert it to H.264.")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = threads
    return container, stream


def packets(container: "av.container.InputContainer", stream: "av.VideoStream") -> Iterator["av.Packet"]:
    """Packets in the order of the file. Places that cannot be parsed are passed over.

    Raises:
        OSError: the file cannot be read.
    """
    failures = 0
    while failures < RETRIES:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
                    failures = 0
            return
        except (BlockingIOError, av.FFmpegError) as e:
            if isinstance(e, OSError) and not isinstance(e, BlockingIOError):
                raise
            failures += 1


def decoded(
    coming: Iterable["av.Packet"], stream: "av.VideoStream", trusted: bool = True
) -> Iterator["av.VideoFrame | None"]:
    """Frames in presentation order; None in place of one that cannot be trusted.

    A packet that cannot be decoded makes doubtful what was predicted from it: everything up to the next keyframe,
    which decoders otherwise conceal with stale content.

    Args:
        coming: packets of `stream`.
        stream: whose decoder is used.
        trusted: whether frames before the first keyframe are.

    Raises:
        OSError: the file cannot be read; after the frames of what could be.
    """
    doubtful, failure = not trusted, None
    source = iter(coming)
    while True:
        try:
            packet = next(source, None)
        except OSError as e:
            packet, failure = None, e
        try:
            frames = stream.codec_context.decode(packet)
        except (av.FFmpegError, EOFError):
            frames, doubtful = [], True
            if packet is not None:
                yield None
        for frame in frames:
            doubtful = (doubtful or frame.is_corrupt) and not (frame.key_frame and not frame.is_corrupt)
            yield None if doubtful else frame
        if packet is None:
            break
    if failure is not None:
        raise failure
