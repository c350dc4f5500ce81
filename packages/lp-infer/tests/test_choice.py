"""Which runtime runs a network."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from lp_core import ConfigError, Runtime, RuntimeConfig, runtimes
from lp_infer import PredictOptions, Runner, predict_video
from lp_infer.choice import open_runtime
from lp_infer.runtimes import TorchConfig


class Timed:
    """Torch's answers, later."""

    def __init__(self, name: str, delay: float, model: Any, config: RuntimeConfig) -> None:
        self._torch = TorchConfig(batch_size=config.batch_size).build(model)
        self.name, self._delay = name, delay

    def __getattr__(self, key: str) -> Any:
        return getattr(self._torch, key)

    def start(self, frames: np.ndarray, state: Any = None):
        time.sleep(self._delay)
        return self._torch.start(frames, state)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch):
    """Only `slow` and `fast`, and `absent`, which is faster still, are there."""
    monkeypatch.setattr(runtimes, "_installed", {})
    monkeypatch.setattr(runtimes, "_local", {})
    for name, delay, command in (("absent", 0.0, "pip install absent"), ("slow", 0.05, ""), ("fast", 0.0, "")):
        runtimes.register(name)(config(name, delay, command))


def config(name: str, delay: float, command: str) -> type[RuntimeConfig]:
    @dataclass(slots=True, kw_only=True)
    class Config(RuntimeConfig):
        def missing(self) -> str:
            return command

        def build(self, model: Any) -> Runtime:
            if self.precision == "int8":
                raise ConfigError(f"{name} knows no int8.")
            return Timed(name, delay, model, self)

    return Config


def test_auto_takes_the_fastest_that_is_installed(two, model):
    assert open_runtime(model, PredictOptions(runtime="auto", batch_size=2)).name == "fast"
    assert open_runtime(model, PredictOptions(runtime="slow", batch_size=2)).name == "slow"


def test_one_that_is_not_installed_says_how_to_get_it(two, model):
    with pytest.raises(ConfigError, match="runtime=absent is not installed; pip install absent"):
        open_runtime(model, PredictOptions(runtime="absent"))


def test_if_none_can_everyone_says_why(two, model):
    with pytest.raises(ConfigError, match=r"fast: fast knows no int8\. slow: slow knows no int8"):
        open_runtime(model, PredictOptions(runtime="auto", precision="int8"))


def test_a_file_that_none_can_read_is_said_once(two, model, monkeypatch):
    def damaged(*_):
        raise ConfigError("a.onnx is damaged.")

    monkeypatch.setattr(Timed, "__init__", damaged)
    with pytest.raises(ConfigError, match=r"^a\.onnx is damaged\.$"):
        open_runtime(model, PredictOptions(runtime="auto"))


def test_an_option_of_one_runtime_is_not_silently_left_out(two, model):
    with pytest.raises(ConfigError, match=r"runtime\.compile is an option of one runtime; name it too"):
        open_runtime(model, PredictOptions(runtime="auto", runtime_options={"compile": True}))


def test_what_one_runtime_began_another_does_not_go_on_with(two, model, video, tmp_path, monkeypatch):
    """`auto` may choose otherwise the next time; rounding must not change within a table, nor work be thrown away."""
    with monkeypatch.context() as patch:
        patch.setattr("lp_infer.video.write_table", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            predict_video(model, video, tmp_path / "v.csv", PredictOptions(runtime="slow"))
    report = predict_video(model, video, tmp_path / "v.csv", PredictOptions(runtime="auto"))
    assert report.runtime == "slow" and report.kept == report.frames == 37


def test_for_few_frames_nothing_is_tried(model):
    assert open_runtime(model, PredictOptions(runtime="auto"), frames=100).name == "torch"


def test_an_exported_file_is_not_for_torch(tmp_path):
    with pytest.raises(ConfigError, match="runtime=torch runs the folder of a training"):
        Runner.of(tmp_path / "m.onnx", PredictOptions(runtime="torch"))
