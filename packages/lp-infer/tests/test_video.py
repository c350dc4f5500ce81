"""Predicted coordinates against the painted ones, in pixels of the video, and what happens when things break."""

import threading
import weakref
from pathlib import Path

import lp_infer.video
import numpy as np
import pytest
import torch
from lp_core import ConfigError, DataError
from lp_infer import PredictOptions, Runner, predict_video
from lp_io import VideoReader, read_predictions


class FakeReader(VideoReader):
    """Frames out of nothing, some of them broken; counts the batches alive."""

    length, bad, fails_at = 400, frozenset[int](), -1
    frame_count, broken, problems = 0, frozenset[int](), ()
    peak = 0

    def __init__(self, path: Path, size: tuple[int, int], threads: int = 0) -> None:
        self.path, self.size, self.original_size = path, size, (120, 200)
        self.frame_count = self.length
        type(self).peak, self._refs = 0, []

    def __enter__(self) -> "FakeReader":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def clip(self, start: int, length: int):
        if start <= self.fails_at < start + length:
            raise RuntimeError("the disk fell out")
        self.broken = frozenset(i for i in self.bad if i < start + length)
        batch = np.full((length, *self.size, 3), start % 256, np.uint8)
        self._refs = [ref for ref in self._refs if ref() is not None] + [weakref.ref(batch)]
        type(self).peak = max(self.peak, len(self._refs))
        return batch


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeReader]:
    kind = type("Fake", (FakeReader,), {})
    monkeypatch.setattr(lp_infer.video, "VideoReader", kind)
    monkeypatch.setattr(lp_infer.video, "_edges", str)
    return kind


@pytest.fixture(autouse=True)
def no_thread_left():
    yield
    assert not [t for t in threading.enumerate() if t.name == "lp-ahead"]


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir()]


def test_keypoints_are_where_they_were_painted(model, video, truth, tmp_path):
    report = predict_video(model, video, tmp_path / "out" / "blobs.csv")
    table = read_predictions(report.out)
    assert report.frames == len(truth) == VideoReader(video).frame_count
    assert table.keypoint_names == ("bright", "dark") and table.scorer == "heatmap_tracker"
    assert table.index == tuple(range(len(truth)))
    # the model sees 96×96: a pixel of it is 2.1 × 1.25 of the video's, and frames move by 3.5
    assert np.abs(table.keypoints - truth).max() < 0.4
    assert np.abs((table.keypoints - truth).mean((0, 1))).max() < 0.1  # no half-pixel shift
    assert np.all((table.confidence > 0) & (table.confidence <= 1))


@pytest.mark.parametrize("batch_size", [1, 5, 37, 64])
def test_batch_size_changes_nothing(model, video, tmp_path, batch_size):
    reference = read_predictions(predict_video(model, video, tmp_path / "16.csv").out)
    options = PredictOptions(batch_size=batch_size, queue=1, threads=1)
    other = read_predictions(predict_video(model, video, tmp_path / "other.csv", options).out)
    np.testing.assert_allclose(other.keypoints, reference.keypoints, atol=1e-4)
    np.testing.assert_allclose(other.confidence, reference.confidence, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_stays_near(model, video, truth, tmp_path, precision):
    report = predict_video(model, video, tmp_path / "low.csv", PredictOptions(precision=precision))
    assert report.precision == precision
    assert np.abs(read_predictions(report.out).keypoints - truth).max() < 1.5


def test_broken_frames_are_empty_rows_and_shift_nothing(model, fake, tmp_path):
    fake.length, fake.bad = 50, frozenset({0, 17, 18, 49})
    report = predict_video(model, "any.mp4", tmp_path / "out.csv", PredictOptions(batch_size=8))
    table = read_predictions(report.out)
    assert report.broken == (0, 17, 18, 49) and len(table.keypoints) == 50
    empty = np.isnan(table.keypoints).all((1, 2)) & np.isnan(table.confidence).all(1)
    assert np.flatnonzero(empty).tolist() == [0, 17, 18, 49]
    assert np.isfinite(table.keypoints[~empty]).all()
    assert report.problems == ("any.mp4: 4 frames (the first is 0) cannot be decoded.",)


def test_frames_that_broke_before_an_interruption_are_told_of_after_it(model, fake, tmp_path):
    fake.bad, fake.fails_at = frozenset({3}), 300
    with pytest.raises(RuntimeError, match="disk fell out"):
        predict_video(model, "any.mp4", tmp_path / "out.csv", PredictOptions(batch_size=8))
    fake.fails_at = -1
    report = predict_video(model, "any.mp4", tmp_path / "out.csv", PredictOptions(batch_size=8))
    assert report.kept > 3 and report.broken == (3,) and report.problems == ("any.mp4: frame 3 cannot be decoded.",)


@pytest.mark.parametrize("queue", [1, 3])
def test_memory_is_bounded_whatever_the_length(model, fake, tmp_path, queue):
    peaks = []
    for length in (200, 2000):
        fake.length = length
        predict_video(model, "any.mp4", tmp_path / "out.csv", PredictOptions(batch_size=10, queue=queue))
        peaks.append(fake.peak)
    assert max(peaks) <= queue + 3  # waiting, being made, being run, and the one just run
    assert max(peaks) > 1  # decoding did run ahead


def test_decoding_overlaps_the_network(fake, model, tmp_path):
    """While the network works on batch 0, the decoder must get to batch 1: each waits for the other here."""
    further = threading.Event()
    wait = []

    class Meets(type(model)):
        def forward(self, images):
            if len(images) == 10:
                wait.append(further.wait(10))
            return super().forward(images)

    class Reader(fake):
        def clip(self, start, length):
            if start:
                further.set()
            return super().clip(start, length)

    Reader.length = 20
    lp_infer.video.VideoReader = Reader  # undone by `fake`
    predict_video(Meets().eval(), "any.mp4", tmp_path / "out.csv", PredictOptions(batch_size=10))
    assert wait and all(wait)


def test_decoder_error_comes_out_as_itself(model, fake, tmp_path):
    fake.fails_at = 100
    with pytest.raises(RuntimeError, match="the disk fell out"):
        predict_video(model, "any.mp4", tmp_path / "out.csv", PredictOptions(batch_size=8))
    assert leftovers(tmp_path) == ["out.csv.parts"]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_writer_error_comes_out_as_itself_and_loses_nothing(model, fake, tmp_path, monkeypatch, error):
    def broken(self, start, keypoints, confidence):
        if start >= 256:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(lp_infer.video.PredictionWriter, "write", broken)
        with pytest.raises(type(error)) as caught:
            predict_video(model, "any.mp4", tmp_path / "out.csv", PredictOptions(batch_size=8))
    assert caught.value is error and leftovers(tmp_path) == ["out.csv.parts"]
    report = predict_video(model, "any.mp4", tmp_path / "out.csv", PredictOptions(batch_size=8))
    assert report.kept == report.frames == 400 and leftovers(tmp_path) == ["out.csv"]


def test_network_error_comes_out_as_itself_and_keeps_the_old_file(model, fake, tmp_path):
    class Fails(type(model)):
        def forward(self, images):
            if len(images) > 1:
                raise torch.cuda.OutOfMemoryError("too big")
            return super().forward(images)

    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(torch.cuda.OutOfMemoryError):
        predict_video(Fails().eval(), "any.mp4", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "old"


def test_existing_file_is_kept_if_asked(model, video, tmp_path):
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(DataError, match=r"out\.csv exists already"):
        predict_video(model, video, tmp_path / "out.csv", PredictOptions(overwrite=False))


def test_missing_video_is_one_sentence(model, tmp_path):
    with pytest.raises(DataError, match=r"nothing\.mp4"):
        predict_video(model, tmp_path / "nothing.mp4", tmp_path / "out.csv")
    assert leftovers(tmp_path) == []


def test_a_video_that_is_still_written_to_has_no_table(model, video, tmp_path, monkeypatch):
    growing, out = tmp_path / "v.mp4", tmp_path / "out.csv"
    growing.write_bytes(video.read_bytes())

    def predict_and_record(*words):
        predicted(*words)
        with growing.open("ab") as file:
            file.write(b"\0\0\0\x08free")

    predicted = lp_infer.video.predict_spans
    monkeypatch.setattr(lp_infer.video, "predict_spans", predict_and_record)
    with pytest.raises(DataError, match=r"v\.mp4 was written to while it was read; if it is still being recorded"):
        predict_video(model, growing, out)
    assert not out.exists()
    monkeypatch.undo()
    report = predict_video(model, growing, out)  # complete now: nothing of the shorter file is mixed in
    assert report.kept == 0 and out.exists() and "began anew" in report.problems[0]


def test_a_video_that_goes_after_its_last_frame_has_its_table(model, video, tmp_path, monkeypatch):
    going, out = tmp_path / "v.mp4", tmp_path / "out.csv"
    going.write_bytes(video.read_bytes())
    predicted = lp_infer.video.predict_spans
    monkeypatch.setattr(lp_infer.video, "predict_spans", lambda *words: (predicted(*words), going.unlink()))
    assert predict_video(model, going, out).frames == len(read_predictions(out).index)


def test_a_runner_serves_many_videos_and_the_model_is_untouched(model, video, tmp_path):
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    runner = Runner.of(model, PredictOptions(batch_size=4))
    first, second = (predict_video(runner, video, tmp_path / name).out.read_text() for name in ("a.csv", "b.csv"))
    assert first == second and model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


@pytest.mark.parametrize("bad", [{"precision": "int4"}, {"batch_size": 0}, {"threads": -1}, {"queue": 0}])
def test_wrong_options_name_their_key(bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        PredictOptions(**bad)
