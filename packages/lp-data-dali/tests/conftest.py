"""Videos with smooth moving content, and what needs DALI or a GPU."""

import numpy as np
import pytest
import torch
from lp_io import VideoWriter


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: needs a CUDA device with NVDEC")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="torch sees no CUDA device"))


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """Two videos of different sizes, 23 and 3 frames; the second one's name holds a blank."""
    folder = tmp_path_factory.mktemp("videos")
    made = []
    for name, count, (height, width) in (("long", 23, (96, 128)), ("a short one", 3, (80, 80))):
        path = folder / f"{name}.mp4"
        y, x = np.indices((height, width))
        with VideoWriter(path, 30.0, (height, width), threads=1) as writer:
            for t in range(count):
                grey = 128 + 60 * np.sin((x + 3 * t) / 9) + 50 * np.cos((y - 2 * t) / 7)
                writer.write(np.repeat(grey[..., None], 3, axis=-1).clip(0, 255).astype(np.uint8))
        made.append(path)
    return tuple(made)
