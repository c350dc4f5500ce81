"""Tracklets become animals: at least cost, none lost, none doubled, and never an exception for want of tracklets."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from lp_core import ConfigError, DataError, PoseTable
from lp_infer.tracking import EllipseConfig, SkeletonConfig, stitch, track
from lp_infer.tracking.stitch import BEGINNING, LEAVING_OUT, _best_rows
from lp_infer.tracking.tracklets import Features, Tracklet, tracklets_of

sys.path.insert(0, str(Path(__file__).parent))
from tracking_fixtures import by_animal, found, same_up_to_names, shuffled, straight, swimming, table_of, with_holes

NONE = -1


def columns(poses, identities, count):
    """(frames, count, parts, 2): the animals where their identities say."""
    out = np.full((len(poses), count, *poses.shape[2:]), np.nan)
    frames, rows = np.nonzero(identities >= 0)
    assert np.isnan(out[frames, identities[frames, rows]]).all()
    for frame, row in zip(frames, rows, strict=True):
        assert np.isnan(out[frame, identities[frame, row]]).all(), "two animals in one place"
        out[frame, identities[frame, row]] = poses[frame, row]
    return out


def cheapest(features, count):
    """The least cost of putting tracklets in rows, by trying all ways."""
    n = len(features.start)
    link = {
        (i, j): features.cost(np.array([i]), np.array([j]))[0]
        for i, j in itertools.permutations(range(n), 2)
        if features.start[j] > features.stop[i]
    }
    best = np.inf
    for places in itertools.product(range(-1, count), repeat=n):
        rows = [[i for i in range(n) if places[i] == row] for row in range(count)]
        pairs = [pair for row in rows for pair in itertools.pairwise(row)]
        if all(pair in link for pair in pairs):
            left = LEAVING_OUT * sum(features.poses[i] for i in range(n) if places[i] < 0)
            best = min(best, sum(link[p] for p in pairs) + left + BEGINNING * sum(bool(row) for row in rows))
    return best


def cost_of(features, rows):
    used = {number for row in rows for number in row}
    links = [features.cost(np.array([i]), np.array([j]))[0] for row in rows for i, j in itertools.pairwise(row)]
    left = LEAVING_OUT * sum(features.poses[i] for i in range(len(features.start)) if i not in used)
    return sum(links) + left + BEGINNING * sum(bool(row) for row in rows)


@pytest.mark.parametrize("seed", range(12))
def test_rows_are_the_cheapest_of_all(seed):
    rng = np.random.default_rng(seed)
    poses = swimming(60, 3, seed, size=150)
    numbers = np.full((60, 3), NONE)
    for number in range(6):
        start, row = rng.integers(0, 55), rng.integers(0, 3)
        stop = start + rng.integers(1, 25)
        numbers[start:stop, row] = number
    poses[numbers == NONE] = np.nan
    features = Features.of(tracklets_of(numbers, found(poses)), poses)
    for count in (1, 2, 3):
        rows = _best_rows(features, count)
        assert cost_of(features, rows) == pytest.approx(cheapest(features, count))
        assert all(features.start[j] > features.stop[i] for row in rows for i, j in itertools.pairwise(row))


def test_tracks_are_split_where_an_animal_was_missing_for_long():
    numbers = np.array([[7, 3], [7, 3], [NONE, 3], [7, NONE], [7, 3]])
    there = np.array([[1, 1], [1, 1], [0, 1], [1, 1], [1, 1]], dtype=bool)
    parts = [(t.frames.tolist(), t.rows.tolist()) for t in tracklets_of(numbers, there, longest_gap=0)]
    assert sorted(parts) == [([0, 1], [0, 0]), ([0, 1, 2], [1, 1, 1]), ([3], [1]), ([3, 4], [0, 0]), ([4], [1])]
    assert len(tracklets_of(numbers, there, longest_gap=1)) == 3
    assert tracklets_of(np.empty((0, 2), int), np.empty((0, 2), bool)) == []


def test_a_pose_of_two_animals_in_one_track_is_not_lost():
    poses = straight([[50, 50], [250, 250]], [[1, 0], [0, 1]], 20)
    result = stitch(poses, np.zeros((20, 2), int), 2)
    assert (result.identities >= 0).all() and (result.identities[:, 0] != result.identities[:, 1]).all()


@pytest.mark.parametrize("seed", range(4))
def test_without_any_tracker_single_poses_are_joined_right(seed):
    truth = swimming(150, 3, seed, size=500)
    given, _ = shuffled(truth, seed)
    result = stitch(given, np.full((150, 3), NONE), 3)
    assert same_up_to_names(columns(given, result.identities, 3), truth)
    assert (result.tracklets, result.links, result.attached, result.left_out) == (450, 447, 0, 0)


@pytest.mark.parametrize("seed", range(6))
def test_no_pose_is_lost_or_doubled_whatever_the_tracks(seed):
    """DeepLabCut lost late residual tracklets and doubled others, by indices of a sorted copy."""
    rng = np.random.default_rng(seed)
    poses = rng.uniform(0, 400, (80, 4, 1, 2)) + rng.normal(0, 10, (80, 4, 5, 2))
    poses[rng.random((80, 4)) < 0.3] = np.nan
    numbers = rng.integers(-1, 9, (80, 4))
    result = stitch(poses, numbers, 4)
    there = found(poses)
    np.testing.assert_array_equal(result.identities >= 0, there)
    out = columns(poses, result.identities, 4)
    for frame in range(80):
        a, b = (sorted(p[~np.isnan(p[:, 0, 0])].ravel().tolist()) for p in (poses[frame], out[frame]))
        assert a == b


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_short_tracklets_in_the_gaps_of_long_ones_whatever_their_order(order):
    truth = straight([[20, 50], [20, 250]], [[1, 0], [1, 0]], 200)
    numbers = np.tile([0, 1], (200, 1))
    gaps = [(40, 46, 0), (90, 93, 1), (150, 158, 0)]
    for number, which in enumerate(order):
        start, stop, row = gaps[which]
        numbers[start - 10 : start, row] = numbers[stop : stop + 10, row] = NONE
        truth[start - 10 : start, row] = truth[stop : stop + 10, row] = np.nan
        numbers[start:stop, row] = 10 + number
    given, moved = shuffled(truth)
    result = stitch(given, np.take_along_axis(numbers, moved, 1), 2)
    assert same_up_to_names(columns(given, result.identities, 2), truth)
    assert result.left_out == 0


def test_two_animals_that_vanish_and_come_back_elsewhere_go_on_as_they_moved():
    truth = straight([[20, 100], [20, 160]], [[2, 1], [2, -1]], 80)  # they cross unseen, at frame 30
    truth[24:36] = np.nan
    given, _ = shuffled(truth)
    for tracker in (EllipseConfig(), SkeletonConfig()):
        tracked, report = track(table_of(given), tracker)
        assert same_up_to_names(by_animal(tracked), truth)
        assert (report.tracklets, report.links) == (4, 2)


def meeting(small=25.0):
    """Two animals that stop in one place, are not seen for a while and walk off; the place does not tell who is who."""
    large = straight([[100, 100]], [[0, 0]], 100, length=40.0)
    other = straight([[100, 104]], [[0, 0]], 100, length=small)
    both = np.concatenate([large, other], 1)
    both[45:60] = np.nan
    both[60:] = both[60:, :] + np.where([[[[True]], [[False]]]], 6.0, -6.0)
    return both


def test_proportions_tell_animals_apart_where_places_do_not():
    truth = meeting()
    given, _ = shuffled(truth)
    assert same_up_to_names(by_animal(track(table_of(given), SkeletonConfig())[0]), truth)


def test_votes_tell_animals_apart_and_name_them():
    truth = meeting(small=40.0)
    given, order = shuffled(truth)
    votes = 0.3 + 0.4 * np.eye(2)[1 - order]
    votes[np.random.default_rng(0).random(order.shape) < 0.3] = np.nan
    tracked, _ = track(table_of(given), SkeletonConfig(), votes=votes)
    np.testing.assert_array_equal(by_animal(tracked), truth[:, ::-1])


def test_more_animals_in_a_frame_than_there_are():
    truth = straight([[50, 50], [250, 250], [50, 250]], [[1, 0], [0, 1], [1, 0]], 60)
    truth[:20, 2] = truth[25:, 2] = np.nan
    tracked, report = track(table_of(truth), count=2)
    assert tracked.animals.individuals == ("mouse0", "mouse1")
    np.testing.assert_array_equal(by_animal(tracked), truth[:, :2])
    assert report.kept == 120 and report.poses == 125
    assert any("5 poses were left out" in note for note in report.notes)


def test_more_animals_than_columns():
    truth = straight([[50, 50], [350, 350], [50, 350]], [[1, 0], [0, 1], [1, 0]], 90)
    truth[60:, 0] = truth[:30, 1] = truth[30:60, 2] = np.nan
    two = np.take_along_axis(truth, np.argsort(~found(truth), axis=1, kind="stable")[:, :2, None, None], 1)
    tracked, _ = track(table_of(two), count=3)
    assert tracked.animals.individuals == ("mouse0", "mouse1", "individual1")
    assert same_up_to_names(by_animal(tracked), truth)


def test_a_short_invention_far_off_takes_no_part_in_an_animal_that_is_there():
    truth = straight([[50, 50], [300, 300]], [[1, 0], [0, 1]], 60)
    given = np.concatenate([truth, np.full_like(truth[:, :1], np.nan)], 1)
    given[30:33, 2] = given[30:33, 0] + 180
    tracked, report = track(table_of(given), count=2)
    assert same_up_to_names(by_animal(tracked), truth)
    assert report.kept == 120


def test_further_animals_do_not_fill_the_gaps_of_those_there_are():
    truth = straight([[50, 50], [300, 50], [150, 300]], [[1, 0], [0, 1], [0, 0]], 100)
    truth[40:48, 0] = truth[:20, 2] = np.nan  # the third is there for the shortest time
    given, _ = shuffled(truth)
    tracked, report = track(table_of(given), SkeletonConfig(), count=2)
    assert same_up_to_names(by_animal(tracked), truth[:, :2]) and report.kept == 192


def test_a_tracklet_that_overlaps_another_is_kept_where_there_is_room():
    """One animal found twice for 3 frames, by a track that ends there and by one that begins there."""
    truth = straight([[50, 50]], [[1, 0]], 100)
    given = np.concatenate([truth, truth + 0.5], 1)
    given[52:, 0] = given[:49, 1] = np.nan
    result = stitch(given, np.tile([0, 1], (100, 1)), 1)
    assert ((result.identities == 0).sum(1) == 1).all() and (result.attached, result.left_out) == (48, 3)


def test_nothing_found_is_said_and_no_error():
    tracked, report = track(table_of(np.full((10, 2, 4, 2), np.nan)))
    assert np.isnan(tracked.keypoints).all() and (tracked.confidence == 0).all()
    assert report.notes == ("No animal was found in any frame, so all columns are empty.",)
    tracked, report = track(table_of(np.empty((0, 2, 4, 2))))
    assert tracked.keypoints.shape == (0, 8, 2) and report.frames == 0


def test_one_animal_only_of_three_is_found():
    truth = np.full((40, 3, 6, 2), np.nan)
    truth[5:30, 1] = straight([[50, 50]], [[1, 0]], 25)[:, 0]
    tracked, report = track(table_of(truth))
    np.testing.assert_array_equal(by_animal(tracked)[:, 0], truth[:, 1])
    assert report.coverage == {"mouse0": 25 / 40, "mouse1": 0.0, "mouse2": 0.0}
    assert report.notes == tuple(f"mouse{i} was never found; its columns are empty." for i in (1, 2))


def test_the_rest_of_the_table_stays():
    truth = with_holes(swimming(60, 3, size=500), 0.1)
    given, _ = shuffled(truth)
    confidence = np.random.default_rng(0).uniform(0.2, 1, given.shape[:3])
    table = table_of(given, confidence, unique=("corner", "door"))
    tracked, report = track(table)
    assert isinstance(tracked, PoseTable) and tracked.keypoint_names == table.keypoint_names
    assert tracked.index == table.index and tracked.scorer == table.scorer
    np.testing.assert_array_equal(tracked.keypoints[:, -2:], table.keypoints[:, -2:])
    np.testing.assert_array_equal(tracked.confidence[:, -2:], 0.5)
    kept = ~np.isnan(table.keypoints[:, :-2, 0])
    assert sorted(table.confidence[:, :-2][kept]) == sorted(
        tracked.confidence[:, :-2][~np.isnan(tracked.keypoints[:, :-2, 0])]
    )
    there = found(by_animal(tracked))
    assert (tracked.confidence[:, :-2].reshape(60, 3, -1)[~there] == 0).all()
    assert report.changes > 30


def test_names_are_kept_or_given_as_animals_appear():
    truth = straight([[250, 50], [50, 250], [150, 150]], [[0, 0.5], [0, 0.5], [0.5, 0]], 40)
    truth[:5, 2] = np.nan
    given = truth.copy()
    given[30:36, [0, 1]] = given[30:36, [1, 0]]  # the columns change for a while
    appeared, report = track(table_of(given))
    np.testing.assert_array_equal(by_animal(appeared), truth[:, [1, 0, 2]])
    kept, _ = track(table_of(given), keep_names=True)
    np.testing.assert_array_equal(by_animal(kept), truth)
    assert report.changes == 4


def test_what_cannot_be_tracked_is_said():
    table = table_of(straight([[50, 50], [250, 250]], [[1, 0], [0, 1]], 5))
    with pytest.raises(ConfigError, match="0 is not a number of animals"):
        track(table, count=0)
    with pytest.raises(ConfigError, match=r"must have \(5, 2, 3\)"):
        track(table, count=3, votes=np.ones((5, 2, 2)))
    with pytest.raises(DataError, match="one animal only"):
        track(PoseTable(keypoint_names=("a",), index=(0,), keypoints=np.zeros((1, 1, 2)), confidence=np.ones((1, 1))))


def test_a_tracklet_knows_its_parts():
    whole = Tracklet(np.arange(5), np.zeros(5, int))
    assert len(whole.part(1, 3)) == 2 and whole.part(1, 3).frames.tolist() == [1, 2]
