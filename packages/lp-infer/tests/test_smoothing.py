"""The smoother against the joint Gaussian solved in one piece."""

import numpy as np
import pytest
from lp_core import ConfigError
from lp_infer.smoothing import LOG_S_LIMIT, best_s, log_likelihood, nan_median, smooth, typical_noise

FRAMES, KEYPOINTS = 40, 5
S = np.array([1e-2, 0.2, 1.0, 30.0, 2000.0])


@pytest.fixture
def observed():
    """Walks with noise of very different size from frame to frame; frames, axes and both ends are missing."""
    rng = np.random.default_rng(0)
    noise = np.exp(rng.uniform(-4, 4, (FRAMES, KEYPOINTS, 2)))
    walk = np.cumsum(rng.normal(size=noise.shape) * np.sqrt(S)[:, None], 0) + rng.uniform(0, 400, (KEYPOINTS, 2))
    keypoints = walk + rng.normal(size=noise.shape) * np.sqrt(noise)
    keypoints[rng.random((FRAMES, KEYPOINTS)) < 0.15] = np.nan
    keypoints[8:19, 1] = np.nan
    keypoints[:3, 2, 0], keypoints[-4:, 3, 1] = np.nan, np.nan
    noise[5, 4], noise[6, 4, 0] = np.nan, np.inf  # a position whose variance is unknown says nothing
    return keypoints, noise


def series(keypoints, noise):
    """Each keypoint and axis by itself."""
    for k, axis in np.ndindex(keypoints.shape[1:]):
        y, r = keypoints[:, k, axis], noise[:, k, axis]
        yield (slice(None), k, axis), y, r, np.isfinite(y) & np.isfinite(r)


def dense_posterior(y, r, seen, s):
    """Mean and variance out of the joint precision matrix of the whole sequence."""
    mean, variance = y[seen].mean(), y[seen].var()
    steps = np.diff(np.eye(len(y)), axis=0)
    precision = steps.T @ steps / s + np.diag(np.where(seen, 1 / r, 0.0))
    precision[0, 0] += 1 / variance
    covariance = np.linalg.inv(precision)
    information = np.where(seen, (y - mean) / r, 0.0)
    return mean + np.linalg.solve(precision, information), np.diag(covariance)


def dense_log_likelihood(y, r, seen, s):
    """Density of all observations at once, out of their joint covariance."""
    (t,) = np.nonzero(seen)
    covariance = y[seen].var() + s * np.minimum.outer(t, t) + np.diag(r[seen])
    error = y[seen] - y[seen].mean()
    _, log_determinant = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (log_determinant + error @ np.linalg.solve(covariance, error))


def test_it_is_the_joint_posterior(observed):
    smoothed = smooth(*observed, S)
    for at, y, r, seen in series(*observed):
        mean, variance = dense_posterior(y, r, seen, S[at[1]])
        np.testing.assert_allclose(smoothed.keypoints[at], mean, rtol=0, atol=1e-8)
        np.testing.assert_allclose(smoothed.variance[at], variance, rtol=1e-8)
    np.testing.assert_array_equal(smoothed.s, S)


def test_the_filter_knows_the_likelihood(observed, monkeypatch):
    monkeypatch.setattr("lp_infer.smoothing._CHUNK", 7)
    expected = np.zeros(KEYPOINTS)
    for at, y, r, seen in series(*observed):
        expected[at[1]] += dense_log_likelihood(y, r, seen, S[at[1]])
    np.testing.assert_allclose(log_likelihood(*observed, S), expected, rtol=1e-10)
    np.testing.assert_allclose(log_likelihood(*observed, np.stack([S / 2, S]))[1], expected, rtol=1e-10)


def walks(frames=2000, seed=0):
    """Truth, observations and their variance, for the steps of `S` and noise of standard deviation 2 px."""
    rng = np.random.default_rng(seed)
    truth = np.cumsum(rng.normal(size=(frames, KEYPOINTS, 2)) * np.sqrt(S)[:, None], 0) + 200
    return truth, truth + rng.normal(size=truth.shape) * 2, np.full(truth.shape, 4.0)


def test_s_is_found():
    truth, keypoints, noise = walks()
    keypoints[300:420, 1:] = np.nan
    found = best_s(keypoints, noise)
    np.testing.assert_allclose(found, S, rtol=0.4)  # what 2000 frames can tell
    finest = np.exp(np.linspace(-LOG_S_LIMIT, LOG_S_LIMIT, 1601))[:, None] * np.ones(KEYPOINTS)
    best = finest[log_likelihood(keypoints, noise, finest).argmax(0), 0]
    np.testing.assert_allclose(np.log(found), np.log(best), atol=0.015)

    smoothed = smooth(keypoints, noise)
    error = np.sqrt(np.mean((smoothed.keypoints - truth)[:300] ** 2, (0, 2)))
    raw = np.sqrt(np.mean((keypoints - truth)[:300] ** 2, (0, 2)))
    assert np.all(error[:2] < 0.4 * raw[:2]) and np.all(error < raw)  # slow walks gain much, fast ones lose nothing
    score = (smoothed.keypoints - truth) / np.sqrt(smoothed.variance)
    assert 0.9 < score[:, 1:4].std() < 1.1  # the posterior variance is honest, over the gap too


def test_frames_that_differ_in_noise():
    """The likelihood of the model itself finds the walk; that of one R for all frames takes noise for movement."""
    truth, _, _ = walks()
    rng = np.random.default_rng(1)
    noise = np.exp(rng.normal(0, 2, (*truth.shape[:2], 1))) * np.full(2, 4.0)
    keypoints = truth + rng.normal(size=truth.shape) * np.sqrt(noise)
    np.testing.assert_allclose(best_s(keypoints, noise), S, rtol=0.4)
    constant = typical_noise(noise)
    np.testing.assert_allclose(constant, np.broadcast_to(np.median(noise, 0), noise.shape))
    assert np.all(best_s(keypoints, constant)[:4] > 1.3 * S[:4])


def test_a_gap_is_a_straight_line_of_growing_doubt():
    _, keypoints, noise = walks(60)
    keypoints[20:41] = np.nan
    smoothed = smooth(keypoints, noise, 3.0)
    np.testing.assert_allclose(np.diff(smoothed.keypoints[19:42], 2, axis=0), 0, atol=1e-9)
    assert np.all(smoothed.variance[30] > smoothed.variance[20]) and np.all(smoothed.variance[30] > 10)


def test_never_observed_stays_missing_and_harms_nobody():
    _, keypoints, noise = walks(50)
    alone = smooth(keypoints[:, 1:], noise[:, 1:])
    keypoints[:, 0] = np.nan
    smoothed = smooth(keypoints, noise)
    assert np.isnan(smoothed.keypoints[:, 0]).all() and np.isnan(smoothed.variance[:, 0]).all()
    assert np.isnan(smoothed.s[0])
    np.testing.assert_array_equal(smoothed.keypoints[:, 1:], alone.keypoints)
    np.testing.assert_array_equal(smoothed.s[1:], alone.s)


def test_an_axis_never_observed_leaves_s_to_the_other():
    _, keypoints, noise = walks(200)
    keypoints[..., 0] = np.nan
    smoothed = smooth(keypoints, noise)
    assert np.isnan(smoothed.keypoints[..., 0]).all() and np.isfinite(smoothed.keypoints[..., 1]).all()
    np.testing.assert_array_equal(smoothed.s, best_s(keypoints[..., ::-1], noise))
    assert np.all(np.diff(smoothed.s) > 0)


def test_members_that_agree_to_the_last_digit():
    _, keypoints, noise = walks(50)
    noise[:] = 0
    keypoints[:, 0] = 7.0  # does not move either
    smoothed = smooth(keypoints, noise)
    np.testing.assert_allclose(smoothed.keypoints, keypoints, atol=1e-6)
    assert np.all(smoothed.variance >= 0) and np.all(np.isfinite(smoothed.s))


def test_one_frame():
    smoothed = smooth(np.array([[[3.0, np.nan]]]), np.ones((1, 1, 2)), 1.0)
    np.testing.assert_array_equal(smoothed.keypoints, [[[3.0, np.nan]]])


@pytest.mark.parametrize("s", [0.0, -1.0, float("nan"), float("inf")])
def test_s_must_be_positive(s):
    _, keypoints, noise = walks(3)
    with pytest.raises(ConfigError, match=f"s={s} must be positive"):
        smooth(keypoints, noise, s)


def test_median_of_what_is_there():
    rng = np.random.default_rng(3)
    values = rng.random((5, 200))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[0, 1:] = rng.random(199)
    values[:, 0] = np.nan
    np.testing.assert_array_equal(nan_median(values)[1:], np.nanmedian(values[:, 1:], 0))
    assert np.isnan(nan_median(values)[0])
