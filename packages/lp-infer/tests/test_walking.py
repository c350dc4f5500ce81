"""Networks that go from frame to frame by themselves, or want to know the number of a frame."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lp_core import ConfigError
from lp_infer import LivePredictor, PredictOptions, predict_video
from lp_infer.to_onnx import to_onnx
from lp_infer.video import ChunkLog
from lp_io import VideoWriter, read_predictions
from torch import Tensor, nn

COUNT = 600  # several records of a log
SIZE = (32, 48)


class Sum(nn.Module):
    """x: frames counted from the number it was begun with. y: brightness, and of all frames since, if it `walks`."""

    keypoint_names, image_size, model_type, context = ("count",), SIZE, "stub", 0

    def __init__(self, walks: bool) -> None:
        super().__init__()
        self.walks = walks
        self.weight = nn.Parameter(torch.tensor(float(walks)))

    def begin(self, frame: int) -> tuple[int, Tensor]:
        if frame and self.walks:
            raise ConfigError("Not from the middle of a video.")
        return frame, torch.zeros(())

    def walk(self, images: Tensor, state: tuple[int, Tensor] | None) -> tuple[Tensor, Tensor, tuple[int, Tensor]]:
        number, total = state or self.begin(0)
        light = images.float().mean((1, 2, 3))
        y = total + light.cumsum(0) if self.walks else light
        x = number + torch.arange(len(images), dtype=torch.float32)
        return torch.stack([x, y], -1)[:, None], torch.ones(len(images), 1), (number + len(images), y[-1])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.walk(images, None)[:2]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "grey.mp4"
    with VideoWriter(path, 30.0, SIZE) as writer:
        for number in range(COUNT):
            writer.write(np.full((*SIZE, 3), 40 + number % 7 * 20, np.uint8))
    return path


def predicted(model: nn.Module, video: Path, out: Path, batch_size: int = 16) -> np.ndarray:
    predict_video(model, video, out, PredictOptions(batch_size=batch_size))
    return read_predictions(out).keypoints[:, 0]


@pytest.mark.parametrize("walks", [True, False])
@pytest.mark.parametrize("batch_size", [7, 16])
def test_frames_come_in_order_and_with_their_numbers(walks, batch_size, video, tmp_path):
    found = predicted(Sum(walks), video, tmp_path / "out.csv", batch_size)
    light = predicted(Sum(False), video, tmp_path / "light.csv")[:, 1]
    assert np.array_equal(found[:, 0], np.arange(COUNT))
    assert np.allclose(found[:, 1], np.cumsum(light) if walks else light, rtol=1e-5)
    assert np.ptp(light) > 50


@pytest.mark.parametrize("walks", [True, False])
def test_an_interrupted_prediction_goes_on_or_begins_anew(walks, video, tmp_path, monkeypatch):
    whole, out = predicted(Sum(walks), video, tmp_path / "whole.csv"), tmp_path / "out.csv"
    append = ChunkLog.append

    def stop(self: ChunkLog, start: int, values: np.ndarray) -> None:
        if start >= 256:
            raise KeyboardInterrupt
        append(self, start, values)

    monkeypatch.setattr(ChunkLog, "append", stop)
    with pytest.raises(KeyboardInterrupt):
        predicted(Sum(walks), video, out)
    monkeypatch.setattr(ChunkLog, "append", append)
    report = predict_video(Sum(walks), video, out, PredictOptions(batch_size=16))
    assert report.kept == (0 if walks else 256)
    assert any("began anew" in problem for problem in report.problems) == walks
    assert np.array_equal(read_predictions(out).keypoints[:, 0], whole)


def test_live_frames_are_walked_through_too():
    live = LivePredictor(Sum(True))
    poses = [live.push(np.full((*SIZE, 3), 10, np.uint8), 0.0) for _ in range(3)]
    assert [pose.keypoints[0].tolist() for pose in poses if pose] == [[0, 10], [1, 20], [2, 30]]


def test_it_is_not_exported():
    with pytest.raises(ConfigError, match="not exported"):
        to_onnx(Sum(False))
