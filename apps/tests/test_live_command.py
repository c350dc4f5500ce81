"""lpose live, from a file: no camera was there when this was written."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from lp_apps import live
from lp_apps import main as command
from lp_core import ConfigError, DataError
from lp_io import VideoReader, VideoWriter, read_predictions
from lp_io.live_source import LiveSource

FRAMES, SIZE = 20, (48, 64)
SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import conftest
from lp_apps import live
live.model_of = lambda *_: conftest.Brightness().eval()
live.run(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "v.mp4"
    with VideoWriter(path, 20.0, SIZE) as writer:
        for number in range(FRAMES):
            writer.write(np.full((*SIZE, 3), 30 + 10 * number, np.uint8))
    return path


@pytest.fixture(autouse=True)
def _network(monkeypatch, tmp_path, brightness):
    monkeypatch.setattr(live, "model_of", lambda *_: brightness)
    monkeypatch.chdir(tmp_path)


def lpose(*words):
    live.run(["run=R", "runtime=torch", "device=cpu", "threads=1", *words])


def expected(video):
    """Keypoints in pixels of the video: of half the size is the network's frame."""
    with VideoReader(video, (24, 32)) as reader:
        value = reader.clip(0, FRAMES).mean((1, 2, 3)) / 10
    return np.repeat((2 * value + 0.5)[:, None, None], 2, axis=2)


def test_every_frame_of_a_file(video, tmp_path, capsys):
    out = tmp_path / "new" / "poses.csv"
    lpose(f"source={video}", f"out={out}", "realtime=false", f"report={tmp_path / 'r.json'}")
    table = read_predictions(out)
    assert table.index == tuple(range(FRAMES)) and table.keypoint_names == ("bright",)
    assert table.scorer == "heatmap_tracker" and (table.confidence == 0.75).all()
    np.testing.assert_allclose(table.keypoints, expected(video), atol=1e-3)
    times = np.loadtxt(out.with_name("poses_times.csv"), delimiter=",", skiprows=1)
    np.testing.assert_allclose(times[:, 1], np.arange(FRAMES) / 20, atol=1e-6)
    assert (times[:, 0] == np.arange(FRAMES)).all() and (times[:, 2] > 0).all()
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["frames"] == FRAMES and report["dropped"] == 0 and report["latency"]["p99"] > 0
    text = capsys.readouterr().out
    assert f"{FRAMES} poses in" in text and "frame to pose" in text and str(out) in text
    assert not out.with_name("poses_raw.csv").exists()


def test_frames_that_cannot_be_decoded_are_counted(tmp_path, capsys):
    path, frames = tmp_path / "damaged.mp4", np.random.default_rng(0).integers(0, 256, (FRAMES, *SIZE, 3), np.uint8)
    with VideoWriter(path, 20.0, SIZE) as writer:
        for frame in frames:
            writer.write(frame)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 4] = bytes(len(data) // 4)
    path.write_bytes(data)
    lpose("source=damaged.mp4", "out=o.csv", "realtime=false")
    said = capsys.readouterr().out
    poses, broken = int(said.split(" poses in")[0].split()[-1]), int(said.split("and have no pose: ")[1].split(".")[0])
    assert "cannot be decoded and have no pose" in said and poses + broken == FRAMES and poses


def test_after_a_drop_the_next_command_needs_another_table(video, monkeypatch):
    whole = LiveSource._decoded

    def drops(self):
        yield from islice(whole(self), 5)
        raise TimeoutError

    monkeypatch.setattr(LiveSource, "_decoded", drops)
    with pytest.raises(DataError, match=r"v\.mp4 gives no more frames \(nothing came for .*; start again\.$"):
        lpose(f"source={video}", "realtime=false")
    with pytest.raises(DataError, match=r"start again\. .* stay in o\.csv: give another out=FILE\.$"):
        lpose(f"source={video}", "realtime=false", "out=o.csv")
    assert read_predictions("o.csv").index == tuple(range(5))


def test_at_its_own_rate_for_a_while(video, tmp_path):
    began = time.perf_counter()
    lpose(f"source={video}", "out=o.csv", "seconds=0.5")
    assert 0.3 < time.perf_counter() - began < 10
    table = read_predictions("o.csv")
    assert 1 <= len(table.index) <= 12  # 10 frames in that time
    np.testing.assert_allclose(table.keypoints, expected(video)[list(table.index)], atol=1e-3)


def test_filter_and_processor(video, tmp_path, capsys):
    (tmp_path / "my_live_processor.py").write_text(
        "from lp_infer.processors import Processor\n"
        "class Trigger(Processor):\n"
        "    def __init__(self): self.log = []\n"
        "    def process(self, pose):\n"
        "        x, y, sure = pose['bright']\n"
        "        if x > 30: self.log.append(pose.number)\n"
        "        if pose.number == 3: raise ValueError('my mistake')\n"
        "    def save(self, beside): beside.with_name('triggers.txt').write_text(str(self.log))\n"
        "    def close(self): print('closed')\n"
    )
    lpose(
        f"source={video}", "out=o.csv", "realtime=false", "filter=kalman", "filter.ahead=0.1", "filter.noise=0.3",
        "processor=my_live_processor:Trigger",
    )  # fmt: skip
    raw, filtered = read_predictions("o_raw.csv").keypoints, read_predictions("o.csv").keypoints
    np.testing.assert_allclose(raw, expected(video), atol=1e-3)
    assert abs(np.median(filtered[8:, 0] - raw[8:, 0]) - 4) < 0.3  # two frames ahead, 2 pixels each
    assert (tmp_path / "triggers.txt").read_text() == str(np.flatnonzero(filtered[:, 0, 0] > 30).tolist())
    out, err = capsys.readouterr()
    assert (
        err.count("\n") == 1
        and "Processor Trigger failed with ValueError: my mistake (my_live_processor.py, line 7)" in err
    )
    assert "closed" in out and "processor" in out


def test_poses_that_exist_are_never_replaced(video, tmp_path):
    (tmp_path / "o.csv").write_text("precious")
    with pytest.raises(DataError, match=r"o\.csv exists already"):
        lpose(f"source={video}", "out=o.csv")
    assert (tmp_path / "o.csv").read_text() == "precious"


def test_without_a_name_it_has_the_time(video, tmp_path):
    (tmp_path / "R").mkdir()
    lpose(f"source={video}", "realtime=false")
    assert len(list((tmp_path / "R" / "live").glob("20*-*.csv"))) == 2


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        (["source=none.mp4"], DataError, "none.mp4 is no file"),
        (["source={v}", "filter=kalmann"], ConfigError, "did you mean 'kalman'"),
        (["source={v}", "filter.beta=1"], ConfigError, "filter.beta needs a filter: filter=one_euro or filter=kalman"),
        (["source={v}", "filter=kalman", "filter.beta=1"], ConfigError, "filter=kalman has no option beta"),
        (["source={v}", "processor=nothing_of_that_name:A"], ConfigError, "there is no module"),
        (["source={v}", "seconds=0"], ConfigError, "seconds=0.0 must be positive"),
        (["source={v}", "sorce=1"], ConfigError, "did you mean 'source'"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(words, kind, sentence, video, tmp_path):
    with pytest.raises(kind, match=sentence):
        lpose("out=o.csv", *(word.format(v=video) for word in words))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ended_from_outside_the_rows_are_there(how, video, tmp_path):
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    words = ["run=R", "runtime=torch", "device=cpu", "threads=1", f"source={video}", "out=o.csv"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", script, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if (tmp_path / "o_times.csv").exists() and (tmp_path / "o_times.csv").read_text().count("\n") > 3:
                process.send_signal(how)
                break
            time.sleep(0.01)
        out, err = process.communicate(timeout=60)
    table = read_predictions("o.csv")
    assert len(table.index) >= 3 and np.isfinite(table.keypoints).all()
    np.testing.assert_allclose(table.keypoints, expected(video)[list(table.index)], atol=1e-3)
    if how != signal.SIGKILL:
        assert process.returncode == 0 and "frame to pose" in out and "ended by the user" in err, err
        assert len(table.index) < FRAMES


def test_the_command_knows_it(capsys):
    assert command.main(["live", "--help"]) == 0 and "lpose live run=RUN" in capsys.readouterr().out
    assert command.main(["live", "source=0"]) == 2 and "run=… must be given" in capsys.readouterr().err
