"""Trackers frame by frame: the filter against other statements of it, and animals whose right track is known."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lp_core import Animals, AnimalTracker, ConfigError
from lp_infer.tracking import BoxConfig, EllipseConfig, SkeletonConfig, geometry, track
from lp_infer.tracking.bodies import Box, Ellipse, Skeleton
from lp_infer.tracking.motion import Motion

sys.path.insert(0, str(Path(__file__).parent))
from tracking_fixtures import bodies, by_animal, same_up_to_names, shuffled, straight, swimming, table_of, with_holes

KINDS = [EllipseConfig, BoxConfig, SkeletonConfig]
ANIMALS = Animals(individuals=("a", "b", "c"), parts=tuple("pqrstu"))


def follow(config, poses, confidence=None):
    """Numbers of the tracks, (frames, animals)."""
    tracker = config.build(ANIMALS)
    assert isinstance(tracker, AnimalTracker)
    confidence = np.ones(poses.shape[:3]) if confidence is None else confidence
    return np.array([tracker.update(*frame) for frame in zip(poses, confidence, strict=True)])


def textbook(values, r, q, pace):
    """The Kalman filter of one coordinate in matrices, from its first value on: means and covariances of all frames."""
    f, h = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    noise = q * np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])
    x, p = np.array([values[0], 0.0]), np.diag([r, pace**2])
    out = [(x, p)]
    for value in values[1:]:
        x, p = f @ x, f @ p @ f.T + noise
        if np.isfinite(value):
            gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + r)
            x, p = x + gain @ (np.array([value]) - h @ x), (np.eye(2) - gain @ h) @ p
        out.append((x, p))
    return out


def test_the_filter_is_the_textbooks_in_matrices():
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(0, 3, (40, 2, 3)), 0)
    values[1:][rng.random((39, 2, 3)) < 0.3] = np.nan
    motion, r, agility, pace = Motion(3), np.array([[2.0], [5.0]]), 0.7, 4.0
    motion.add(2)
    means, spreads = [], []
    for frame in values:
        motion.step(agility)
        motion.observe(np.arange(2), frame, r, pace)
        means.append(np.stack([motion.place, motion.speed], -1))
        spreads.append(motion.spread.copy())
    for track_, number in np.ndindex(2, 3):
        expected = textbook(values[:, track_, number], r[track_, 0], agility**2, pace)
        for t, (x, p) in enumerate(expected):
            np.testing.assert_allclose(means[t][track_, number], x, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(spreads[t][:, track_, number], [p[0, 0], p[0, 1], p[1, 1]], rtol=1e-9)


def test_without_acceleration_it_is_the_line_of_least_squares():
    values = np.cumsum(np.random.default_rng(1).normal(2, 1, 12))
    motion = Motion(1)
    motion.add(1)
    for value in values:
        motion.step(0.0)
        motion.observe(np.array([0]), np.array([[value]]), np.array([[1.0]]), 1e5)
    slope, start = np.polyfit(np.arange(12), values, 1)
    np.testing.assert_allclose([motion.speed[0, 0], motion.place[0, 0]], [slope, start + 11 * slope], rtol=1e-6)


def test_a_motionless_animal_stays_where_it_is():
    motion = Motion(2)
    motion.add(1)
    for _ in range(50):
        motion.step(2.0)
        motion.observe(np.array([0]), np.array([[300.0, 200.0]]), np.array([[4.0]]), 12.0)
        assert motion.place.tolist() == [[300.0, 200.0]]


def test_ellipses_are_those_of_numpys_covariance():
    pose = np.random.default_rng(2).normal(0, [30, 8], (9, 2)) @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    covariance = geometry.covariances(pose[None])
    expected = np.cov(pose.T, bias=True)
    np.testing.assert_allclose(covariance, [expected[[0, 0, 1], [0, 1, 1]]])
    values, vectors = np.linalg.eigh(expected)
    np.testing.assert_allclose(geometry.lengths(covariance), [4 * np.sqrt(values[1])])
    x, y = vectors[:, 1]
    share = (values[1] - values[0]) / values.sum()
    np.testing.assert_allclose(geometry.elongations(covariance), [[share * (x * x - y * y), share * 2 * x * y]])


def test_likeness_of_boxes_and_skeletons_by_hand():
    square = np.array([[0, 0], [10, 0], [0, 10.0]])
    a, b = (
        Box().describe(square[None]),
        Box().describe(np.stack([square + np.array([5, 0]), square + np.array([50, 0])])),
    )
    np.testing.assert_allclose(Box().likeness(a, b, 10.0), [[50 / 150, 0.0]])
    half = np.stack([square + np.array([3, 4]), np.where([[True], [False], [True]], np.nan, square + np.array([0, 2]))])
    a, b = Skeleton().describe(square[None]), Skeleton().describe(half)
    np.testing.assert_allclose(Skeleton().likeness(a, b, 10.0), [[0.5, 0.8]])


def test_likeness_of_ellipses_falls_with_distance_and_angle():
    def at(x, angle):
        return Ellipse().describe(bodies([[x, 0.0]], np.array([angle])))

    here, length = at(0, 0.0), float(geometry.lengths(geometry.covariances(bodies([[0.0, 0.0]], np.zeros(1))))[0])
    like = [
        Ellipse().likeness(here, at(*there), 1.0)[0, 0] for there in ((0, 0.0), (0, 0.4), (0, np.pi / 2), (0, np.pi))
    ]
    assert like[0] == pytest.approx(1) and like[0] > like[1] > like[2] > 0.8 and like[3] == pytest.approx(1)
    assert Ellipse().likeness(here, at(length / 2, 0.0), 1.0)[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_three_smooth_animals_are_three_tracks_with_all_their_poses(kind):
    """With a filter that does not know where things are (filterpy 2), DeepLabCut made 450 tracklets of such animals."""
    truth = straight([[60, 60], [200, 200], [340, 340]], [[0.5, 0.2], [-0.3, 0.4], [0.0, 0.0]], 300)
    given, order = shuffled(truth)
    numbers = follow(kind(), given)
    assert sorted(np.unique(numbers)) == [0, 1, 2]
    for animal in range(3):
        assert len(np.unique(numbers[order == animal])) == 1
    tracked, report = track(table_of(given), kind())
    assert (report.tracklets, report.kept, report.poses) == (3, 900, 900)
    assert same_up_to_names(by_animal(tracked), truth)


@pytest.mark.parametrize("kind", KINDS)
def test_an_animal_whose_shape_cannot_be_known_does_not_move_the_others(kind):
    """DeepLabCut issue 3493: the poses of the others went one row up where the fit of an ellipse failed."""
    truth = straight([[20, 20], [315, 100], [100, 300]], [[0.5, 0], [0.2, 0], [0, 0.3]], 20)
    truth[8, 0, 1:] = np.nan  # one keypoint left
    truth[9, 0, 2:] = np.nan  # two
    truth[10, 0] = truth[10, 0, :1]  # all in one place
    truth[11, 0] = np.linspace([20, 25], [30, 25], 6)  # in a line
    truth[12, 0] = np.nan
    numbers = follow(kind(), truth)
    expected = np.tile([0, 1, 2], (20, 1))
    expected[12, 0] = -1
    sure = slice(1 if kind is BoxConfig else 0, None)  # a box of no size need not overlap its track's
    np.testing.assert_array_equal(numbers[:, sure], expected[:, sure])
    assert same_up_to_names(by_animal(track(table_of(truth), kind())[0]), truth)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_animals_that_cross_keep_their_tracks(kind, seed):
    truth = straight([[20, 100], [180, 104], [100, 20]], [[2, 0], [-2, 0], [0.1, 2]], 80)
    truth = truth + np.random.default_rng(seed).normal(0, 0.3, truth.shape)
    given, _ = shuffled(truth, seed)
    assert same_up_to_names(by_animal(track(table_of(given), kind())[0]), truth)


@pytest.mark.parametrize(("kind", "share"), [(EllipseConfig, 0.05), (BoxConfig, 0.05), (SkeletonConfig, 0.2)])
@pytest.mark.parametrize("seed", range(2))
def test_swimming_animals_with_holes(kind, share, seed):
    truth = with_holes(swimming(500, 4, seed, size=700), share)
    given, _ = shuffled(truth, seed)
    tracked, report = track(table_of(given), kind())
    assert report.kept == report.poses == np.isfinite(given).all(-1).any(-1).sum()
    assert same_up_to_names(by_animal(tracked), truth)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_animals_in_a_frame_makes_no_difference(kind):
    truth = with_holes(swimming(200, 4, 7), 0.1)
    tables = [by_animal(track(table_of(shuffled(truth, seed)[0]), kind())[0]) for seed in range(3)]
    np.testing.assert_array_equal(tables[0], tables[1])
    np.testing.assert_array_equal(tables[0], tables[2])


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_and_where_they_are_counted_from_make_no_difference(kind):
    poses = with_holes(swimming(200, 3, 5), 0.1)
    np.testing.assert_array_equal(follow(kind(), poses), follow(kind(), 7.5 * poses - 4000))


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_animal_is_looked_for_as_long_as_told(kind):
    poses = straight([[50, 50]], [[3, 0]], 40)
    poses[20:24] = np.nan
    assert np.unique(follow(kind(max_age=4), poses)).tolist() == [-1, 0]
    assert np.unique(follow(kind(max_age=3), poses)).tolist() == [-1, 0, 1]
    assert np.unique(follow(kind(max_age=0), poses[:20])).tolist() == [0]


def test_tracks_are_numbered_once_they_are_proven_and_never_again():
    poses = straight([[50, 50], [250, 250]], [[1, 0], [0, 1]], 30)
    poses[:3, 0] = np.nan
    poses[10:20, 1] = np.nan
    numbers = follow(EllipseConfig(min_hits=3), poses)
    assert numbers[:, 1].tolist() == [-1] * 2 + [0] * 8 + [-1] * 12 + [2] * 8
    assert numbers[:, 0].tolist() == [-1] * 5 + [1] * 25


def test_keypoints_that_are_not_confident_are_not_listened_to():
    poses = straight([[50, 50], [250, 250]], [[1, 0], [0, 1]], 20)
    confidence = np.ones(poses.shape[:3])
    poses[5:9, 0, 0] = 3000.0
    confidence[5:9, 0, 0] = 0.01
    poses[12, 0], confidence[12, 0] = 150.0, 0.01
    confidence[15] = np.nan  # not said
    numbers = follow(EllipseConfig(), poses, confidence)
    expected = np.tile([0, 1], (20, 1))
    expected[12, 0] = -1
    np.testing.assert_array_equal(numbers, expected)
    tracked, report = track(table_of(poses, np.nan_to_num(confidence, nan=1.0)))
    assert (report.poses, report.unsure, report.kept) == (40, 1, 39)
    assert np.isnan(by_animal(tracked)[12, 0]).all() and by_animal(tracked)[6, 0, 0, 0] == 3000.0


@pytest.mark.parametrize("kind", KINDS)
def test_animals_of_one_point(kind):
    truth = straight([[20, 100], [180, 140], [100, 20]], [[2, 0], [-2, 0], [0, 1]], 60)[:, :, :1]
    given, _ = shuffled(truth)
    assert same_up_to_names(by_animal(track(table_of(given), kind())[0]), truth)


@pytest.mark.parametrize(
    "options", [{"similarity": 0.0}, {"similarity": 1.5}, {"max_age": -1}, {"min_hits": 0}, {"length": -1.0}]
)
def test_options_that_make_no_sense(options):
    with pytest.raises(ConfigError, match=f"tracker.{next(iter(options))}="):
        EllipseConfig(**options)


def test_options_that_are_no_numbers():
    config = EllipseConfig()
    config.max_age = "abc"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ConfigError, match=r"tracker\.max_age=abc must be a number"):
        config.__post_init__()


def test_torch_is_not_needed():
    code = "import lp_infer.tracking, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
