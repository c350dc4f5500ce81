"""A small project and quick settings."""

import copy

import numpy as np
import pytest
from lp_train import Drawers, train
from PIL import Image

SETTINGS = [
    "backbone=timm", "backbone.model=resnet10t", "backbone.pretrained=false", "data.image_size=[64,64]",
    "training.batch_size=4", "training.accelerator=cpu", "training.precision=float32", "training.check_val_every_n_epoch=1",
    "data.split.train=0.7", "data.split.val=0.2",
]  # fmt: skip


class Killed(Exception):
    pass


@pytest.fixture
def killed():
    """Trains until example pictures have been drawn so many times; what is on the disk then is what a kill leaves."""

    def until(config, drawn):
        times = iter(range(drawn + 1))

        def draw(*_):
            if next(times) == drawn:
                raise Killed
            return np.zeros((8, 8, 3), np.uint8)

        with pytest.raises(Killed):
            train(copy.deepcopy(config), draw=Drawers(labels=draw), say=lambda *_: None)

    return until


@pytest.fixture
def settings():
    return SETTINGS


@pytest.fixture
def project(tmp_path):
    """Twenty images with two dots, the first red and the second blue."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "project" / "labeled-data"
    folder.mkdir(parents=True)
    rows = ["scorer,me,me,me,me", "bodyparts,red,red,blue,blue", "coords,x,y,x,y"]
    y, x = np.indices((80, 100))
    for i in range(20):
        image = rng.normal(60, 5, (80, 100, 3))
        points = rng.uniform([8, 8], [92, 72], (2, 2))
        for channel, (px, py) in zip((0, 2), points, strict=True):
            image[..., channel] += 180 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"img{i:03d}.png")
        rows.append(
            f"labeled-data/img{i:03d}.png,{points[0][0]:.3f},{points[0][1]:.3f},{points[1][0]:.3f},{points[1][1]:.3f}"
        )
    (tmp_path / "project" / "CollectedData.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "project"


@pytest.fixture
def overrides(project, tmp_path):
    return [*SETTINGS, f"data.root={project}", f"out={tmp_path / 'run'}"]
