"""What is predicted is kept, whatever moment a process dies at."""

import errno
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lp_core import DataError
from lp_infer import PredictOptions, predict_video
from lp_infer.chunks import HEAD, ChunkLog, chunk_length, missing
from lp_io import VideoWriter, read_predictions

ABOUT = {"network": "n", "batch_size": 4, "size": (10, 20)}
RNG = np.random.default_rng(0)


def values(frames: int) -> np.ndarray:
    array = RNG.normal(size=(frames, 2, 3))
    array[0] = np.nan
    return array


@pytest.fixture
def log(tmp_path: Path) -> ChunkLog:
    return ChunkLog(tmp_path / "v.csv", ABOUT, 2)


def again(log: ChunkLog) -> ChunkLog:
    return ChunkLog(log.out, ABOUT, 2)


def test_what_was_appended_is_read_by_the_next_process(log):
    parts = {8: values(8), 0: values(8), 16: values(3)}
    for start, part in parts.items():
        log.append(start, part)
    found = dict(again(log).read())
    assert list(found) == [0, 8, 16] and again(log).done == {0: 8, 8: 8, 16: 3}
    assert all(np.array_equal(found[start], part, equal_nan=True) for start, part in parts.items())


def test_a_record_cut_anywhere_is_left_out_and_those_before_it_stay(log):
    first = values(4)
    log.append(0, first)
    log.append(4, values(4))
    (path,) = log.folder.glob("*.log")
    whole = path.read_bytes()
    for length in range(len(whole) // 2, len(whole)):
        path.write_bytes(whole[:length])
        assert again(log).done == {0: 4}, length
    path.write_bytes(whole)
    assert again(log).done == {0: 4, 4: 4}


@pytest.mark.parametrize("place", [0, 5, 13, 17, HEAD.size - 1, HEAD.size, 60])
def test_a_flipped_bit_is_noticed(log, place):
    log.append(0, values(4))
    log.append(4, values(4))
    (path,) = log.folder.glob("*.log")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2 + place] ^= 1
    path.write_bytes(damaged)
    assert again(log).done == {0: 4}


def test_two_processes_at_once_do_not_disturb_each_other(log):
    other = again(log)
    log.append(0, first := values(4))
    other.append(0, first)
    other.append(4, values(4))
    log.refresh()
    assert log.done == {0: 4, 4: 4} and len(list(log.folder.glob("*.log"))) == 2


def test_parts_of_something_else_are_not_mixed_in(log):
    log.append(0, values(4))
    other = ChunkLog(log.out, ABOUT | {"network": "m"}, 2)
    assert other.replaced and other.done == {} and not again(other).done


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room there"),
        (errno.EROFS, "make sure that its disk is there and can be written to"),
    ],
)
def test_a_full_disk_is_one_sentence_and_keeps_what_was_done(number, remedy, log, monkeypatch):
    log.append(0, values(4))
    opened = Path.open

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def tell(self):
            return self.file.tell()

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            raise OSError(number, "why")

    monkeypatch.setattr(Path, "open", lambda self, *a, **k: Full(opened(self, *a, **k)))
    with pytest.raises(DataError, match=rf"\(why\); {remedy} and .* the 4 frames predicted so far are kept"):
        log.append(4, values(4))
    monkeypatch.undo()
    assert again(log).done == {0: 4}


@pytest.mark.parametrize(("done", "spans"), [
    ({}, [range(0, 10)]),
    ({0: 4}, [range(4, 10)]),
    ({4: 4}, [range(0, 4), range(8, 10)]),
    ({0: 4, 4: 4, 8: 2}, []),
    ({0: 4, 4: 4, 8: 1}, [range(8, 10)]),
])  # fmt: skip
def test_what_is_missing(done, spans):
    assert missing(10, 4, done) == spans


def test_records_are_whole_batches():
    assert [chunk_length(size) for size in (1, 16, 100, 256, 300)] == [256, 256, 300, 256, 300]


def test_only_what_is_missing_is_predicted_again(model, video, tmp_path, monkeypatch):
    monkeypatch.setattr("lp_infer.chunks.CHUNK", 8)
    options = PredictOptions(batch_size=8, device="cpu")
    whole = predict_video(model, video, tmp_path / "whole.csv", options).out.read_bytes()
    removed = ChunkLog.remove
    monkeypatch.setattr(ChunkLog, "remove", lambda self: None)
    predict_video(model, video, tmp_path / "v.csv", options)
    monkeypatch.setattr(ChunkLog, "remove", removed)
    (path,) = (tmp_path / "v.csv.parts").glob("*.log")
    path.write_bytes(path.read_bytes()[:-100])  # the last record torn
    report = predict_video(model, video, tmp_path / "v.csv", options)
    assert report.kept == 32 and report.frames == 37
    assert (tmp_path / "v.csv").read_bytes() == whole and not (tmp_path / "v.csv.parts").exists()


@pytest.mark.parametrize("change", ["network", "batch_size", "video"])
def test_other_work_begins_anew(model, video, truth, tmp_path, monkeypatch, paint, change):
    def full(*_):
        raise OSError(errno.EIO, "gone")

    with monkeypatch.context() as patch:
        patch.setattr("lp_infer.video.write_table", full)
        with pytest.raises(OSError, match="gone"):
            predict_video(model, video, tmp_path / "v.csv", PredictOptions(batch_size=8))
    if change == "network":
        model.norm.running_mean += 1
    if change == "video":
        video = tmp_path / "other.mp4"
        with VideoWriter(video, 25.0, (120, 200)) as writer:
            for positions in truth[::-1]:
                writer.write(paint(positions))
    report = predict_video(
        model, video, tmp_path / "v.csv", PredictOptions(batch_size=4 if change == "batch_size" else 8)
    )
    assert report.kept == 0 and "began anew" in report.problems[0]


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory, paint) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    with VideoWriter(path, 25.0, (48, 64)) as writer:
        for t in range(1200):
            writer.write(paint([(10 + t % 40, 20), (50 - t % 30, 30)], (48, 64)))
    return path


@pytest.mark.parametrize(("runtime", "module"), [("torch", "torch"), ("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_killed_at_twenty_moments_the_table_is_the_same_to_the_byte(runtime, module, long_video, tmp_path):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install 'lp-infer[{runtime}]'")
    script = Path(__file__).with_name("kill_script.py")
    names = [long_video, tmp_path / "killed.csv", tmp_path / "whole.csv"]
    done = subprocess.run([sys.executable, script, runtime, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20
    assert names[1].read_bytes() == names[2].read_bytes()
    assert read_predictions(names[1]).index == tuple(range(1200))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed.csv", "whole.csv"]
