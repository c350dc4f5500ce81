"""Confidence becomes an error to expect: on data of a known sigma it finds that sigma."""

import json

import numpy as np
import pytest
from lp_core import DataError
from lp_train.calibration import FEWEST_LABELS, MEDIAN, Calibration, coverage, fit_sigma, log_odds, reliability

LEVELS = (0.5, 0.68, 0.9, 0.95)
TRUTH = Calibration((1.0, 2.0, 2.6, 0.4), -0.35, 0.0, 0)


def drawn(frames, seed=0, truth=TRUTH):
    """Errors of `truth`, and the confidences they belong to."""
    rng = np.random.default_rng(seed)
    confidence = 1 / (1 + np.exp(-rng.normal(2, 1.5, (frames, len(truth.intercepts)))))
    return rng.rayleigh(truth.sigma(confidence)), confidence


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_sigmas_that_the_errors_were_drawn_with(seed):
    error, confidence = drawn(600, seed)
    error[np.random.default_rng(seed).random(error.shape) < 0.2] = np.nan  # not labeled
    found = fit_sigma(error, confidence)
    assert found is not None and found.labels == np.isfinite(error).sum() and found.outliers < 0.005
    assert abs(found.slope - TRUTH.slope) < 0.05
    np.testing.assert_allclose(found.sigma(confidence), TRUTH.sigma(confidence), rtol=0.2)
    typical = np.full((1, 4), 0.88)
    np.testing.assert_allclose(found.sigma(typical), TRUTH.sigma(typical), rtol=0.1)


def test_coverage_of_calibrated_errors_is_the_level():
    error, confidence = drawn(5000)
    held_out, unseen = drawn(5000, 1)
    found = fit_sigma(error, confidence)
    for sigma in (TRUTH.sigma(unseen), found.sigma(unseen)):
        for level, share in coverage(held_out, sigma, LEVELS).items():
            assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / held_out.size), level
    assert np.isnan(coverage(np.full((1, 1), np.nan), np.ones((1, 1)), [0.5])[0.5])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slope", [-0.35, 0.0, 0.5])
def test_more_confidence_never_means_more_error(seed, slope):
    truth = Calibration(TRUTH.intercepts, slope, 0.0, 0)
    found = fit_sigma(*drawn(30, seed, truth))
    sigma = found.sigma(np.linspace(0, 1, 101)[:, None].repeat(4, 1))
    assert np.isfinite(sigma).all() and np.all(np.diff(sigma, axis=0) <= 0)


def test_a_swapped_paw_moves_sigma_by_little():
    error, confidence = drawn(25)
    clean = fit_sigma(error, confidence).sigma(confidence)
    error[3, 1] = 200.0
    found = fit_sigma(error, confidence)
    assert 0 < found.outliers < 0.05
    np.testing.assert_allclose(found.sigma(confidence), clean, rtol=0.1)
    plain = np.sqrt((error[:, 1] ** 2).mean() / 2)
    assert plain > 4 * found.sigma(confidence)[:, 1].mean()  # which a mean of squares does not withstand


def test_a_tenth_of_swapped_paws_are_told_from_the_rest():
    error, confidence = drawn(400)
    swapped = np.random.default_rng(5).random(error.shape) < 0.1
    error[swapped] = np.random.default_rng(6).uniform(60, 150, swapped.sum())
    found = fit_sigma(error, confidence)
    assert abs(found.outliers - 0.1) < 0.03
    np.testing.assert_allclose(found.sigma(confidence), TRUTH.sigma(confidence), rtol=0.25)


def test_an_untrained_model_has_large_sigmas_and_not_outliers():
    rng = np.random.default_rng(0)
    error = np.linalg.norm(rng.uniform(0, 400, (50, 8, 2)) - rng.uniform(0, 400, (50, 8, 2)), axis=-1)
    assert fit_sigma(error, rng.uniform(0, 1, error.shape)).sigma(np.full((1, 8), 0.5)).min() > 80


def test_two_labels_do_not_make_a_sigma_of_their_own():
    rng = np.random.default_rng(0)
    error, confidence = rng.rayleigh(5.0, (60, 4)), np.full((60, 4), 0.9)
    error[2:, 3] = np.nan
    error[:2, 3] = 0.05  # two lucky labels
    error[:, 2] *= 4  # sixty labels say it: a keypoint of its own
    sigma = fit_sigma(error, confidence).sigma(confidence[:1])[0]
    np.testing.assert_allclose(sigma[:3], [5, 5, 20], rtol=0.2)
    assert sigma[3] > 1.0 > 10 * 0.05 / MEDIAN


def test_a_keypoint_without_labels_is_like_the_others():
    error, confidence = np.random.default_rng(0).rayleigh(5.0, (60, 4)), np.full((60, 4), 0.9)
    error[:, 3] = np.nan
    np.testing.assert_allclose(fit_sigma(error, confidence).sigma(confidence[:1])[0], 5, rtol=0.25)


@pytest.mark.parametrize("keypoints", [1, 5])
def test_a_head_without_confidence_gets_one_sigma(keypoints):
    error = np.random.default_rng(0).rayleigh(3.0, (400, keypoints))
    found = fit_sigma(error, np.ones_like(error))
    assert abs(found.slope) < 1e-6  # nothing to learn it from
    np.testing.assert_allclose(found.sigma(np.full((1, keypoints), 0.2)), 3.0, rtol=0.1)


def test_perfect_predictions_have_a_small_sigma_that_is_not_zero():
    error, confidence = np.zeros((10, 3)), np.full((10, 3), 0.9)
    assert 0 < fit_sigma(error, confidence).sigma(confidence).max() < 0.1


def test_too_few_labels_say_nothing():
    error, confidence = np.full((30, 2), np.nan), np.full((30, 2), 0.9)
    error.flat[: FEWEST_LABELS - 1] = 2.0
    assert fit_sigma(error, confidence) is None
    error.flat[FEWEST_LABELS] = 2.0
    assert fit_sigma(error, confidence).labels == FEWEST_LABELS
    confidence.flat[0] = np.nan  # labeled but not predicted
    assert fit_sigma(error, confidence) is None


def test_it_is_the_same_every_time_and_after_json():
    error, confidence = drawn(50)
    found = fit_sigma(error, confidence)
    assert found == fit_sigma(error, confidence)
    again = Calibration.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert np.array_equal(again.sigma(confidence), found.sigma(confidence))


@pytest.mark.parametrize(
    ("change", "what"),
    [({"slope": None}, "numbers"), ({"extra": 1}, "extra"), ({"intercepts": 3.0}, "intercepts")],
)
def test_a_damaged_calibration_is_one_sentence(change, what):
    with pytest.raises(DataError, match=what):
        Calibration.from_dict(TRUTH.to_dict() | change)
    with pytest.raises(DataError, match="labels"):
        Calibration.from_dict({k: v for k, v in TRUTH.to_dict().items() if k != "labels"})


def test_other_keypoints_are_one_sentence():
    with pytest.raises(DataError, match=r"3 keypoints .* has 4"):
        TRUTH.sigma(np.ones((2, 3)))


def test_log_odds_are_clipped_and_keep_nan():
    odds = log_odds(np.array([-1.0, 0.0, 0.5, 1.0, np.nan]))
    np.testing.assert_allclose(odds, [-4.59512, -4.59512, 0, 4.59512, np.nan], atol=1e-5)


def test_reliability_compares_what_was_said_with_what_was():
    error, confidence = drawn(5000)
    sigma = TRUTH.sigma(confidence)
    rows = reliability(error, sigma, 5)
    assert [r.count for r in rows] == [4000] * 5
    for row in rows:
        assert row.root_mean_square == pytest.approx(row.predicted, rel=0.05)
    error[0, 0] = 1e5
    found = max(reliability(error, sigma, 1)[0].median_based, 1)
    assert found == pytest.approx(reliability(drawn(5000)[0], sigma, 1)[0].median_based, rel=1e-3)
    assert sum(r.count for r in reliability(error[:1, :3], sigma[:1, :3], 8)) == 3
    assert reliability(np.full((2, 2), np.nan), np.ones((2, 2))) == []
