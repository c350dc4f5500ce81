"""Where ink falls on a picture, measured by its centroid."""

import numpy as np
import pytest
from lp_core import ConfigError
from lp_viz import PoseStyle, draw_pose

GREY = np.full((120, 160, 3), 90, np.uint8)


def ink(image: np.ndarray, before: np.ndarray = GREY) -> np.ndarray:
    return np.abs(image.astype(float) - before).sum(-1)


def centroid(weight: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("radius", [None, 2.0, 6.5])
def test_a_dot_lies_at_its_keypoint(seed, radius):
    point = np.random.default_rng(seed).uniform(20, 100, (1, 2))
    out = draw_pose(GREY, point, np.ones(1), PoseStyle(radius=radius))
    assert np.abs(centroid(ink(out) > 30) - point[0]).max() < 0.5
    assert np.abs(centroid(ink(out)) - point[0]).max() <= 0.25


def test_a_dot_is_a_disc_of_its_radius():
    out = draw_pose(GREY, np.array([[60.0, 50.0]]), np.ones(1), PoseStyle(radius=10.0))
    area = (np.abs(out.astype(int) - out[50, 60]).sum(-1) < 12).sum()
    assert area == pytest.approx(np.pi * 10**2, rel=0.08)


@pytest.mark.parametrize(
    ("point", "confidence"),
    [
        ((np.nan, np.nan), 1.0),
        ((50.0, np.nan), 1.0),
        ((50.0, 50.0), 0.04),
        ((50.0, 50.0), np.nan),
        ((900.0, 50.0), 1.0),
    ],
)
def test_nothing_is_drawn(point, confidence):
    points = np.array([point, point])
    style = PoseStyle(min_confidence=0.05, skeleton=[[0, 1]], names=True)
    if point[0] == 900.0:
        style.names = False  # a name is moved into the picture
    out = draw_pose(GREY, points, np.full(2, confidence), style, ("a", "b"))
    assert np.array_equal(out, GREY)


def test_the_picture_given_is_not_changed():
    image = GREY.copy()
    draw_pose(image, np.array([[50.0, 50.0]]))
    assert np.array_equal(image, GREY)


def test_confidence_is_opacity():
    strength = [
        ink(draw_pose(GREY, np.array([[50.0, 50.0]]), np.array([c]), PoseStyle(faintest=0.0))).sum()
        for c in (0.25, 0.5, 1.0)
    ]
    np.testing.assert_allclose(np.array(strength) / strength[-1], (0.25, 0.5, 1.0), atol=0.03)


def test_a_line_runs_straight_between_its_ends():
    a, b = np.array([20.3, 30.6]), np.array([110.2, 80.1])
    style = PoseStyle(skeleton=[[0, 1]], radius=2.0)
    out = draw_pose(GREY, np.stack([a, b]), np.ones(2), style)
    rows, columns = np.nonzero(ink(out) > 40)
    ink_points = np.stack([columns, rows], -1)
    unit = (b - a) / np.linalg.norm(b - a)
    across = (ink_points - a) @ np.array([-unit[1], unit[0]])
    along = (ink_points - a) @ unit
    assert np.abs(across).max() < 5 and abs(across.mean()) < 0.3
    assert set(range(101)) <= set(along.round().astype(int).tolist())  # no gap


def test_a_line_with_one_end_missing_is_not_drawn():
    points = np.array([[30.0, 30.0], [np.nan, np.nan]])
    with_line = draw_pose(GREY, points, np.ones(2), PoseStyle(skeleton=[[0, 1]]))
    assert np.array_equal(with_line, draw_pose(GREY, points, np.ones(2)))


def test_keypoints_beyond_the_border_are_cut_not_refused():
    out = draw_pose(GREY, np.array([[-1.0, -1.0], [159.5, 119.5]]), np.ones(2), PoseStyle(skeleton=[[0, 1]]))
    assert ink(out)[:4, :4].sum() > 0 and ink(out)[-3:, -3:].sum() > 0


def test_names_are_written_inside_the_picture():
    points = np.array([[20.0, 60.0], [150.0, 60.0]])
    plain = draw_pose(GREY, points, np.ones(2))
    named = draw_pose(GREY, points, np.ones(2), PoseStyle(names=True), ("nose", "a_long_name"))
    new = ink(named, plain)
    assert new[:, 25:60].sum() > 0 and new[:, 90:140].sum() > 0


def test_wrong_style_is_one_sentence():
    with pytest.raises(ConfigError, match="skeleton"):
        PoseStyle(skeleton=[[0, 1, 2]])
    with pytest.raises(ConfigError, match="radius"):
        PoseStyle(radius=0.0)


def test_no_name_hides_another_or_leaves_the_picture():
    points = np.array([[20.0, 60.0], [22.0, 62.0], [24.0, 58.0], [155.0, 60.0]])
    names = ("tail", "paw", "nose", "ear")
    alone = []
    for k in range(4):
        hidden = np.where(np.arange(4) == k, 1.0, 0.0)
        alone.append(ink(draw_pose(GREY, points, hidden, PoseStyle(names=True, radius=1.0), names)) > 0)
    together = ink(draw_pose(GREY, points, np.ones(4), PoseStyle(names=True, radius=1.0), names)) > 0
    assert together.sum() > 0.9 * sum(one.sum() for one in alone) > np.any(alone, 0).sum()  # alone they would overlap
    assert not alone[3][:, -1].any()
