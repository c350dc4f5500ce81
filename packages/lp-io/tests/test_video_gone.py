"""A file that can no longer be read while it is read is an error, never frames that count as damaged."""

import errno
import os
import shutil
from pathlib import Path

import av
import lp_io.video_packets
import numpy as np
import pytest
from lp_core import DataError
from lp_io import VideoReader

FRAMES = 60


@pytest.fixture(params=["video.mp4", "video.mkv", "video.ts"])
def video(request, tmp_path) -> Path:
    """Noise, so that the file is larger than what is read ahead."""
    path, rng = tmp_path / request.param, np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10", "preset": "ultrafast", "crf": "10"})
        stream.height, stream.width, stream.pix_fmt = 160, 160, "yuv420p"
        for _ in range(FRAMES):
            frame = rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    assert path.stat().st_size > 500_000
    return path


def read_from(reader: VideoReader, start: int) -> None:
    for _ in reader.batches(4, start):
        pass


def test_a_file_that_becomes_shorter(video):
    with VideoReader(video, threads=1) as reader:
        reader.clip(0, 4)
        os.truncate(video, video.stat().st_size // 2)
        with pytest.raises(DataError, match=r"can no longer be read at frame \d+ \(it has become shorter"):
            read_from(reader, 4)
        assert not reader.broken


def test_a_file_that_is_written_over(video):
    with VideoReader(video, threads=1) as reader:
        reader.clip(0, 4)
        size = video.stat().st_size
        with video.open("r+b") as file:
            file.seek(size // 2)
            file.write(bytes(size - size // 2))
        os.utime(video, ns=(1, 1))
        with pytest.raises(DataError, match="it has changed since it was opened"):
            read_from(reader, 4)


def test_a_file_that_is_gone_when_it_must_be_opened_again(video):
    with VideoReader(video, threads=1) as reader:
        reader.clip(30, 4)
        video.unlink()
        try:
            reader.clip(0, 4)  # what is open can still be read where the system keeps it
        except DataError as e:
            assert "can no longer be read at frame 0 (it is gone)" in str(e)
        else:
            read_from(reader, 0)
            assert not reader.broken


def test_a_file_replaced_by_another(video, tmp_path):
    other = tmp_path / f"other{video.suffix}"
    shutil.copy(video, other)
    with VideoReader(video, threads=1) as reader:
        expected = reader.clip(0, 4)
        reader.clip(30, 4)
        other.write_bytes(other.read_bytes()[:1000])
        other.replace(video)
        try:
            np.testing.assert_array_equal(reader.clip(0, 4), expected)
        except DataError as e:
            assert "can no longer be read at frame 0 (it has become shorter" in str(e)


class Failing:
    """A file on a drive that fails from some moment on."""

    def __init__(self, path: Path, error: int) -> None:
        self.file, self.error, self.failed = path.open("rb"), error, False

    def read(self, count: int) -> bytes:
        if self.failed:
            raise OSError(self.error, os.strerror(self.error))
        return self.file.read(count)

    def seek(self, *place: int) -> int:
        return self.file.seek(*place)

    def tell(self) -> int:
        return self.file.tell()


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE])
def test_a_drive_that_fails(video, monkeypatch, error):
    with VideoReader(video):
        pass  # makes the index
    opened: list[Failing] = []

    def failing_open(path, **options):
        opened.append(Failing(Path(path), error))
        return av_open(opened[-1], **options)

    av_open = av.open
    monkeypatch.setattr(lp_io.video_packets.av, "open", failing_open)
    with VideoReader(video, threads=1) as reader:
        reader.clip(0, 4)
        opened[-1].failed = True
        with pytest.raises(DataError, match=rf"can no longer be read at frame \d+ \({os.strerror(error)}\)"):
            read_from(reader, 4)
        assert not reader.broken
        with pytest.raises(DataError, match="can no longer be read"):
            read_from(reader, 40)


def test_a_drive_that_fails_while_the_index_is_made(video, monkeypatch):
    def failing_open(path, **options):
        file = Failing(Path(path), errno.EIO)
        container = av_open(file, **options)
        file.failed = True
        return container

    av_open = av.open
    monkeypatch.setattr(lp_io.video_packets.av, "open", failing_open)
    with pytest.raises(DataError, match=r"cannot be read \(Input/output error\); check its drive"):
        VideoReader(video)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ESTALE, "check its drive and start again"), (errno.EINVAL, "check that the file is complete")],
)
def test_a_drive_that_fails_when_the_file_is_opened(video, monkeypatch, number, remedy):
    def fails(*_, **__):
        raise OSError(number, "why")

    monkeypatch.setattr(av, "open", fails)
    with pytest.raises(DataError, match=rf"cannot be read as a video \(why\); {remedy}\.$"):
        VideoReader(video)


def test_the_file_is_what_it_was_only_if_nothing_changed(video):
    with VideoReader(video) as reader:
        read_from(reader, 0)
        assert not reader.broken and not reader.problems
