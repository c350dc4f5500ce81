"""Animals that differ in colour keep their identity where motion would lose it; those that look alike are none the worse."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from lp_core import ConfigError, DataError, PoseTable
from lp_infer.tracking import SkeletonConfig, looks_of, stitch, track, video_looks
from lp_infer.tracking.identify import identified
from lp_infer.tracking.lines import BEGINNING, LEAVING_OUT, Prices, best_lines
from lp_infer.tracking.looks import DARK
from lp_infer.tracking.pieces import doubtful, pieces_of
from lp_infer.tracking.tracklets import Features, tracklets_of

sys.path.insert(0, str(Path(__file__).parent))
from tracking_fixtures import (
    by_animal,
    found,
    painted,
    same_up_to_names,
    shuffled,
    straight,
    swimming,
    table_of,
    with_holes,
)

GOLD, GREY, RUST = (150, 130, 90), (135, 125, 115), (165, 115, 80)


def turning(frames=90, hidden=5):
    """Two animals that come together, are not found for some frames, and go back where they came from."""
    half = frames // 2
    there = straight([[110, 200], [290, 204]], [[2, 0], [-2, 0]], half)
    truth = np.concatenate([there, there[::-1]])
    truth[half - hidden : half + hidden] = np.nan
    return truth


def swapped_where_they_touch(poses, seed=0):
    """Tracks of a tracker that exchanges any two animals that touch, each time by the toss of a coin; (frames, animals)."""
    rng, frames = np.random.default_rng(seed), len(poses)
    names, touched, out = np.arange(poses.shape[1]), set(), []
    for frame in range(frames):
        centres = poses[frame].mean(1)
        for i, j in itertools.combinations(range(poses.shape[1]), 2):
            near = np.linalg.norm(centres[i] - centres[j]) < 12
            if near and (i, j) not in touched and rng.random() < 0.7:
                names[[i, j]] = names[[j, i]]
            touched = touched | {(i, j)} if near else touched - {(i, j)}
        out.append(names.copy())
    return np.array(out)


def agreement(identities, poses):
    """Share of the poses in the right column, for the best order of columns; `poses` has each animal in its column."""
    count, there = poses.shape[1], found(poses)
    orders = itertools.permutations(range(count))
    return max(((identities == np.array(order)) & there).sum() for order in orders) / there.sum()


def test_looks_are_the_colours_of_the_limbs():
    poses = straight([[60, 60], [200, 60]], [[2, 1], [0, 2]], 10)
    looks = looks_of(painted(poses, [GOLD, RUST], size=260), poses).reshape(10, 2, -1, 3)
    assert looks.shape == (10, 2, 5, 3)
    frames = painted(poses, [GOLD, RUST], size=260)
    whole = np.log(np.array([frame.reshape(-1, 3).mean(0) for frame in frames]) + DARK)
    expected = np.log(np.array([GOLD, RUST]) + DARK)[None] - whole[:, None]
    np.testing.assert_allclose(looks, np.broadcast_to(expected[:, :, None], looks.shape), atol=0.06)
    darker = looks_of(painted(poses, [GOLD, RUST], size=260, gain=0.6), poses).reshape(looks.shape)
    np.testing.assert_allclose(darker, looks, atol=0.08)  # a lamp that flickers


def test_places_near_another_animal_are_not_listened_to():
    poses = straight([[100, 100], [100, 103], [200, 200]], [[0, 0]] * 3, 3)
    poses[1, 2, 2:] = np.nan
    poses[2, 1] = np.nan
    looks = looks_of([np.full((260, 260, 3), 90, np.uint8)] * 3, poses).reshape(3, 3, -1, 3)[..., 0]
    seen = np.isfinite(looks)
    assert seen[2, 0].all() and not seen[2, 1].any()
    assert seen[0, 2].all() and 0 < seen[1, 2].sum() < 5
    assert not seen[0, :2].all()
    alone = looks_of([np.full((9, 9, 3), 90, np.uint8)], np.array([[[[-50.0, 4], [60, 4]]]]))  # out of the picture
    assert np.isfinite(alone).all()


def test_colours_say_who_is_who_where_motion_is_wrong():
    truth = turning()
    given, order = shuffled(truth)
    looks = looks_of(painted(truth, [GOLD, GREY]), truth)
    looks = np.take_along_axis(looks, order[..., None], 1)
    without, report = track(table_of(given), SkeletonConfig())
    assert not same_up_to_names(by_animal(without), truth) and not report.by_looks
    tracked, report = track(table_of(given), SkeletonConfig(), looks=looks)
    assert same_up_to_names(by_animal(tracked), truth) and report.by_looks
    assert report.kept == report.poses == 2 * 80


@pytest.mark.parametrize("seed", range(2))
def test_a_tracker_that_swaps_animals_is_put_right(seed):
    poses = swimming(360, 3, seed, size=260)
    given = with_holes(poses, 0.05, seed)
    numbers = swapped_where_they_touch(poses, seed)
    looks = looks_of(painted(poses, [GOLD, GREY, RUST], size=260), given)
    before, after = stitch(given, numbers, 3), stitch(given, numbers, 3, looks=looks)
    assert agreement(before.identities, given) < 0.95
    assert after.by_looks and agreement(after.identities, given) > 0.97
    assert ((after.identities >= 0) == found(given)).all()


@pytest.mark.parametrize("seed", range(2))
def test_animals_that_look_alike_are_tracked_as_without_the_video(seed):
    poses = swimming(240, 3, seed, size=260)
    given = with_holes(poses, 0.05, seed)
    looks = looks_of(painted(poses, [GOLD] * 3, size=260), given)
    numbers = np.tile(np.arange(3), (240, 1))
    plain, looked = stitch(given, numbers, 3), stitch(given, numbers, 3, looks=looks)
    assert not looked.by_looks
    np.testing.assert_array_equal(looked.identities, plain.identities)


def test_of_three_animals_two_look_alike():
    """What they look like brings the third back; the other two go on as the tracker says."""
    poses = swimming(360, 3, 1, size=260)
    looks = looks_of(painted(poses, [GOLD, GOLD, (80, 120, 170)], size=260), poses)
    numbers = np.tile(np.arange(3), (360, 1))
    result = stitch(poses, numbers, 3, looks=looks)
    assert result.by_looks and agreement(result.identities, poses) == 1
    numbers[180:, [0, 2]] = numbers[180:, [2, 0]]
    doubt = doubtful(poses, 3)
    assert doubt.any() and not doubt.all()
    third = stitch(poses, swapped_where_they_touch(poses), 3, looks=looks).identities[:, 2]
    assert np.bincount(third[third >= 0]).max() > 0.97 * 360


def test_looks_that_were_never_seen_change_nothing():
    truth = turning()
    tracked, report = track(table_of(truth), SkeletonConfig(), looks=np.full((90, 2, 15), np.nan))
    assert not report.by_looks
    np.testing.assert_array_equal(tracked.keypoints, track(table_of(truth), SkeletonConfig())[0].keypoints)
    nothing = np.full((10, 2, 4, 2), np.nan)
    assert not track(table_of(nothing), looks=np.full((10, 2, 9), np.nan))[1].by_looks
    with pytest.raises(ConfigError, match=r"looks are of \(3, 2\) frames and animals and must be of \(90, 2\)"):
        track(table_of(truth), looks=np.zeros((3, 2, 15)))


def test_pieces_are_the_tracklets_cut_where_animals_touch_or_are_missing():
    poses = straight([[20, 100], [180, 108]], [[2, 0], [-2, 0]], 80)
    poses[70:72, 1] = np.nan
    doubt = doubtful(poses, 2)
    assert doubt[40].all() and doubt[70, 0] and not doubt[:20].any() and not doubt[72:].any()
    tracklets = tracklets_of(np.tile([0, 1], (80, 1)), found(poses))
    pieces, before = pieces_of(tracklets, doubt, step=4)
    starts = [int(piece.frames[0]) for piece in pieces]
    assert starts == sorted(starts) and sum(len(piece) for piece in pieces) == 158
    for number, piece in enumerate(pieces):
        unsure = doubt[piece.frames, piece.rows]
        assert (np.diff(piece.frames) == 1).all() and (not unsure.any() or (unsure.all() and len(piece) <= 4))
        if before[number] >= 0:
            earlier = pieces[before[number]]
            assert earlier.rows[-1] == piece.rows[0] and earlier.frames[-1] < piece.frames[0]
    assert (before < 0).sum() == 2 and len(set(before[before >= 0].tolist())) == len(pieces) - 2


def cheapest(prices, unlike):
    """The least cost of all ways to share out pieces, by trying them."""
    n, count = unlike.shape
    best = np.inf
    for who in itertools.product(range(-1, count), repeat=n):
        last, cost = np.full((1, count), -1), 0.0
        for piece, k in enumerate(who):
            cost += (
                LEAVING_OUT * prices.features.poses[piece] if k < 0 else prices(last, piece)[0, k] + unlike[piece, k]
            )
            if k >= 0:
                last[0, k] = piece
        best = min(best, cost)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_lines_are_the_cheapest_of_all(seed):
    rng = np.random.default_rng(seed)
    poses = swimming(60, 3, seed, size=150)
    numbers = np.full((60, 3), -1)
    for number in range(6):
        start, row = rng.integers(0, 55), rng.integers(0, 3)
        numbers[start : start + rng.integers(1, 25), row] = number
    poses[numbers < 0] = np.nan
    pieces, before = pieces_of(tracklets_of(numbers, found(poses)), np.zeros((60, 3), bool))
    features = Features.of(pieces, poses)
    prices = Prices(features, before)
    for count in (1, 2, 3):
        unlike = rng.exponential(6, (len(pieces), count))
        who, cost = best_lines(prices, unlike)
        assert cost == pytest.approx(cheapest(prices, unlike)) and cost >= BEGINNING
        for k in range(count):
            mine = np.flatnonzero(who == k)
            assert (features.start[mine[1:]] > features.stop[mine[:-1]]).all()


def test_without_directions_nobody_is_told_apart():
    poses = straight([[50, 50], [250, 250]], [[1, 0], [0, 1]], 40)
    pieces, before = pieces_of(tracklets_of(np.tile([0, 1], (40, 1)), found(poses)), doubtful(poses, 2))
    features = Features.of(pieces, poses)
    assert identified(pieces, before, features, np.zeros((40, 2, 3)), 2) is None


def test_a_table_of_one_animal_has_nobody_to_tell_apart(tmp_path):
    table = PoseTable(keypoint_names=("a",), index=(0,), keypoints=np.zeros((1, 1, 2)), confidence=np.ones((1, 1)))
    with pytest.raises(DataError, match="one animal only"):
        video_looks(table, tmp_path / "none.mp4")
