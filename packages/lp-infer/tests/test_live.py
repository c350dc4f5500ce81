"""Live prediction: the same poses as from the video, the newest frame when the network is slow, and what may go wrong."""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_core import ConfigError, DataError, LpError, Resize
from lp_infer import PredictOptions, Runner, predict_video
from lp_infer.filters import ConstantVelocity
from lp_infer.frame_by_frame import FrameByFrame, Holding
from lp_infer.latency import Durations
from lp_infer.live import LivePredictor
from lp_infer.live_pose import LivePose
from lp_infer.live_table import LiveTable
from lp_infer.newest import arrivals
from lp_infer.processors import Guarded, Processor, load_processor
from lp_infer.torch_runtime import TorchRuntime
from lp_io import VideoReader, read_predictions
from lp_io.resize import FrameResizer
from PIL import Image
from torch import nn

CPU = PredictOptions(device="cpu", threads=1)


class Neighbours(nn.Module):
    """Keypoints that depend on every frame of the window and on its place there."""

    keypoint_names = ("a", "b")
    image_size = (24, 32)
    model_type = "heatmap_mhcrnn"

    def __init__(self, context: int) -> None:
        super().__init__()
        self.context, self.seen = context, 0
        generator = torch.Generator().manual_seed(1)
        self.weight = nn.Parameter(torch.randn(4, 3 * 24 * 32, generator=generator) / 255)

    def get_representations(self, images):
        self.seen += len(images)
        return (images.float().flatten(1) @ self.weight.T)[..., None, None]

    def decode(self, features, windows=None):
        if windows is None:
            offsets = torch.arange(-self.context, self.context + 1)
            windows = (torch.arange(len(features))[:, None] + offsets).clamp(0, len(features) - 1)
        weights = torch.arange(1.0, windows.shape[1] + 1)[:, None]
        points = (features[windows][..., 0, 0] * weights).sum(1).reshape(-1, 2, 2)
        return points, torch.full(points.shape[:2], 0.9)

    def forward(self, images):
        return self.decode(self.get_representations(images))


class FakeRuntime:
    """Says of each frame the value of its first pixel; each call takes as long as it is told to."""

    name, device, precision, fingerprint = "fake", "cpu", "float32", "fake"
    keypoint_names, model_type, image_size, context, batch_size = ("p",), "heatmap", (4, 4), 0, 1

    def __init__(self, seconds=0.0, first=0.0):
        self.seconds, self.first = seconds, first

    def start(self, frames, state=None):
        time.sleep(self.seconds + self.first)
        self.first = 0.0
        points = np.repeat(frames[:, 0, 0, :1].astype(float), 2, axis=1)[:, None]
        return lambda: (points, np.ones((len(frames), 1))), None


def painted_frame(number):
    return np.full((4, 4, 3), number, np.uint8)


def frames_of(video, size=None):
    with VideoReader(video, size) as reader:
        return list(zip(reader.times.tolist(), reader.clip(0, reader.frame_count), strict=True))


def stacked(poses):
    return np.stack([pose.keypoints for pose in poses]), np.stack([pose.confidence for pose in poses])


def test_pushing_every_frame_gives_the_poses_of_the_video(model, video, tmp_path):
    predict_video(model, video, tmp_path / "v.csv", CPU)
    expected = read_predictions(tmp_path / "v.csv")
    with VideoReader(video) as reader:
        size = reader.original_size
    live = LivePredictor(model, CPU)
    poses = [live.push(frame, t, original_size=size) for t, frame in frames_of(video, model.image_size)]
    keypoints, confidence = stacked(poses)
    np.testing.assert_allclose(keypoints, expected.keypoints, atol=1e-3)
    np.testing.assert_allclose(confidence, expected.confidence, atol=1e-5)
    assert [pose.number for pose in poses] == list(range(len(poses)))
    assert not any(pose.filtered for pose in poses) and all(0 < pose.latency < 5 for pose in poses)


def test_frames_at_full_size_give_nearly_the_same(model, video, truth, tmp_path):
    """They are rounded twice, and their colours came at half resolution."""
    predict_video(model, video, tmp_path / "v.csv", CPU)
    poses = list(LivePredictor(model, CPU).run(frames_of(video), every=True))
    keypoints, _ = stacked(poses)
    np.testing.assert_allclose(keypoints, read_predictions(tmp_path / "v.csv").keypoints, atol=0.1)
    assert np.abs(keypoints - truth).max() < 2


def test_frames_of_any_size_come_back_in_their_own_pixels(model, paint, truth):
    live = LivePredictor(model, CPU)
    for size in ((120, 200), (240, 400), (96, 96), (77, 131)):
        target = Resize((120, 200), size).forward(truth[5])
        image = Image.fromarray(paint(truth[5])).resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pose = live.push(np.array(image), 0.0)
        assert np.abs(pose.keypoints - target).max() < 2 * size[1] / 96
        assert pose["bright"] == (*pose.keypoints[0], pose.confidence[0])
    with pytest.raises(KeyError, match="no keypoint 'nose'; there are bright, dark"):
        pose["nose"]


@pytest.mark.parametrize("size", [(24, 32), (96, 96), (150, 80), (41, 37)])
def test_a_frame_is_resized_by_the_triangle_filter_that_pillow_has_too(size):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)
    frame = np.array(Image.fromarray(coarse).resize((200, 120), Image.Resampling.BICUBIC))
    expected = np.array(Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.BILINEAR)).astype(int)
    error = FrameResizer(size)(frame) - expected
    assert np.abs(error).max() <= 3 and abs(error.mean()) < 0.1
    mirrored = FrameResizer(size)(frame[:, ::-1])[:, ::-1]
    assert np.abs(mirrored - expected).max() <= 3  # a view with negative strides


def test_a_frame_of_the_right_size_is_not_touched():
    frame = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    assert FrameResizer((24, 32))(frame) is frame


@pytest.mark.parametrize("context", [1, 2, 3])
def test_a_delayed_context_network_gives_the_poses_of_the_video(context, video, tmp_path):
    model = Neighbours(context).eval()
    predict_video(model, video, tmp_path / "v.csv", CPU)
    expected = read_predictions(tmp_path / "v.csv").keypoints
    with VideoReader(video) as reader:
        size = reader.original_size
    live = LivePredictor(model, CPU, causal=False)
    frames = frames_of(video, model.image_size)
    poses, seen = [], model_of(live).seen
    for number, (t, frame) in enumerate(frames):
        pose = live.push(frame, t, original_size=size)
        assert (pose is None) == (number < context)
        assert pose is None or (pose.number, pose.timestamp) == (number - context, frames[number - context][0])
        poses += [pose] if pose else []
    assert model_of(live).seen - seen == len(frames) + 2 * context  # once each, and the first again before the first
    poses += live.finish()
    assert [pose.timestamp for pose in poses] == [t for t, _ in frames]
    np.testing.assert_allclose(stacked(poses)[0], expected, rtol=1e-5, atol=1e-2)


class PlainRuntime(TorchRuntime):
    """Without the optional method that a runtime may have."""

    hold = None


class ZeroRuntime(PlainRuntime):
    """Before the first frame there is nothing, as in an exported file."""

    def start(self, frames, state=None):
        return super().start(frames, torch.zeros(2 * self.context, 4, 1, 1) if state is None else state)


def model_of(live):
    return live.runner.runtime._network


@pytest.mark.parametrize("context", [1, 2, 3])
@pytest.mark.parametrize("kind", [TorchRuntime, PlainRuntime, ZeroRuntime])
def test_a_causal_context_network_sees_the_newest_frame_in_place_of_those_to_come(kind, context):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (9, 24, 32, 3), dtype=np.uint8)
    plain = Neighbours(context).eval()
    live = LivePredictor(Runner.of(kind(plain, torch_config()), CPU), causal=True)
    before = model_of(live).seen
    assert live.delay == 0 and isinstance(live.runner.runtime, Holding) == (kind is TorchRuntime)
    for t, frame in enumerate(frames):
        pose = live.push(frame, float(t))
        window = np.array([frames[max(0, min(t, i))] for i in range(t - context, t + context + 1)])
        with torch.no_grad():
            points, _ = plain(torch.from_numpy(window).permute(0, 3, 1, 2))
        np.testing.assert_allclose(pose.keypoints, points[context].numpy(), rtol=1e-5, atol=1e-2)
        assert pose.timestamp == t
    per_frame = 1 if kind is TorchRuntime else 1 + context
    assert model_of(live).seen - before == len(frames) * per_frame + 2 * context


def torch_config():
    from lp_infer.runtimes import TorchConfig

    return TorchConfig(batch_size=1, device="cpu", threads=1)


@pytest.mark.parametrize("context", [2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_sequences_shorter_than_a_window_have_a_pose_per_frame(count, context):
    frames = np.random.default_rng(0).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8)
    model = Neighbours(context).eval()
    live = LivePredictor(model, CPU, causal=False)
    for _ in range(2):  # the second sequence knows nothing of the first
        poses = list(live.run(enumerate(frames), every=True))
        assert [pose.number for pose in poses] == list(range(count))
        with torch.no_grad():
            expected = model(torch.from_numpy(frames).permute(0, 3, 1, 2))[0].numpy() if count else []
        for pose, points in zip(poses, expected, strict=True):
            np.testing.assert_allclose(pose.keypoints, points, rtol=1e-5, atol=1e-2)


class Camera:
    """A source at a fixed rate, frame n in the colour n; says when each one came."""

    def __init__(self, count, interval):
        self.count, self.interval = count, interval
        self.times = {}

    def __iter__(self):
        for number in range(self.count):
            time.sleep(self.interval)
            self.times[number] = time.perf_counter()
            yield float(number), painted_frame(number)


def test_a_slow_network_gets_the_newest_frame_always():
    camera = Camera(150, 0.005)
    live = LivePredictor(Runner.of(FakeRuntime(seconds=0.05), CPU))
    poses = []
    for pose in live.run(camera):
        poses.append(pose)
        seen_late = [n for n, came in camera.times.items() if n > pose.number and came < time.perf_counter() - 0.15]
        assert not seen_late  # nothing newer had been there for long
    report = live.report()
    assert all(pose.number == pose.timestamp == pose["p"][0] for pose in poses)
    assert [p.number for p in poses] == sorted({p.number for p in poses})
    assert len(poses) < 30 and poses[-1].number == 149  # the last frame is never dropped
    assert report.dropped == 150 - len(poses) and report.frames == len(poses)
    assert 0.05 <= report.latency.p50 < 0.15  # the network and less than one frame, however long the queue could be
    assert 0.05 <= report.interval.p50 < 0.15


def test_a_fast_network_gets_all_and_every_drops_nothing():
    live = LivePredictor(Runner.of(FakeRuntime(), CPU))
    assert len(list(live.run(Camera(20, 0.02)))) == 20 and live.report().dropped == 0
    slow = LivePredictor(Runner.of(FakeRuntime(seconds=0.01), CPU))
    assert [p.number for p in slow.run(Camera(30, 0.0), every=True)] == list(range(30))


def test_frames_that_the_source_dropped_are_counted():
    class Lossy:
        dropped, original_size = 5, (8, 8)

        def __iter__(self):
            for number in range(6):
                self.dropped += number % 2
                yield float(number), painted_frame(number)

    live = LivePredictor(Runner.of(FakeRuntime(), CPU))
    poses = list(live.run(Lossy(), every=True))
    assert [p.number for p in poses] == [0, 2, 3, 5, 6, 8] and live.report().dropped == 3
    assert poses[2]["p"][0] == 2.5 + 2  # the input's pixel 2 is 4.5 in a frame of twice the size


def test_a_silent_camera_does_not_hold_up_the_end():
    gate = threading.Event()

    def silent():
        yield 0.0, painted_frame(0)
        gate.wait(30)

    began = time.perf_counter()
    live = LivePredictor(Runner.of(FakeRuntime(), CPU))
    assert len(list(live.run(silent(), seconds=0.3))) == 1
    assert time.perf_counter() - began < 10
    gate.set()


def test_an_error_of_the_source_comes_after_the_poses_before_it():
    def failing():
        for number in range(3):
            yield float(number), painted_frame(number)
            time.sleep(0.05)
        raise DataError("The camera is gone.")

    live = LivePredictor(Runner.of(FakeRuntime(), CPU))
    got = []
    with pytest.raises(DataError, match="The camera is gone"):
        got.extend(pose.number for pose in live.run(failing()))
    got.clear()
    with pytest.raises(DataError, match="The camera is gone"):
        for pose in live.run(failing(), every=True):
            got.append(pose.number)
    assert got == [0, 1, 2]


def test_leaving_the_loop_ends_the_thread():
    before = threading.active_count()
    with arrivals(Camera(10_000, 0.001), np.inf) as came:
        for arrival in came:
            if arrival.number > 5:
                break
    assert threading.active_count() == before


def test_the_first_frame_is_not_slower():
    live = LivePredictor(Runner.of(FakeRuntime(first=0.5), CPU))
    assert live.push(painted_frame(1), 0.0).latency < 0.25


@pytest.mark.parametrize(
    ("frame", "timestamp", "sentence"),
    [
        (np.zeros((4, 4, 3)), 0.0, "uint8 and shape .height, width, 3., not float64 .4, 4, 3."),
        (np.zeros((4, 4), np.uint8), 0.0, "not uint8 .4, 4."),
        (np.zeros((4, 4, 4), np.uint8), 0.0, "not uint8 .4, 4, 4."),
        (np.zeros((0, 4, 3), np.uint8), 0.0, "not uint8 .0, 4, 3."),
        (np.zeros((4, 4, 3), np.uint8), float("nan"), "timestamp=nan of a frame is no number"),
    ],
)
def test_a_wrong_frame_is_one_sentence(frame, timestamp, sentence):
    with pytest.raises(DataError, match=sentence):
        LivePredictor(Runner.of(FakeRuntime(), CPU)).push(frame, timestamp)


def test_a_filter_works_on_pixels_of_the_frame_and_the_networks_word_is_kept():
    live = LivePredictor(Runner.of(FakeRuntime(), CPU), filter=ConstantVelocity(ahead=1.0, noise=0.1, forget=2.0))
    poses = list(live.run(((float(n), painted_frame(10 * n)) for n in range(8)), every=True))
    assert all(pose.filtered for pose in poses) and [pose.raw[0, 0] for pose in poses] == [10 * n for n in range(8)]
    assert abs(poses[-1].keypoints[0, 0] - 80) < 0.5  # a second ahead
    (pose,) = live.run([(7.5, painted_frame(200))], every=True)
    assert pose["p"][0] == 200  # a new sequence, a new filter


class Spy(Processor):
    """Gathers; marks every pose."""

    def __init__(self):
        self.seen, self.closed = [], 0

    def process(self, pose):
        self.seen.append(pose.number)
        return LivePose(
            **{f: getattr(pose, f) for f in pose.__dataclass_fields__} | {"confidence": pose.confidence * 0}
        )

    def save(self, beside):
        beside.with_suffix(".txt").write_text(str(self.seen))

    def close(self):
        self.closed += 1


def test_a_processor_sees_every_pose_and_may_replace_it(tmp_path):
    spy = Spy()
    with LivePredictor(Runner.of(FakeRuntime(), CPU), processor=spy) as live:
        poses = list(live.run(enumerate(map(painted_frame, range(4))), every=True))
        live.save(tmp_path / "poses.csv")
    assert spy.seen == [0, 1, 2, 3] and spy.closed == 1 and (tmp_path / "poses.txt").read_text() == "[0, 1, 2, 3]"
    assert all(pose.confidence[0] == 0 for pose in poses) and live.report().processor.max >= 0


def test_a_function_is_a_processor_and_may_say_nothing():
    seen = []
    live = LivePredictor(Runner.of(FakeRuntime(), CPU), processor=lambda pose: seen.append(pose["p"]))
    assert live.push(painted_frame(7), 0.0).keypoints[0, 0] == 7 and seen == [(7.0, 7.0, 1.0)]
    live.save("x"), live.close()


def test_a_mistake_in_a_processor_is_told_once_and_the_loop_goes_on(capsys):
    class Divides(Processor):
        def process(self, pose):
            return 1 / 0 if pose.number % 2 else np.zeros(3)

        def save(self, beside):
            raise OSError("no disk")

    live = LivePredictor(Runner.of(FakeRuntime(), CPU), processor=Divides())
    poses = list(live.run(enumerate(map(painted_frame, range(6))), every=True))
    live.save("x"), live.close()
    lines = capsys.readouterr().err.splitlines()
    assert [pose["p"][0] for pose in poses] == list(range(6)) and len(lines) == 3
    assert lines[0].startswith("Processor Divides returned ndarray, neither a LivePose nor None at frame 0")
    assert (
        "failed with ZeroDivisionError: division by zero (test_live.py, line " in lines[1] and "at frame 1" in lines[1]
    )
    assert "no disk" in lines[2] and "while saving" in lines[2]


def test_a_strict_processor_ends_the_loop():
    live = LivePredictor(Runner.of(FakeRuntime(), CPU), processor=lambda pose: 1 / 0, strict=True)
    with pytest.raises(LpError, match="division by zero") as caught:
        live.push(painted_frame(0), 0.0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_processors_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_live_trigger.py").write_text(
        "class A:\n    def process(self, pose): return None\n"
        "def f(pose): return None\n"
        "class Needs:\n    def __init__(self, port): ...\n"
    )
    assert type(load_processor("my_live_trigger:A")).__name__ == "A" and callable(load_processor("my_live_trigger:f"))
    for name, sentence in (
        ("my_live_trigger", "must be MODULE:CLASS"),
        ("my_live_triger:A", "there is no module 'my_live_triger'"),
        ("my_live_trigger:B", "has no attribute 'B'"),
        ("my_live_trigger:Needs", "missing 1 required positional argument: 'port'"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            load_processor(name)
    with pytest.raises(ConfigError, match=r"needs a method process\(pose\), which int has not"):
        Guarded(3)


def test_percentiles_are_right_to_one_percent():
    values = np.random.default_rng(0).lognormal(-4, 1, 5000)
    durations = Durations()
    for value in values:
        durations.add(value)
    for share in (1, 50, 90, 99, 100):
        exact = np.percentile(values, share, method="inverted_cdf")
        assert abs(durations.percentile(share) / exact - 1) < 0.0051
    assert durations.longest == values.max() and durations.count == 5000
    assert np.isnan(Durations().percentile(50))


def test_the_report_is_a_table_and_is_json():
    live = LivePredictor(Runner.of(FakeRuntime(), CPU))
    assert "0 poses in 0.0 s" in str(live.report()) and "–" in str(live.report())
    list(live.run(Camera(5, 0.01)))
    report = live.report()
    text = str(report).splitlines()
    assert 0 < report.seconds < 10 and text[0].startswith(f"5 poses in {report.seconds:.1f} s: ")
    assert text[1].split() == ["milliseconds", "p50", "p99", "max"]
    assert text[2].startswith("frame to pose") and text[-1] == "fake on cpu, float32"
    values = json.loads(json.dumps(LivePredictor(Runner.of(FakeRuntime(), CPU)).report().as_dict(), allow_nan=False))
    assert values["frames"] == 0 and values["latency"]["p50"] is None and values["processor"] is None


def pose(number, filtered=False):
    points = np.array([[number + 0.1, 2.0], [np.nan, np.nan]])
    return LivePose(
        number=number, timestamp=number / 3, names=("a", "b"), keypoints=points, confidence=np.array([0.5, 0.25]),
        raw=points + 1, latency=0.01, filtered=filtered,
    )  # fmt: skip


def test_rows_are_on_disk_as_soon_as_they_are_added(tmp_path):
    with LiveTable(tmp_path / "new" / "poses.csv", ("a", "b"), "heatmap_tracker", raw=True) as table:
        for number in (0, 3, 4):
            table.add(pose(number))
            read = read_predictions(table.path)
            assert read.index[-1] == number
            np.testing.assert_array_equal(read.keypoints[-1], pose(number).keypoints)
            np.testing.assert_array_equal(read_predictions(table.raw).keypoints[-1], pose(number).raw)
            last = table.times.read_text().splitlines()[-1].split(",")
            assert (int(last[0]), float(last[1]), float(last[2])) == (number, number / 3, 0.01)
    assert read.keypoint_names == ("a", "b") and read.scorer == "heatmap_tracker" and len(read.index) == 3
    with pytest.raises(DataError, match=r"poses.csv exists already .* another out=FILE"):
        LiveTable(table.path, ("a", "b"), "s")
    assert sorted(p.name for p in table.path.parent.iterdir()) == ["poses.csv", "poses_raw.csv", "poses_times.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_one_sentence_and_rows_stay(tmp_path):
    with LiveTable(tmp_path / "poses.csv", ("a", "b"), "s") as table:
        table.add(pose(0))
        table._files[0].close()
        table._files[0] = Path("/dev/full").open("ab", buffering=0)  # noqa: SIM115
        with pytest.raises(DataError, match=r"cannot be written \(No space left on device\); make room"):
            table.add(pose(1))
    assert read_predictions(table.path).index == (0,)


def test_half_a_row_is_taken_back(tmp_path):
    class Filling:
        """A disk with room for ten more bytes."""

        def __init__(self, file):
            self.name, self.tell, self.truncate, self.close = file.name, file.tell, file.truncate, file.close
            self.write = lambda row: file.write(row[:10])

    with LiveTable(tmp_path / "poses.csv", ("a", "b"), "s") as table:
        table.add(pose(0))
        table._files[0] = Filling(table._files[0])
        with pytest.raises(DataError, match="The rows before are kept"):
            table.add(pose(1))
    assert read_predictions(table.path).index == (0,)


def test_feeding_a_runtime_by_hand():
    steps = FrameByFrame(FakeRuntime(), causal=False)
    assert steps.delay == 0 and steps.rest() == [] and steps.step(painted_frame(9))[0][0, 0, 0] == 9
