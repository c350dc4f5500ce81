"""For every test."""

import signal

import pytest
import torch
from torch import nn


class Brightness(nn.Module):
    """Its keypoint says how bright the frame is."""

    keypoint_names = ("bright",)
    image_size = (24, 32)
    model_type = "heatmap"

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images):
        value = images.float().mean((1, 2, 3)) * self.weight
        return torch.stack([value / 10, value / 10], -1)[:, None], torch.full((len(images), 1), 0.75)


@pytest.fixture
def brightness() -> Brightness:
    """A network that needs no training."""
    return Brightness().eval()


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Shells start background jobs deaf to Ctrl-C, and what these start inherits it; CI may be such a job."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
