"""Labels that do not fit their pose, against closed forms and planted mistakes."""

from pathlib import Path

import numpy as np
import pytest
from lp_core import Animals, LabelSet
from lp_viz.check.gaussian import fit_gaussian, refined
from lp_viz.check.poses import pose_findings
from lp_viz.check.sides import side_pairs

NAMES = ("nose", "tail", "ear_left", "ear_right", "paw_left", "paw_right")
BODY = np.array([[40.0, 0], [-40, 0], [30, -12], [30, 12], [10, -20], [10, 20]])


def walking(count=80, seed=0):
    """A body that walks, turns a little and swings its tail."""
    rng = np.random.default_rng(seed)
    place, turn, swing = rng.uniform(60, 260, (count, 2)), rng.normal(0, 0.2, count), rng.normal(0, 6, count)
    body = np.tile(BODY, (count, 1, 1))
    body[:, 1, 1] += swing
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    turned = np.stack([cos * body[..., 0] - sin * body[..., 1], sin * body[..., 0] + cos * body[..., 1]], -1)
    poses = place[:, None] + turned + rng.normal(0, 1, body.shape)
    poses[rng.random(poses.shape[:2]) < 0.05] = np.nan
    return poses


def labels(keypoints, names=NAMES, animals=None):
    return LabelSet(
        root=Path(), source=Path("labels.csv"), images=tuple(f"{n}.png" for n in range(len(keypoints))),
        keypoint_names=names, keypoints=keypoints, visibility=2 * np.isfinite(keypoints).all(-1).astype(int), animals=animals,
    )  # fmt: skip


def test_complete_poses_have_the_usual_moments():
    poses = np.random.default_rng(0).normal(size=(50, 4, 2)) * [3, 9]
    found = fit_gaussian(poses)
    np.testing.assert_allclose(found.mean, poses.reshape(50, -1).mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(poses.reshape(50, -1).T), atol=1e-9)


def test_moments_are_over_what_is_known():
    poses = np.random.default_rng(1).normal(size=(60, 3, 2))
    poses[:20, 0], poses[40:, 1] = np.nan, np.nan
    found, rows = fit_gaussian(poses), poses.reshape(60, -1)
    np.testing.assert_allclose(found.mean[:2], rows[20:, :2].mean(0))
    both = slice(20, 40)
    products = (rows[both, 0] - found.mean[0]) * (rows[both, 2] - found.mean[2])
    assert found.covariance[0, 2] == pytest.approx(
        products.sum() / 19, abs=0.05
    )  # up to the negative variances taken out


def test_expectation_is_linear_regression_on_the_other_keypoints():
    poses = np.random.default_rng(2).normal(size=(300, 3, 2)) @ np.array([[2, 1], [0, 1]])
    poses[:, 2] += poses[:, 0] - 2 * poses[:, 1]
    found = fit_gaussian(poses)
    known = np.column_stack([np.ones(300), poses[:, :2].reshape(300, -1)])
    slope, *_ = np.linalg.lstsq(known, poses[:, 2], rcond=None)
    mean, _ = found.expected(poses[0], np.array([2]))
    np.testing.assert_allclose(mean, known[0] @ slope, atol=1e-5)
    distance, places = found.misfits(poses[0])
    np.testing.assert_allclose(places[2], mean, atol=1e-5)
    residual = (poses[:, 2] - known @ slope).T
    inverse = np.linalg.inv(np.cov(residual))
    off = poses[0, 2] - mean
    assert distance[2] == pytest.approx(np.sqrt(off @ inverse @ off), rel=1e-3)


def test_missing_labels_cost_little_precision():
    """Rigid bodies: each keypoint is known to about a pixel from the others, also where a fifth of the labels is missing."""
    poses = walking(120)
    full = np.where(np.isfinite(poses), poses, 0)
    missing = poses.copy()
    missing[np.random.default_rng(0).random(poses.shape[:2]) < 0.2] = np.nan
    plain = fit_gaussian(missing, 1.0)
    errors = [
        np.nanmean(np.linalg.norm(full - np.stack([g.misfits(p)[1] for p in poses]), axis=-1)[:, 2:])
        for g in (plain, refined(plain, missing, 5))
    ]
    assert errors[1] < 0.75 * errors[0] and errors[1] < 3
    complete = poses[np.isfinite(poses).all((1, 2))]
    start = fit_gaussian(complete)
    assert refined(start, complete, 3) is start


def test_misfit_of_an_unlabeled_keypoint_is_nan():
    poses = walking()
    pose = poses[0].copy()
    pose[3] = np.nan
    distance, places = fit_gaussian(poses, 1.0).misfits(pose)
    assert np.isnan(distance[3]) and np.isnan(places[3]).all() and np.isfinite(places[0]).all()


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["nose", "leftEar", "rightEar", "tail"], [(1, 2)]),
        (["ear_R", "ear_L", "l_paw", "r_paw"], [(1, 0), (2, 3)]),
        (["earL", "earR", "FL_paw", "FR_paw", "HL_paw", "HR_paw"], [(0, 1), (2, 3), (4, 5)]),
        (
            ["paw1LH_top", "paw4RH_top", "paw1LH_bot", "paw4RH_bot", "paw2LF_bot", "paw3RF_bot"],
            [(0, 1), (2, 3), (4, 5)],
        ),
        (["Left_eye", "Right_eye", "left_eye2"], []),  # which left eye is not told
        (["nose", "Lever", "Rear", "tail_base", "Hand", "Finger1", "Finger2", "Tongue", "Ruler"], []),
    ],
)
def test_sides_by_name(names, pairs):
    assert side_pairs(names) == pairs


def test_clean_poses_have_no_findings():
    found = [pose_findings(labels(walking(seed=seed)))[0] for seed in range(5)]
    assert sum(map(len, found)) <= 1  # of 2400 labels


def test_planted_mistakes_are_found_and_nothing_else():
    poses = walking()
    assert np.isfinite(poses[[5, 30]]).all()
    poses[5, [4, 5]] = poses[5, [5, 4]]
    poses[30, [2, 3, 4, 5]] = poses[30, [3, 2, 5, 4]]  # a whole side
    poses[50, 0] += [18, -24]
    found, reason = pose_findings(labels(poses))
    assert not reason
    swaps = {(f.row, f.keypoints) for f in found if f.kind == "swap"}
    assert swaps == {(5, (4, 5)), (30, (2, 3)), (30, (4, 5))}
    (outlier,) = [f for f in found if f.kind == "outlier"]
    assert (outlier.row, outlier.keypoints) == (50, (0,))
    assert outlier.expected is not None
    np.testing.assert_allclose(outlier.expected[0], poses[50, 0] - [18, -24], atol=6)


def test_a_swap_of_keypoints_without_sides_in_their_names():
    poses = walking()
    poses[12, [0, 1]] = poses[12, [1, 0]]
    found, _ = pose_findings(labels(poses, ("a", "b", "c", "d", "e", "f")))
    assert {(f.kind, f.row, f.keypoints) for f in found} == {("swap", 12, (0, 1))}


def test_several_animals_are_judged_one_by_one():
    animals = Animals(individuals=("one", "two"), parts=NAMES, unique=("lamp",))
    keypoints = np.concatenate([walking(seed=3), walking(seed=4), np.full((80, 1, 2), 5.0)], 1)
    keypoints[9, 6] += 30
    found, _ = pose_findings(labels(keypoints, animals.keypoint_names, animals))
    assert [(f.kind, f.row, f.keypoints) for f in found] == [("outlier", 9, (6,))]


def test_few_poses_are_not_judged():
    found, reason = pose_findings(labels(walking(15)))
    assert not found and "need 20 poses" in reason and "15" in reason
