"""Damaged and odd files: every frame is itself or black and in `broken`, and a file that is no video is a sentence."""

import os
import shutil
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from lp_core import DataError
from lp_io import VideoReader

BITS, CELL = 8, 16  # each frame shows its number as eight black or white squares


def numbered(number: int, height: int, width: int) -> np.ndarray:
    """A grey frame with `number` in binary along its upper edge."""
    frame = np.full((height, width, 3), 100, dtype=np.uint8)
    for bit in range(BITS):
        frame[:CELL, bit * CELL : (bit + 1) * CELL] = 255 * (number >> bit & 1)
    return frame


def number_of(frame: np.ndarray) -> int:
    """Read it back."""
    middle = CELL // 2
    return sum(int(frame[middle, bit * CELL + middle, 0] > 127) << bit for bit in range(BITS))


def write_numbered(path: Path, frames: int = 40, *, codec="libx264", size=(64, 160), noise=0, options=None) -> Path:
    """A video at 25 frames/s, with noise of that amplitude below the numbers so that packets are large."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for i in range(frames):
            frame = numbered(i, *size)
            frame[CELL + 8 :] += rng.integers(0, noise + 1, frame[CELL + 8 :].shape, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def numbers(reader: VideoReader) -> list[int | None]:
    """What each frame shows, None for the broken ones."""
    frames = np.concatenate(list(reader.batches(7)))
    assert len(frames) == reader.frame_count
    return [None if i in reader.broken else number_of(f) for i, f in enumerate(frames)]


def remux(source: Path, out: Path, change, options=None) -> Path:
    """The same packets with other times: `change(number, packet)` sets them."""
    with av.open(str(source)) as read, av.open(str(out), "w", options=options or {}) as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(p for p in read.demux(video=0) if p.size):
            change(number, packet)
            packet.stream = stream
            write.mux(packet)
    return out


def assert_itself(path: Path, count: int = 40) -> None:
    """Every frame is there and shows its number, in order, backwards and picked."""
    with VideoReader(path) as reader:
        assert numbers(reader) == list(range(count))
        backwards = [number_of(reader.clip(i, 1)[0]) for i in reversed(range(count))]
        assert backwards == list(reversed(range(count)))
        assert [number_of(f) for f in reader.frames([30, 2, 3, 29])] == [30, 2, 3, 29]
        assert not reader.broken


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("h264_in.avi", {"options": {"bf": "2"}}),  # its packets do not say when frames are shown
        ("raw.h264", {"options": {"bf": "2", "g": "10"}}),  # nor here
        ("mpeg2.mpg", {"codec": "mpeg2video", "options": {"bf": "2", "g": "9"}}),
        ("mpeg2.ts", {"codec": "mpeg2video", "options": {"bf": "2", "g": "9"}}),
        ("mpeg4.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
        ("open.mkv", {"options": {"x264-params": "open-gop=1:keyint=10:bframes=3"}}),
        ("refresh.mkv", {"options": {"x264-params": "intra-refresh=1:keyint=12"}}),
        ("h265_open.mp4", {"codec": "libx265", "options": {"x265-params": "keyint=10:bframes=3:log-level=none"}}),
        ("lossless.mkv", {"codec": "ffv1"}),
    ],
)
def test_odd_codings_are_frame_exact(tmp_path, name, kind):
    path = write_numbered(tmp_path / name, **kind)
    assert_itself(path)
    with VideoReader(path) as reader:
        untold = name in ("h264_in.avi", "raw.h264")
        assert any("does not say when each frame is shown" in p for p in reader.problems) == untold


def test_one_keyframe_in_a_long_video(tmp_path):
    path = write_numbered(tmp_path / "long.mp4", 250, options={"g": "10000", "bf": "3", "sc_threshold": "0"})
    assert_itself(path, 250)


def test_frames_of_the_same_time_are_all_there(tmp_path):
    source = write_numbered(tmp_path / "s.mkv", options={"g": "5", "bf": "0"})

    def pair(number, packet):
        packet.pts = packet.dts = number // 2 * 80

    assert_itself(remux(source, tmp_path / "pairs.mkv", pair))


def test_times_that_start_again_shift_nothing(tmp_path):
    source = write_numbered(tmp_path / "s.ts", 20, options={"bf": "2", "g": "10"})
    second = write_numbered(tmp_path / "t.ts", 20, options={"bf": "2", "g": "10"})
    both = tmp_path / "both.ts"
    both.write_bytes(source.read_bytes() + second.read_bytes())
    with VideoReader(both) as reader:
        shown = numbers(reader)
        assert [n for n in shown if n is not None] == [*range(20), *range(20)]


def test_what_an_edit_list_cuts_off_is_not_counted(tmp_path):
    source = write_numbered(tmp_path / "s.mp4", options={"g": "20", "bf": "2"})
    with av.open(str(source)) as container:
        shift = int(Fraction(7, 25) / container.streams.video[0].time_base)

    def earlier(number, packet):
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift

    path = remux(source, tmp_path / "cut.mp4", earlier, {"avoid_negative_ts": "disabled"})
    with VideoReader(path) as reader:
        assert numbers(reader) == list(range(7, 40)) and reader.times[0] == pytest.approx(0, abs=0.01)
        assert number_of(reader.clip(0, 1)[0]) == 7


@pytest.mark.parametrize("name", ["whole.mkv", "whole.ts", "whole.avi", "whole.mpg"])
def test_a_cut_file_gives_its_first_part(tmp_path, name):
    codec = {"whole.mpg": "mpeg2video", "whole.avi": "mpeg4"}.get(name, "libx264")
    path = write_numbered(tmp_path / name, codec=codec, options={"g": "5", "bf": "0"}, noise=80)
    cut = tmp_path / f"cut{path.suffix}"
    tenths = 9 if path.suffix == ".avi" else 6
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * tenths // 10])
    with VideoReader(cut) as reader:
        shown = numbers(reader)
        assert 5 < len(shown) < 40 and sum(n is not None for n in shown) > 5
        assert all(n in (None, i) for i, n in enumerate(shown))


def test_an_mp4_that_was_not_finished_is_one_sentence(tmp_path):
    path = write_numbered(tmp_path / "whole.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: path.read_bytes().index(b"moov")])
    with pytest.raises(DataError, match=r"cut\.mp4 cannot be read as a video .*complete"):
        VideoReader(cut)


def flip(path: Path, out: Path, first: int, last: int, seed: int) -> Path:
    """Some bits of packets `first` to `last` turned over."""
    rng = np.random.default_rng(seed)
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    for position, size in places[first:last]:
        for at in rng.integers(position + min(8, size - 1), position + size, max(3, size // 20)):
            if path.suffix != ".ts" or at % 188 > 40:  # its headers lie among the content, and hold the times
                content[at] ^= 1 << rng.integers(8)
    out.write_bytes(content)
    return out


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
@pytest.mark.parametrize("seed", range(3))
def test_flipped_bits_never_shift_frames(tmp_path, suffix, seed):
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    options = {"g": "8", **({"bf": "2"} if suffix != ".avi" else {})}
    whole = write_numbered(tmp_path / f"whole{suffix}", codec=codec, options=options, noise=80)
    path = flip(whole, tmp_path / f"flipped{suffix}", 17, 22, seed)
    with VideoReader(path) as reader:
        shown = numbers(reader)
        assert len(shown) == 40 and sum(n is not None for n in shown) >= 24
        assert all(n in (None, i) for i, n in enumerate(shown) if not 16 <= i < 24)
        assert reader.broken
        assert [number_of(f) for f in reader.frames([39, 30, 3])] == [39, 30, 3]


def test_frames_of_which_a_transport_stream_keeps_no_trace_leave_a_gap_in_time(tmp_path):
    whole = write_numbered(tmp_path / "whole.ts", options={"g": "8", "bf": "2"}, noise=80)
    with VideoReader(flip(whole, tmp_path / "flipped.ts", 17, 22, 1)) as reader:
        shown, at = numbers(reader), np.round((reader.times - reader.times[0]) * 25)
        assert all(n in (None, t) for n, t in zip(shown, at, strict=True) if not 16 <= t < 24)
        assert len(shown) < 40 and any("variable frame rate" in p for p in reader.problems)


def test_a_broken_keyframe_costs_its_group_and_reading_goes_on(tmp_path):
    whole = write_numbered(tmp_path / "whole.mp4", options={"g": "5", "bf": "0", "sc_threshold": "0"})
    path = flip(whole, tmp_path / "flipped.mp4", 20, 21, 0)
    content = bytearray(path.read_bytes())
    with av.open(str(whole)) as container:
        position, size = next((p.pos, p.size) for i, p in enumerate(container.demux(video=0)) if i == 20)
    content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    with VideoReader(path) as reader:
        assert [number_of(f) for f in reader.frames([26, 19])] == [26, 19]
        shown = numbers(reader)
        assert shown[:20] == list(range(20)) and shown[20:25] == [None] * 5 and shown[25:] == list(range(25, 40))
        assert not reader.clip(22, 1).any()  # black


def test_the_name_does_not_count_but_the_content(tmp_path):
    path = write_numbered(tmp_path / "right.mp4")
    shutil.move(path, tmp_path / "wrong.avi")
    assert_itself(tmp_path / "wrong.avi")
    (tmp_path / "text.mp4").write_text("time,x,y\n0,1,2\n" * 500)
    with pytest.raises(DataError, match=r"text\.mp4 cannot be read as a video"):
        VideoReader(tmp_path / "text.mp4")


def test_what_is_no_file_is_one_sentence(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DataError, match=r"empty\.mp4 is empty"):
        VideoReader(tmp_path / "empty.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(DataError, match=r"folder\.mp4 is a folder"):
        VideoReader(tmp_path / "folder.mp4")
    with pytest.raises(DataError, match=r"cannot be reached .*check its drive"):
        VideoReader(tmp_path / ("long" * 100))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp4")
        with pytest.raises(DataError, match="record it to a file first"):
            VideoReader(tmp_path / "pipe.mp4")


def test_frames_none_of_which_can_be_decoded_are_one_sentence(tmp_path):
    whole = write_numbered(tmp_path / "whole.mp4", 5)
    with av.open(str(whole)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(whole.read_bytes())
    for position, size in places:
        content[position : position + size] = b"\xff" * size
    (tmp_path / "none.mp4").write_bytes(content)
    with pytest.raises(DataError, match="no video frame that can be decoded"):
        VideoReader(tmp_path / "none.mp4")


def test_sound_alone_is_one_sentence(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match="no video stream"):
        VideoReader(path)


def with_matrix(path: Path, entries: tuple[int, int, int, int]) -> None:
    """Write a display matrix into an mp4's only track."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (v << 16 for v in entries)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def placed(stored: np.ndarray, a: int, b: int, c: int, d: int) -> np.ndarray:
    """Every pixel where the matrix sends it: (x, y) to (a x + c y, b x + d y), moved to start at (0, 0)."""
    y, x = np.indices(stored.shape[:2])
    right, down = a * x + c * y, b * x + d * y
    right, down = right - right.min(), down - down.min()
    out = np.empty((down.max() + 1, right.max() + 1, 3), dtype=np.uint8)
    out[down, right] = stored
    return out


TURNS = [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]  # by 90 degrees clockwise, 180, 270
MIRRORS = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


@pytest.mark.parametrize("matrix", TURNS + MIRRORS)
def test_frames_are_shown_as_the_display_matrix_says(tmp_path, matrix):
    path = write_numbered(tmp_path / "stored.mp4", 12)
    with VideoReader(path) as reader:
        stored = reader.clip(5, 1)[0]
        assert reader.original_size == (64, 160)
    turned = tmp_path / "turned.mp4"
    shutil.copy(path, turned)
    with_matrix(turned, matrix)
    with VideoReader(turned) as reader:
        assert reader.original_size == ((64, 160) if matrix[0] else (160, 64))
        np.testing.assert_array_equal(reader.clip(5, 1)[0], placed(stored, *matrix))
        if matrix in TURNS:
            assert number_of(np.rot90(reader.clip(5, 1)[0], TURNS.index(matrix) + 1)) == 5
    with VideoReader(turned, (40, 30)) as reader:
        assert reader.clip(0, 3).shape == (3, 40, 30, 3)


@pytest.mark.parametrize("size", [(67, 131), (101, 167), (66, 129)])
def test_odd_sizes(tmp_path, size):
    path = tmp_path / "odd.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for i in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(i, *size), format="rgb24")))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        assert reader.original_size == size and numbers(reader) == list(range(5))


def test_a_size_that_changes_within_the_file(tmp_path):
    small = write_numbered(tmp_path / "a.ts", 20, size=(64, 160))
    large = write_numbered(tmp_path / "b.ts", 20, size=(128, 320))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with VideoReader(both) as reader:
        assert reader.original_size == (64, 160)
        assert [n for n in numbers(reader) if n is not None][:20] == list(range(20))
