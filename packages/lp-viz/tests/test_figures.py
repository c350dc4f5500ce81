"""Grids and plots, and what importing them costs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lp_core import DataError
from lp_viz import error_plot, heatmaps_grid, keypoint_colors, labels_grid, learning_curves, limbs_grid
from lp_viz.curves import read_metrics
from lp_viz.grids import GAP
from PIL import Image

METRICS = """epoch,step,lr,train_loss,val_loss,val_pixel_error
0,4,0.001,,,
0,9,,4.0,,
0,9,,2.0,,
0,9,,,2.5,30.0
1,19,,1.0,,
1,19,,,1.5,20.0
"""


def test_labels_grid_marks_label_and_prediction_of_each_image():
    images = np.full((3, 400, 500, 3), 100, np.uint8)
    targ, pred = np.full((3, 1, 2), np.nan), np.full((3, 1, 2), np.nan)
    targ[0], pred[0] = (100, 100), (200, 100)  # both, and the line between
    pred[1] = (300, 200)  # no label: the prediction alone
    out = labels_grid(images, targ, pred)
    tiles = {0: out[:400, :500], 1: out[:400, 500 + GAP : 1000 + GAP]} if out.shape[1] > 800 else None
    assert tiles is not None and out.shape == (800 + GAP, 1000 + GAP, 3)
    color = np.array(keypoint_colors(1)[0])
    assert np.array_equal(tiles[0][100, 200], color) and np.array_equal(tiles[1][200, 300], color)
    assert not np.array_equal(tiles[0][100, 100], color)  # a label is open in the middle
    assert tiles[0][100, 150].min() > 200 and tiles[0][100, 90:110].astype(int).std() > 5
    assert np.all(out[400 + GAP :, :500] == 100)  # the third has neither


def test_small_images_are_enlarged_with_their_keypoints():
    images, point = np.full((1, 48, 64, 3), 100, np.uint8), np.array([[[20.0, 10.0]]])
    out = labels_grid(images, np.full((1, 1, 2), np.nan), point)
    factor = out.shape[0] // 48
    rows, columns = np.nonzero(np.abs(out.astype(int) - 100).sum(-1) > 30)
    assert factor > 1
    np.testing.assert_allclose([columns.mean(), rows.mean()], (point[0, 0] + 0.5) * factor - 0.5, atol=0.5)


def test_heatmaps_glow_at_their_peaks_in_their_colors():
    images = np.full((1, 400, 400, 3), 80, np.uint8)
    maps = np.zeros((1, 2, 50, 50))
    maps[0, 0, 10, 40], maps[0, 1, 30, 5] = 0.2, 0.01  # each map is scaled to its own peak
    out = heatmaps_grid(images, maps, ["frame"]).astype(int)
    for (row, column), color in zip(((10, 40), (30, 5)), keypoint_colors(2), strict=True):
        assert np.abs(out[row * 8 + 3, column * 8 + 3] - color).max() < 40
    assert np.all(out[350, 350] == 48)


def test_a_map_that_says_nothing_does_not_hide_the_picture():
    images = np.full((1, 384, 384, 3), 80, np.uint8)
    flat = np.full((1, 2, 48, 48), 1 / 48**2) * np.random.default_rng(0).uniform(0.99, 1.01, (1, 2, 48, 48))
    assert np.abs(heatmaps_grid(images, flat).astype(int) - 48).max() < 8


def test_metrics_by_epoch(tmp_path):
    (tmp_path / "metrics.csv").write_text(METRICS)
    series = read_metrics(tmp_path / "metrics.csv")
    assert series["train_loss"] == ([0.0, 1.0], [3.0, 1.0])  # two rows of epoch 0: their mean
    assert series["val_pixel_error"] == ([0.0, 1.0], [30.0, 20.0])
    assert "step" not in series


LEARNING_STATS = """step,losses/eval.total_loss,losses/train.bodypart_heatmap,losses/train.total_loss,metrics/test.rmse
1,,0.5,0.75,
2,nan,0.25,0.5,12.5
"""  # as DeepLabCut 3.0.2 writes it: no evaluation in the first epoch, and none of the loss in the second


def test_deeplabcut_s_table_has_our_names(tmp_path):
    (tmp_path / "learning_stats.csv").write_text(LEARNING_STATS)
    assert read_metrics(tmp_path / "learning_stats.csv") == {
        "train_bodypart_heatmap": ([1.0, 2.0], [0.5, 0.25]),
        "train_total_loss": ([1.0, 2.0], [0.75, 0.5]),
        "val_rmse": ([2.0], [12.5]),
    }
    written = learning_curves(tmp_path / "learning_stats.csv", tmp_path / "curves.png")
    with Image.open(written) as image:
        assert np.asarray(image.convert("L")).std() > 10


def test_a_curve_of_one_point_is_seen(tmp_path):
    """In the colour of validation there is more than the short line of the legend."""
    ink = []
    for value in ("", "2.5"):
        (tmp_path / "metrics.csv").write_text(f"epoch,train_loss,val_loss\n0,3.0,9.0\n1,2.0,{value}\n")
        with Image.open(learning_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")) as image:
            picture = np.asarray(image.convert("RGB")).astype(int)
        ink.append(np.argwhere(np.abs(picture - [0xD5, 0x5E, 0x00]).sum(-1) < 30))
    assert np.ptp(ink[0], axis=0)[1] > 100  # the dot of the first epoch is far left of the legend
    assert len(ink[1]) > len(ink[0]) > 20


def test_figures_are_png_files_with_ink(tmp_path):
    (tmp_path / "metrics.csv").write_text(METRICS)
    errors = np.random.default_rng(0).lognormal(1, 1, (30, 4))
    errors[:, 3] = np.nan
    split = ["train"] * 20 + ["test"] * 10
    written = [
        learning_curves(tmp_path / "metrics.csv", tmp_path / "figures" / "curves.png"),
        error_plot(errors, list("abcd"), tmp_path / "errors.png", split),
        error_plot(errors, list("abcd"), tmp_path / "errors_all.png"),
    ]
    for path in written:
        with Image.open(path) as image:
            assert image.format == "PNG" and np.asarray(image.convert("L")).std() > 10


@pytest.mark.parametrize("text", [None, "", "a,b\n1,2\n", "epoch,step\n0,1\n"])
def test_wrong_metrics_are_one_sentence(tmp_path: Path, text):
    if text is not None:
        (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(DataError, match=r"metrics\.csv"):
        learning_curves(tmp_path / "metrics.csv", tmp_path / "out.png")


@pytest.mark.parametrize(
    ("what", "without"), [("render_video, draw_pose", "torch matplotlib"), ("RenderOptions", "torch cv2 matplotlib av")]
)
def test_imports_are_light(what, without):
    code = f"import sys; from lp_viz import {what}; sys.exit(any(m in sys.modules for m in {without.split()}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_limbs_have_the_hue_of_their_direction_and_the_strongest_is_seen():
    """Four limbs, to the right, down, left and up, with the weak one of another direction everywhere."""
    images = np.full((1, 400, 400, 3), 80, np.uint8)
    fields = np.zeros((1, 10, 40, 40))
    fields[0, 8] = 0.3  # the fifth limb: x 0.3 everywhere
    vectors = [(1, 0), (0, 1), (-1, 0), (0, -1)]
    for number, (x, y) in enumerate(vectors):
        fields[0, 2 * number, 10 * number : 10 * number + 8, 10:30] = x
        fields[0, 2 * number + 1, 10 * number : 10 * number + 8, 10:30] = y
    out = limbs_grid(images, fields).astype(int)
    for number, color in enumerate([(255, 0, 0), (128, 255, 0), (0, 255, 255), (128, 0, 255)]):
        assert np.abs(out[100 * number + 40, 200] - color).max() <= 2
    np.testing.assert_allclose(out[200, 20], np.array([0.3 * 255, 0, 0]) + 0.6 * 80 * 0.7, atol=2)
    assert np.all(limbs_grid(images, fields * 0) == 48)
