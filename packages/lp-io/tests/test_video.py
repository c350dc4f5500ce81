"""Frame n is frame n, whatever the container does."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from lp_core import DataError, Resize
from lp_io import VideoReader, VideoWriter, read_image
from PIL import Image

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


def write_numbered(
    path: Path,
    frames: int = 40,
    *,
    codec: str = "libx264",
    times: list[int] | None = None,
    size=(64, 160),
    options=None,
) -> Path:
    """A video at 25 frames/s; `times` are presentation times in units of 1/1000 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(i, *size), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


KINDS = {
    "b_frames.mp4": {"options": {"bf": "3", "g": "12"}},
    "one_keyframe.mkv": {"options": {"g": "1000"}},
    "open_gop.mp4": {"options": {"x264-params": "open-gop=1:keyint=10:bframes=2"}},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mjpeg.mov": {"codec": "mjpeg"},
    "stream.ts": {"options": {"g": "10"}},
    "program.mpg": {"codec": "mpeg2video"},
    "vp9.webm": {"codec": "libvpx-vp9"},
}


@pytest.fixture(params=KINDS)
def video(request, tmp_path):
    options = dict(KINDS[request.param])
    if options.get("codec") == "mjpeg":
        pytest.importorskip("av")
        options["codec"] = "mpeg4"
    return write_numbered(tmp_path / request.param, **options)


def test_sequential_and_random_access_give_every_frame_its_number(video):
    with VideoReader(video) as reader:
        assert reader.frame_count == 40 and reader.fps == pytest.approx(25, rel=0.01)
        sequential = np.concatenate(list(reader.batches(7)))
        assert [number_of(f) for f in sequential] == list(range(40))
        wanted = [39, 0, 17, 17, 5, 38, 12]
        picked = reader.frames(wanted)
        assert [number_of(f) for f in picked] == wanted
        np.testing.assert_array_equal(picked, sequential[wanted])
        assert [number_of(f) for f in reader.clip(20, 5)] == [20, 21, 22, 23, 24]
        assert not reader.broken and not reader.problems


def test_a_second_reader_uses_the_cached_index(video, monkeypatch):
    with VideoReader(video) as reader:
        times = reader.times
    monkeypatch.setattr("lp_io.video_index._build", None)
    with VideoReader(video) as reader:
        np.testing.assert_array_equal(reader.times, times)


def test_variable_rate_is_said_and_shifts_nothing(tmp_path):
    times = np.cumsum([0, *np.random.default_rng(0).integers(10, 200, 29)]).tolist()
    path = write_numbered(tmp_path / "vfr.mkv", 30, times=times)
    with VideoReader(path) as reader:
        assert reader.frame_count == 30
        assert [number_of(f) for f in reader.frames(range(30))] == list(range(30))
        np.testing.assert_allclose(np.diff(reader.times), np.diff(times) / 1000, atol=2e-3)
        assert any("variable frame rate" in p for p in reader.problems)


def test_damaged_packets_are_holes_not_shifts(tmp_path):
    path = write_numbered(tmp_path / "whole.mp4", options={"g": "5", "bf": "0"})
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    for position, size in packets[20:22]:
        content[position : position + size] = b"\xff" * size
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    with VideoReader(broken) as reader:
        frames = np.concatenate(list(reader.batches(8)))
        assert len(frames) == reader.frame_count == 40
        whole = [i for i in range(40) if i not in reader.broken]
        assert len(whole) >= 34 and {20, 21} & reader.broken
        assert [number_of(frames[i]) for i in whole] == whole
        assert any("cannot be decoded" in p for p in reader.problems)


def test_a_file_that_ends_early_gives_what_is_there(tmp_path):
    path = write_numbered(tmp_path / "whole.ts", options={"g": "5", "bf": "0"})
    content = path.read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(content[: len(content) // 2])
    with VideoReader(cut) as reader:
        frames = np.concatenate(list(reader.batches(8)))
        whole = [i for i in range(len(frames)) if i not in reader.broken]
        assert 5 < len(whole) < 40 and [number_of(frames[i]) for i in whole] == whole


def test_one_frame(tmp_path):
    with VideoReader(write_numbered(tmp_path / "one.mp4", 1)) as reader:
        assert reader.frame_count == 1 and number_of(reader.clip(0, 1)[0]) == 0


@pytest.mark.parametrize("content", [b"", b"this is text, not a video", bytes(3000)])
def test_what_is_no_video_is_one_sentence(tmp_path, content):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.mp4"):
        VideoReader(path)
    with pytest.raises(DataError, match="does not exist"):
        VideoReader(tmp_path / "none.mp4")


def test_sound_without_pictures_is_one_sentence(tmp_path):
    path = tmp_path / "sound.mp4"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with pytest.raises(DataError, match="no video stream"):
        VideoReader(path)


def test_out_of_range_is_one_sentence(tmp_path):
    with (
        VideoReader(write_numbered(tmp_path / "v.mp4", 5)) as reader,
        pytest.raises(DataError, match="frames 0 to 4, not 3 to 6"),
    ):
        reader.clip(3, 4)


def centre(image):
    grey = image[..., 1].astype(float) - np.median(image[..., 1])
    grey[grey < 20] = 0
    y, x = np.indices(grey.shape)
    return np.array([(x * grey).sum(), (y * grey).sum()]) / grey.sum()


@pytest.mark.parametrize("size", [(64, 64), (128, 96), (40, 130), (300, 400)])
def test_resizing_follows_the_pixel_convention_in_videos_and_images(tmp_path, size):
    y, x = np.indices((200, 320))
    blobs = [(60.0, 50.0), (250.3, 140.8)]
    pictures = [
        np.repeat((20 + 220 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 72))[..., None], 3, -1).astype(np.uint8)
        for a, b in blobs
    ]
    with VideoWriter(tmp_path / "v.mp4", 10, (200, 320), crf=1) as writer:
        for picture in pictures:
            writer.write(picture)
    resize = Resize((200, 320), size)
    with VideoReader(tmp_path / "v.mp4", size) as reader:
        frames = reader.clip(0, 2)
    for frame, blob, picture in zip(frames, blobs, pictures, strict=True):
        expected = resize.forward(np.array(blob))
        assert np.abs(centre(frame) - expected).max() < 0.15
        Image.fromarray(picture).save(tmp_path / "i.png")
        image = read_image(tmp_path / "i.png", size)
        assert np.abs(centre(image) - expected).max() < 0.1
        assert np.abs(image.astype(int) - frame).mean() < 3


def test_written_frames_come_back_odd_sizes_too(tmp_path):
    frames = [numbered(i, 65, 161) for i in range(12)]
    with VideoWriter(tmp_path / "v.mp4", 29.97, (65, 161)) as writer:
        for frame in frames:
            writer.write(frame)
    with VideoReader(tmp_path / "v.mp4") as reader:
        assert reader.original_size == (66, 162) and reader.fps == pytest.approx(29.97, rel=1e-3)
        assert [number_of(f) for f in reader.clip(0, 12)] == list(range(12))


def test_an_unfinished_video_never_has_its_name(tmp_path):
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "v.mp4", 10, (64, 160)) as writer:
        writer.write(numbered(0, 64, 160))
        raise RuntimeError
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob(".*.mp4"))


def test_the_real_video(data):
    with VideoReader(data / "mirror-mouse/videos/test_vid.mp4", (128, 128)) as reader:
        assert reader.frame_count == 994 and reader.fps == pytest.approx(250) and reader.original_size == (406, 396)
        picked = reader.frames([500, 3, 993])
        np.testing.assert_array_equal(picked[0], reader.clip(500, 1)[0])
        assert np.abs(picked[0].astype(int) - picked[1]).mean() > 0.5
