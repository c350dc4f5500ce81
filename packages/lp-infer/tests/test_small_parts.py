"""Devices, progress, and what may be imported where."""

import io
import subprocess
import sys
import time

import pytest
import torch
from lp_core import ConfigError
from lp_infer import pick_device
from lp_io import Progress
from lp_io.ahead import ahead


def test_auto_picks_what_is_present():
    present = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device("auto").type == present and pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cpux"])
def test_unknown_device_is_one_sentence(name):
    with pytest.raises(ConfigError, match=name):
        pick_device(name)


def test_absent_device_says_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"'cuda' is not present on this machine; choose auto or .*cpu"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="cuda:3"):
        pick_device("cuda:3")


def test_progress_every_few_seconds_with_the_time_left():
    seconds, out = iter([0.0, 1.0, 6.0, 7.0, 100.0]), io.StringIO()
    progress = Progress("predict a.mp4", 1000, True, out, clock=lambda: next(seconds))
    for done in (10, 60, 70, 1000):
        progress.update(done)
    assert out.getvalue().splitlines() == [
        "predict a.mp4: 60/1000 frames (6%), 10.0/s, 1:34 left",
        "predict a.mp4: 1000/1000 frames (100%), 10.0/s, took 1:40",
    ]


def test_progress_is_quiet_off_a_terminal():
    out = io.StringIO()
    Progress("x", 10, None, out, every=0.0).update(10)
    assert out.getvalue() == ""


def test_ahead_keeps_order_and_does_not_run_away():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    with ahead(items(), 3) as numbers:
        got = []
        for number in numbers:
            assert len(made) <= number + 5
            got.append(number)
    assert got == list(range(100))


def test_leaving_early_ends_the_thread_soon():
    def forever():
        while True:
            yield 0

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ahead(forever(), 2) as zeros:
        next(zeros)
        raise KeyboardInterrupt
    assert time.monotonic() - began < 5


def test_options_come_without_torch():
    code = "import sys; from lp_infer import PredictOptions, PredictReport; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
