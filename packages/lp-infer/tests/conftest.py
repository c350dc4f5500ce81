"""A network whose right answer is known, and videos that show where the blobs are."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_io import VideoWriter
from torch import nn

os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # as `lp_infer.ray_cluster`; tests import ray sooner
SIZE = (120, 200)  # of the videos; another aspect than the model's
COUNT = 37  # not a multiple of any batch size used


class BlobFinder(nn.Module):
    """Finds the bright and the dark blob on grey: a convolution, a normalisation, a sharp soft-argmax."""

    keypoint_names = ("bright", "dark")
    image_size = (96, 96)
    model_type = "heatmap"

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = nn.Conv2d(3, 2, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1.0, -1.0])[:, None, None, None].expand_as(self.conv.weight) / 27)
            self.norm.running_mean.copy_(torch.randn(2, generator=generator))
            self.norm.running_var.copy_(1 + torch.rand(2, generator=generator))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = self.norm(self.conv(images.float() / 255)).float()
        chance = (maps.flatten(2) * 150).softmax(-1)
        rows, columns = torch.meshgrid(*map(torch.arange, self.image_size), indexing="ij")
        grid = torch.stack([columns, rows], -1).reshape(-1, 2).to(chance)
        return (chance.unsqueeze(-1) * grid).sum(-2), maps.flatten(2).amax(-1).sigmoid()


def blob_positions(count: int = COUNT) -> np.ndarray:
    """(count, 2, 2): where bright and dark are in each frame, in pixels of the video."""
    t = np.arange(count)
    bright = np.stack([30 + 3.5 * t, 35 + 15 * np.sin(t / 6)], -1)
    dark = np.stack([165 - 3.25 * t, 85 + 15 * np.cos(t / 5)], -1)
    return np.stack([bright, dark], 1)


def painted(positions: np.ndarray, size: tuple[int, int] = SIZE) -> np.ndarray:
    """One frame with the two blobs."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    image = np.full(size, 128.0)
    for height, (x, y) in zip((110, -110), positions, strict=True):
        image += height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 6.0**2))
    return np.repeat(image.round().astype(np.uint8)[..., None], 3, axis=-1)


@pytest.fixture(scope="session")
def paint() -> Callable[..., np.ndarray]:
    return painted


@pytest.fixture
def model() -> BlobFinder:
    return BlobFinder().eval()


@pytest.fixture(scope="session")
def truth() -> np.ndarray:
    return blob_positions()


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory, truth: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("videos") / "blobs.mp4"
    with VideoWriter(path, 25.0, SIZE) as writer:
        for positions in truth:
            writer.write(painted(positions))
    return path


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Shells start background jobs deaf to Ctrl-C, and what these start inherits it; CI may be such a job."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
