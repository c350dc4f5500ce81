"""Pictures and numbers of videos, also of long ones."""

import resource
import statistics
import sys
import time
from fractions import Fraction
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
from lp_core import DataError
from lp_io import write_metric, write_predictions
from lp_viz.review.frames import Cache, VideoFrames
from lp_viz.review.model import Model, Predictions
from lp_viz.review.series import envelope, mean, peaks, worst
from lp_viz.review.tables import poses_of, read_numbers


def decode(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_frame_n_is_frame_n_in_any_order(world, scene):
    frames = VideoFrames(world.video, Cache(10**7))
    for number in (0, 59, 30, 29, 28, 31, 5, 58, 0):
        assert scene.number_in(decode(frames.jpeg(number))) == number
    for outside in (-1, scene.count):
        with pytest.raises(DataError, match="frames 0 to 59"):
            frames.jpeg(outside)
    frames.close()


def test_frames_round_the_cursor_are_decoded_ahead(world):
    cache = Cache(10**7)
    frames = VideoFrames(world.video, cache)

    def arrive(numbers):
        end = time.monotonic() + 10
        while not all((str(world.video), n) in cache for n in numbers) and time.monotonic() < end:
            time.sleep(0.01)
        return all((str(world.video), n) in cache for n in numbers)

    frames.jpeg(10)
    assert arrive(range(11, 35)) and (str(world.video), 9) not in cache
    frames.jpeg(9)  # backwards
    assert arrive(range(9))
    frames.close()


def test_the_cache_forgets_the_oldest():
    cache = Cache(100)
    for number in range(4):
        cache.put(("v", number), bytes(30))
        cache.get(("v", 0))
    assert cache.used == 90 and ("v", 0) in cache and ("v", 1) not in cache
    cache.put(("v", 0), bytes(10))
    assert cache.used == 70


CYCLE, LENGTH = 256, 216_000  # two hours at 30 frames/s


@pytest.fixture(scope="module")
def long_video(tmp_path_factory, scene):
    """The packets of a short video again and again, with times that go on: frame n shows n modulo 256."""
    folder = tmp_path_factory.mktemp("long")
    with av.open(str(folder / "cycle.mp4"), "w") as out:
        stream = out.add_stream(
            "libx264", Fraction(30), options={"crf": "20", "g": str(CYCLE), "bf": "0", "sc_threshold": "0"}
        )
        stream.width, stream.height, stream.pix_fmt = scene.size[1], scene.size[0], "yuv420p"
        for n in range(CYCLE):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(scene.numbered(n)), format="rgb24")))
        out.mux(stream.encode(None))
    path = folder / "long.mkv"
    with av.open(str(folder / "cycle.mp4")) as source, av.open(str(path), "w") as out:
        packets = [p for p in source.demux(video=0) if p.size]
        stream = out.add_stream_from_template(source.streams.video[0])
        step = packets[1].pts - packets[0].pts
        data, keys, base = [bytes(p) for p in packets], [p.is_keyframe for p in packets], packets[0].time_base
        for n in range(LENGTH):
            packet = av.Packet(data[n % CYCLE])
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, base, n * step, n * step
            packet.is_keyframe = keys[n % CYCLE]
            out.mux(packet)
    return path


def memory() -> float:
    """The most this process has had in memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1000 if sys.platform == "linux" else 1_000_000)


def test_two_hours_scrub_in_bounded_time_and_memory(long_video, scene):
    cache = Cache(2_000_000)
    frames = VideoFrames(long_video, cache)
    assert frames.count == LENGTH
    frames.jpeg(0)
    before, times = memory(), []
    for number in np.random.default_rng(0).integers(0, LENGTH, 60).tolist():
        start = time.perf_counter()
        data = frames.jpeg(number)
        times.append(time.perf_counter() - start)
        assert scene.number_in(decode(data)) == number % CYCLE
    frames.close()
    assert cache.used <= 2_000_000
    assert memory() - before < 60
    assert statistics.median(times) < 0.5  # at most a keyframe interval of 256 small frames


def test_long_tables_stay_small(tmp_path):
    rows, count = 20_000, 20  # eleven minutes: a test must be short
    values = np.random.default_rng(0).random((rows, count))
    write_metric(tmp_path / "m.csv", [f"k{i}" for i in range(count)], values, range(rows))
    before = memory()
    table = read_numbers(tmp_path / "m.csv")
    assert np.array_equal(table.values, values.astype(np.float32)) and table.values.dtype == np.float32
    assert memory() - before < 25  # 1.6 MB of numbers; as Python's they were 13


def test_the_envelope_keeps_every_extreme():
    rng = np.random.default_rng(1)
    series = rng.random(1000).astype(np.float32)
    series[rng.integers(0, 1000, 50)] = np.nan
    low, high = envelope(series, 100, 900, 64)
    edges = [*np.linspace(0, 800, 64, endpoint=False).astype(int).tolist(), 800]
    for i, (a, b) in enumerate(pairwise(edges)):
        assert low[i] == np.nanmin(series[100 + a : 100 + b]) and high[i] == np.nanmax(series[100 + a : 100 + b])
    same = envelope(series, 0, 10, 64)
    assert np.array_equal(same[0], series[:10], equal_nan=True) and np.array_equal(same[0], same[1], equal_nan=True)
    assert len(envelope(series, 5, 5, 64)[0]) == 0


def test_peaks_are_the_tops_of_what_stands_out():
    series = np.zeros(1000)
    series[[100, 101, 102]] = 3, 9, 4
    series[500], series[700] = 5, np.nan
    assert peaks(series, low=False).tolist() == [101, 500]
    assert peaks(1 - series, low=True).tolist() == [101, 500]
    assert len(peaks(np.full(50, np.nan), low=False)) == len(peaks(np.ones(50), low=False)) == 0


def test_the_worst_and_the_mean_keypoint():
    values = np.array([[1, np.nan, 3], [np.nan] * 3])
    assert np.array_equal(worst(values), [3, np.nan], equal_nan=True)
    assert np.array_equal(mean(values), [2, np.nan], equal_nan=True)


def test_models_tables_and_metrics(world, scene):
    folder = world.run / "video_preds"
    write_predictions(folder / "mouse_night.csv", scene.predictions())
    write_metric(folder / "mouse_night_temporal_norm.csv", scene.names, np.zeros((scene.count, 3)), range(scene.count))
    model = Model.at(world.run)
    assert model.videos() == ["mouse", "mouse_night"]
    found = Predictions.read(model.table("mouse"), model.videos(), scene.count, ("paw", "ear", "nose"))
    assert found.names == ["confidence", "temporal_norm"]
    assert found.table.keypoints[4].tolist()[0] == [9, 40] and np.isnan(found.table.keypoints[:, 1]).all()
    assert np.isclose(found.series("temporal_norm", 2)[5], 1) and np.isnan(found.series("temporal_norm", 1)).all()
    with pytest.raises(DataError, match="has 60 rows but the video has 59"):
        Predictions.read(model.table("mouse"), [], scene.count - 1, None)


def test_an_ensembles_spread(tmp_path):
    coords = ("x", "y", "likelihood", "x_ens_var", "y_ens_var")
    heads = [["scorer", *["e"] * 5], ["bodyparts", *["nose"] * 5], ["coords", *coords]]
    path = tmp_path / "mouse.csv"
    path.write_text(
        "\n".join(",".join(r) for r in [*heads, ["0", "1", "2", ".5", "18", "32"], ["1", "1", "2", ".5", "", ""]])
    )
    found = Predictions.read(path, ["mouse"], 2, None)
    assert found.names == ["confidence", "ensemble_spread"]
    assert np.allclose(found.series("ensemble_spread", None), [5, np.nan], equal_nan=True)
    assert poses_of(path, read_numbers(path)).keypoints[0].tolist() == [[1, 2]]


def test_tables_with_gaps_names_in_quotes_and_mistakes(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b',a,b,c,set\r\n"x,1.png",,,3,train\r\ny.png,1,,,test\r\n')
    table = read_numbers(path)
    assert table.index == ["x,1.png", "y.png"] and table.split == ("train", "test")
    assert np.array_equal(table.values, [[np.nan, np.nan, 3], [1, np.nan, np.nan]], equal_nan=True)
    for text, message in (
        (",a,b\n0,1,x\n", "not a number"),
        (",a,b\n0,1\n", "cells"),
        (",a,b\n0,1,2,3\n", "cells"),
        ("", "not a table"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_numbers(path)
    path.write_text(",a,b\n")
    assert read_numbers(path).values.shape == (0, 2)
