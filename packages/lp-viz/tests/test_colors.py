"""Colours that stay apart."""

import numpy as np
import pytest
from lp_viz import keypoint_colors
from lp_viz.colors import BLINDNESS, lab, linear, pose_colors, seen


def smallest_difference(colors: np.ndarray) -> float:
    views = seen(colors)
    distance = np.linalg.norm(views[:, None] - views[None], axis=-1).min(-1)
    return float(distance[np.triu_indices(len(colors), 1)].min())


def test_lab_of_known_colors():
    """Values of CIELAB (D65) as tables of the sRGB primaries give them."""
    rgb = np.array([[255, 255, 255], [255, 0, 0], [0, 0, 255], [0, 0, 0]], np.uint8)
    known = [[100, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86], [0, 0, 0]]
    np.testing.assert_allclose(lab(linear(rgb)), known, atol=0.1)


def test_the_colour_blind_see_grey_as_grey():
    for eye in BLINDNESS.values():
        np.testing.assert_allclose(np.array(eye).sum(1), 1, atol=1e-4)


@pytest.mark.parametrize("count", [1, 5, 7, 12, 17, 40])
def test_colors_are_different_and_the_first_stay(count):
    colors = keypoint_colors(count)
    assert len(set(colors)) == count
    assert colors[: min(count, 5)] == keypoint_colors(5)[:count]


def test_farther_apart_than_a_rainbow():
    """For the worst-off of three kinds of eyes, 17 colours differ more than 17 hues of full saturation do."""
    hue = np.arange(17) / 17 * 6
    rainbow = np.stack([np.abs(hue - 3) - 1, 2 - np.abs(hue - 2), 2 - np.abs(hue - 4)], -1).clip(0, 1) * 255
    ours = smallest_difference(np.array(keypoint_colors(17), np.uint8))
    assert ours > 1.5 * smallest_difference(rainbow.astype(np.uint8)) and ours > 8


def test_animals_have_a_colour_each():
    first, second, corner = keypoint_colors(3)
    assert pose_colors(("a/nose", "a/tail", "b/nose", "b/tail", "corner"), 5) == (first, first, second, second, corner)
    assert pose_colors(("nose", "tail"), 2) == pose_colors((), 2) == (first, second)
