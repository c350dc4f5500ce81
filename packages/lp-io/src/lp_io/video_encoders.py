"""What turns pictures into H.264: exact, quick, or the machine's own encoder where it works."""

from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from lp_core import ConfigError, Size

EXACT_COLORS = "flags=bilinear+accurate_rnd+full_chroma_inp"
QUICK_COLORS = "flags=bilinear+full_chroma_inp"  # a grey level off here and there
HARDWARE = ("h264_nvenc", "h264_videotoolbox")
BITS = 0.15  # of an encoder that takes a rate, per pixel: about what `quick` takes for a mouse on a grey floor
TRIED = 4  # frames that must come out before an encoder is believed to work


@dataclass(frozen=True, slots=True)
class Encoder:
    """One way to encode.

    Attributes:
        name: FFmpeg's.
        options: of FFmpeg's, besides crf and threads.
        colors: how RGB becomes YUV, in words of FFmpeg's filter `scale`.
    """

    name: str = "libx264"
    options: tuple[tuple[str, str], ...] = ()
    colors: str = EXACT_COLORS


EXACT = Encoder()
# Five times as fast as x264's default, and at crf 22 as close to the source as that at 23, in files half as large again
QUICK = Encoder("libx264", (("preset", "superfast"), ("bf", "0")), QUICK_COLORS)


def pick_encoder(name: str, size: Size, fps: float) -> Encoder:
    """The encoder called `name`: exact, quick, one of `HARDWARE`, or auto: of the hardware what works here, else quick.

    Raises:
        ConfigError: another name, or an encoder that does not work here.
    """
    known = {"exact": EXACT, "quick": QUICK} | {n: Encoder(n, (), QUICK_COLORS) for n in HARDWARE}
    if name == "auto":
        return next((known[n] for n in HARDWARE if works(known[n], size, fps)), QUICK)
    if name not in known:
        raise ConfigError(f"encoder={name} must be one of auto, {', '.join(known)}.")
    if name in HARDWARE and not works(known[name], size, fps):
        raise ConfigError(f"encoder={name} does not work on this machine for frames of this size; use encoder=auto.")
    return known[name]


def works(encoder: Encoder, size: Size, fps: float) -> bool:
    """Whether frames of `size` (height, width) really come out of it."""
    rate, packets = Fraction(fps).limit_denominator(1000), 0
    with suppress(av.error.FFmpegError, ValueError, MemoryError):
        codec = av.CodecContext.create(encoder.name, "w")
        assert isinstance(codec, av.VideoCodecContext)
        codec.height, codec.width = size[0] + size[0] % 2, size[1] + size[1] % 2
        codec.pix_fmt, codec.framerate, codec.time_base = "yuv420p", rate, 1 / rate
        codec.bit_rate = bit_rate(size, fps)
        for number in range(TRIED):
            frame = av.VideoFrame(codec.width, codec.height, "yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            packets += len(codec.encode(frame))
        packets += len(codec.encode(None))
    return packets >= TRIED


def bit_rate(size: Size, fps: float) -> int:
    """Bits per second for encoders that take no crf."""
    return round(BITS * size[0] * size[1] * fps)
