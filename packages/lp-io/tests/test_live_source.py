"""Live frames from files and addresses; no camera was there when this was written."""

import socket
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from lp_core import DataError
from lp_io.live_devices import place_of
from lp_io.live_source import LiveSource

FRAMES, RATE = 40, 25


def number_of(frame: np.ndarray) -> int:
    return round(float(frame[20:40, 20:40].mean()) / 6)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """The brightness of a frame is six times its number."""
    path = tmp_path_factory.mktemp("live") / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"g": "10", "bf": "2"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for i in range(FRAMES):
            picture = np.full((64, 96, 3), 6 * i, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_every_frame_if_it_need_not_be_live(video):
    with LiveSource(video, (32, 48), realtime=False) as source:
        assert source.original_size == (64, 96) and source.size == (32, 48) and source.fps == RATE
        taken = list(source)
    assert all(f.shape == (32, 48, 3) and f.dtype == np.uint8 for _, f in taken)
    assert [round(float(f[10:20, 10:20].mean()) / 6) for _, f in taken] == list(range(FRAMES))
    np.testing.assert_allclose([t for t, _ in taken], np.arange(FRAMES) / RATE, atol=1e-3)
    assert not source.dropped and not source.broken


def test_a_file_is_played_at_its_own_rate(video):
    with LiveSource(str(video)) as source:
        began = time.perf_counter()
        late = [(time.perf_counter() - began) - t for t, f in source if number_of(f) == round(t * RATE)]
    assert len(late) + source.dropped == FRAMES
    assert min(late) > -0.02 and np.median(late) < 0.2


def test_a_slow_consumer_gets_the_newest_frame_and_the_others_are_counted(video):
    with LiveSource(video) as source:
        began, seen = time.perf_counter(), []
        for timestamp, frame in source:
            age = time.perf_counter() - began - timestamp
            seen.append((number_of(frame), timestamp, age))
            time.sleep(0.2)
    numbers = [n for n, _, _ in seen]
    assert numbers == [round(t * RATE) for _, t, _ in seen] == sorted(set(numbers))
    assert 4 <= len(seen) <= 12 and len(seen) + source.dropped == FRAMES
    assert np.median([age for _, _, age in seen]) < 0.15  # not 0.2 s more with every frame


def test_an_end_in_the_middle_leaves_no_thread(video):
    before = threading.active_count()
    with LiveSource(video) as source:
        next(iter(source))
    assert threading.active_count() == before and list(source) == []
    LiveSource(video).close()  # never iterated over


@pytest.fixture
def address(video):
    handler = partial(SimpleHTTPRequestHandler, directory=str(video.parent))
    handler.func.log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_address(address, video):
    with LiveSource(f"{address}/{video.name}") as source:
        numbers = [number_of(f) for _, f in source]
    assert numbers[-1] == FRAMES - 1 and numbers == sorted(numbers)
    assert len(numbers) + source.dropped == FRAMES


def test_an_address_that_does_not_answer_is_one_sentence(address):
    with pytest.raises(DataError, match=r"none\.mp4 cannot be opened .*check the address"):
        LiveSource(f"{address}/none.mp4")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match=r"rtsp://.* cannot be opened \(Connection refused\)"):
        LiveSource(f"rtsp://127.0.0.1:{port}/stream")


def test_a_stream_that_stops_is_one_sentence(video):
    """A server that sends half of the file and then nothing."""
    content = video.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + content[: len(content) * 3 // 4])
            time.sleep(2)
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v.mkv"
        with (
            pytest.raises(DataError, match=rf"{address} gives no more frames \(nothing came for 0\.5 s\)"),
            LiveSource(address, wait=0.5) as source,
        ):
            assert len(list(source)) == 1


def test_what_is_nothing_of_the_kind_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="is no file, no address such as rtsp"):
        LiveSource(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("text")
    with pytest.raises(DataError, match=r"text\.mp4 cannot be opened .*complete"):
        LiveSource(tmp_path / "text.mp4")


@pytest.mark.skipif(
    sys.platform != "linux" or Path("/dev/video63").exists(), reason="needs a Linux without that camera"
)
def test_a_camera_that_is_not_there_is_one_sentence():
    with pytest.raises(DataError, match=r"Camera 63 \(/dev/video63\) cannot be opened \(No such file.*connect it"):
        LiveSource(63)


def test_where_cameras_are_on_each_system(monkeypatch):
    assert place_of("rtsp://a/b").options == {"rtsp_transport": "tcp"}
    for system, url, kind in (("linux", "/dev/video1", "v4l2"), ("darwin", "1:none", "avfoundation")):
        monkeypatch.setattr("sys.platform", system)
        assert (place_of(1).url, place_of("1").format) == (url, kind)
    monkeypatch.setattr("sys.platform", "win32")
    assert (place_of("video=Cam").url, place_of("video=Cam").format) == ("video=Cam", "dshow")
    monkeypatch.setattr("sys.platform", "sunos5")
    with pytest.raises(DataError, match="Cameras cannot be read on sunos5"):
        place_of(0)
