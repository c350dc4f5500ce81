"""The memory of `lpose bench`: each row's own."""

import json
import mmap

import numpy as np
import pytest
from lp_apps import bench, predict
from lp_infer import PredictOptions, Runner
from lp_infer.speed import forget_peak, measure, peak_memory
from lp_io import VideoWriter

LARGE = 400 << 20  # bytes
ANEW = pytest.mark.skipif(not forget_peak(), reason="this system cannot forget a process's peak of memory")


def use_and_return():
    """Memory straight from the system, which no allocator keeps."""
    np.frombuffer(mmap.mmap(-1, LARGE), np.uint8)[::4096] = 1


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "v.mp4"
    with VideoWriter(path, 30.0, (24, 32), threads=1) as writer:
        for i in range(12):
            writer.write(np.full((24, 32, 3), 9 * i, np.uint8))
    return path


@ANEW
def test_what_came_before_is_not_counted_and_what_is_used_is(brightness, video):
    use_and_return()
    before = peak_memory()
    runner = Runner.of(brightness, PredictOptions(runtime="torch", device="cpu", precision="float32", threads=1))
    lean = measure(runner, video, 0.02).peak_mb
    assert 50 < lean < before - 300

    class Hungry(type(brightness)):
        def forward(self, images):
            use_and_return()
            return super().forward(images)

    runner = Runner.of(Hungry().eval(), PredictOptions(runtime="torch", device="cpu", precision="float32", threads=1))
    assert measure(runner, video, 0.02).peak_mb > lean + 300


def test_rows_have_no_figure_where_the_system_has_none(brightness, video, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(predict, "model_of", lambda run: brightness)
    monkeypatch.setattr("lp_infer.speed.forget_peak", lambda: False)
    out = tmp_path / "speed.json"
    bench.run(
        ["run=R", f"source={video}", "runtime=torch", "precision=float32", "seconds=0.02", "device=cpu", f"out={out}"]
    )
    (row,) = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert row["peak_mb"] is None and row["whole"] > 0
    title, line = capsys.readouterr().out.splitlines()
    assert len(line.rstrip()) <= title.index("memory MiB") and "nan" not in line
