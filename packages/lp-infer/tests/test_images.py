"""Images of several sizes in one batch, each answered in its own pixels."""

import numpy as np
import pytest
from lp_core import DataError
from lp_infer import PredictOptions, predict_images
from PIL import Image

SIZES = [(120, 200), (96, 96), (64, 150), (120, 200), (200, 90)]


def test_every_image_in_its_own_pixels(model, paint, tmp_path):
    rng = np.random.default_rng(1)
    truth = np.stack([rng.uniform([[0.2, 0.2], [0.6, 0.6]], [[0.4, 0.4], [0.8, 0.8]]) * (w, h) for h, w in SIZES])
    names = [f"labeled-data/v/img{i}.png" for i in range(len(SIZES))]
    for name, size, positions in zip(names, SIZES, truth, strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(paint(positions, size)).save(tmp_path / name)
    split = ("train", "train", "validation", "test", "unused")
    table = predict_images(model, names, tmp_path, PredictOptions(batch_size=2), split)
    assert table.index == tuple(names) and table.split == split
    assert np.abs(table.keypoints - truth).max() < 0.4


def test_no_images_no_rows(model):
    assert predict_images(model, []).keypoints.shape == (0, 2, 2)


def test_missing_image_is_one_sentence(model, tmp_path):
    with pytest.raises(DataError, match=r"gone\.png"):
        predict_images(model, ["gone.png"], tmp_path)
