"""Metrics of several animals, against hand-computed cases and against trying all assignments."""

import itertools

import numpy as np
import pytest
from lp_train.animal_metrics import (
    animal_pck,
    average_precision,
    box_areas,
    dlc_match,
    dlc_rmse,
    identity_accuracy,
    match,
    oks,
    root_mean_square,
)

ANIMAL = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 10.0], [30.0, 10.0]])
NONE = np.full_like(ANIMAL, np.nan)


def frame(*animals):
    """(1, animals, 4, 2)"""
    return np.stack(animals)[None].astype(float)


def shifted(x, y):
    return ANIMAL + np.array([x, y])


def sure(predicted, *values):
    """Each animal's confidence for all its keypoints."""
    return np.broadcast_to(np.array(values, float)[None, :, None], predicted.shape[:3])


def test_oks_by_hand():
    """Area 300: one keypoint exact, one 12 px² away, one not predicted, one not labeled."""
    truth, found = ANIMAL.copy(), ANIMAL.copy()
    truth[3] = found[2] = np.nan
    found[1, 1] = np.sqrt(12)
    expected = (1 + np.exp(-12 / (2 * 300 * 0.2**2))) / 3
    scores = oks(frame(found, ANIMAL + 1000), frame(truth, NONE, ANIMAL + 1000))
    np.testing.assert_allclose(scores, [[[expected, np.nan, 0], [0, np.nan, 1]]], atol=1e-12)
    lone = NONE.copy()
    lone[0] = 5
    assert np.isnan(oks(frame(ANIMAL), frame(lone))).all()
    by_part = oks(frame(found), frame(truth), sigma=np.array([0.1, 0.2, 0.1, 0.1]))
    np.testing.assert_allclose(by_part, [[[(1 + np.exp(-12 / (2 * 300 * 0.4**2))) / 3]]])


def test_areas_of_boxes():
    line = np.array([[0, 7], [10, 7], [40, 7], [np.nan, 3]])
    lone = np.array([[5, 5], *[[np.nan] * 2] * 3])
    np.testing.assert_allclose(box_areas(frame(ANIMAL, line, lone, NONE)), [[300, 40 * 4, 0, 0]])
    np.testing.assert_allclose(box_areas(frame(ANIMAL, line), margin=10, slimmest=0), [[50 * 30, 60 * 20]])


def test_precision_of_a_perfect_prediction_in_any_order():
    truth = np.concatenate([frame(ANIMAL, ANIMAL + 100), frame(ANIMAL + 50, NONE)])
    predicted = truth[:, ::-1]
    result = average_precision(predicted, sure(predicted, 0.3, 0.9), truth)
    assert (result.map, result.mar) == pytest.approx((100, 100)) and len(result.ap) == 10


def test_precision_where_half_the_animals_are_missed():
    """Recall ends at 1/2 with precision 1: of the 101 recalls 0, .01, … those up to .50 count."""
    truth = frame(ANIMAL, ANIMAL + 100)
    result = average_precision(frame(ANIMAL, NONE), sure(truth, 0.9, 0.9), truth)
    assert (result.map, result.mar) == pytest.approx((100 * 51 / 101, 50))


def test_precision_with_a_surer_invention():
    """The right one comes second: precision 1/2 at every recall. If it comes first, the invention costs nothing."""
    truth = frame(ANIMAL)
    predicted = frame(ANIMAL, ANIMAL + 500)
    assert average_precision(predicted, sure(predicted, 0.5, 0.9), truth).map == pytest.approx(50)
    assert average_precision(predicted, sure(predicted, 0.9, 0.5), truth).map == pytest.approx(100)


def test_precision_falls_at_the_threshold_that_the_oks_says():
    predicted = frame(shifted(np.sqrt(12 * -np.log(0.72) * 2), 0))  # 2 area (2 sigma)² = 24, so the OKS is .72
    np.testing.assert_allclose(oks(predicted, frame(ANIMAL)), 0.72)
    result = average_precision(predicted, sure(predicted, 1), frame(ANIMAL))
    assert [t for t, p in result.ap.items() if p > 99] == [0.5, 0.55, 0.6, 0.65, 0.7]
    assert result.map == pytest.approx(50)


def test_keypoints_that_were_not_predicted_count_nothing():
    found = ANIMAL.copy()
    found[:2] = np.nan
    result = average_precision(frame(found), sure(frame(found), 1), frame(ANIMAL))  # OKS .5
    assert [t for t, p in result.ap.items() if p > 99] == [0.5]


def test_animals_with_one_labeled_keypoint_do_not_count():
    lone = NONE.copy()
    lone[0] = 200
    truth = frame(ANIMAL, lone)
    predicted = frame(ANIMAL, np.where(np.isnan(lone), 201, lone))
    assert average_precision(predicted, sure(predicted, 0.5, 0.9), truth).map == pytest.approx(100)
    assert np.isnan(average_precision(predicted, sure(predicted, 1, 1), frame(NONE, lone)).map)


def test_nothing_predicted():
    result = average_precision(frame(NONE), sure(frame(NONE), 0), frame(ANIMAL))
    assert (result.map, result.mar) == (0, 0)
    result = match(frame(NONE), frame(ANIMAL))
    assert (result.missed, result.invented) == (1, 0) and np.isnan(root_mean_square(result))


@pytest.mark.parametrize("seed", range(8))
def test_pairs_are_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    predicted, truth = (
        rng.uniform(0, 100, (6, 4, 1, 2)) + rng.normal(0, 9, (6, 4, 3, 2)),
        rng.uniform(0, 100, (6, 3, 3, 2)),
    )
    predicted[rng.random((6, 4)) < 0.3] = np.nan
    truth[rng.random((6, 3)) < 0.3] = np.nan
    for gate in (np.inf, 40.0):
        result = match(predicted, truth, gate)
        for f in range(6):
            distance = np.linalg.norm(predicted[f, :, None] - truth[f], axis=-1).mean(-1)
            best = (0, 0.0)
            for rows in itertools.permutations(range(4), 3):
                good = [d for d in (distance[row, a] for a, row in enumerate(rows)) if d <= gate]
                best = min(best, (-len(good), sum(good)))
            mine = [distance[row, a] for a, row in enumerate(result.partner[f]) if row >= 0]
            assert (-len(mine), sum(mine)) == pytest.approx(best)
        pairs = (result.partner >= 0).sum()
        there = [np.isfinite(x).all(-1).any(-1).sum() for x in (predicted, truth)]
        assert (result.invented, result.missed) == (there[0] - pairs, there[1] - pairs)


def test_errors_are_those_of_the_partners():
    truth = frame(ANIMAL, ANIMAL + 100)
    predicted = frame(shifted(103, 104), NONE, shifted(0, 2))
    result = match(predicted, truth)
    np.testing.assert_array_equal(result.partner, [[2, 0]])
    np.testing.assert_allclose(result.error, [[[2] * 4, [5] * 4]])
    assert root_mean_square(result) == pytest.approx(np.sqrt((4 + 25) / 2))
    assert match(predicted, truth, gate=3).missed == 1 and match(predicted, truth, gate=3).invented == 1


def test_pck_counts_missed_animals_as_wrong():
    diagonal = np.hypot(30, 10)
    truth = frame(ANIMAL, ANIMAL + 500)
    found = ANIMAL.copy()
    found[0] += [0.09 * diagonal, 0]
    found[1] += [0.11 * diagonal, 0]
    result = match(frame(found, NONE), truth)
    assert animal_pck(result, truth, 0.1) == pytest.approx(100 * 3 / 8)
    assert animal_pck(result, truth, 0.2) == pytest.approx(100 * 4 / 8)
    assert np.isnan(animal_pck(match(frame(NONE), frame(NONE)), frame(NONE), 0.1))


def test_identity_is_the_row_or_what_is_said():
    truth = np.concatenate([frame(ANIMAL, ANIMAL + 100)] * 4)
    predicted = truth.copy()
    predicted[3] = predicted[3, ::-1]
    predicted[:, :, 3] = np.nan
    result = match(predicted, truth)
    np.testing.assert_allclose(identity_accuracy(result), [75, 75, 75, np.nan])
    said = np.zeros((4, 2, 4), int)
    said[:, 1, 0] = 1
    said[3, :, 0] = [1, 0]
    said[:, :, 1] = -1
    np.testing.assert_allclose(identity_accuracy(result, said), [100, np.nan, 50, np.nan])


def test_what_deeplabcut_calls_rmse_is_a_mean():
    found = ANIMAL.copy()
    found[3, 0] += 8
    result = dlc_match(frame(found), frame(ANIMAL), margin=20)
    assert dlc_rmse(result, sure(frame(found), 1)) == pytest.approx(2.0)
    assert root_mean_square(result) == pytest.approx(4.0)
    confidence = sure(frame(found), 1).copy()
    confidence[0, 0, 3] = 0.5
    assert dlc_rmse(result, confidence, pcutoff=0.6) == 0.0


def test_deeplabcuts_pairs_have_no_second_choice():
    """Both predictions are nearest to the first animal. The second of them is not tried on the other animal."""
    truth = frame(ANIMAL, shifted(12, 0))
    predicted = frame(ANIMAL, shifted(5, 0))
    assert match(predicted, truth).partner.tolist() == [[0, 1]]
    result = dlc_match(predicted, truth)
    assert result.partner.tolist() == [[0, -1]] and (result.missed, result.invented) == (1, 1)
    assert dlc_rmse(result, sure(predicted, 1, 1)) == 0.0 < root_mean_square(match(predicted, truth))
    swapped = dlc_match(predicted[:, ::-1], truth)  # the order given decides
    assert dlc_rmse(swapped, sure(predicted, 1, 1)) == 5.0
    assert dlc_match(frame(ANIMAL + 1000), truth).partner.tolist() == [[-1, -1]]
