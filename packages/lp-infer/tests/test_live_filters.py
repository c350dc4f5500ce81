"""The filters of live poses, against other statements of the same thing, and what must hold of each of them."""

import math

import numpy as np
import pytest
from lp_core import ConfigError
from lp_infer.filters import FILTERS, ConstantVelocity, OneEuro, PoseFilter, make_filter


def run(filter, times, values, confidence=None):
    """(frames, keypoints, 2) through a filter."""
    confidence = np.ones(values.shape[:2]) if confidence is None else confidence
    return np.stack([filter.update(*row) for row in zip(times.tolist(), values, confidence, strict=True)])


def irregular(count, seed=0, rate=30):
    return np.cumsum(np.random.default_rng(seed).uniform(0.3, 1.7, count)) / rate


def walks(count, keypoints=3, seed=1):
    return 200 + np.cumsum(np.random.default_rng(seed).normal(0, 4, (count, keypoints, 2)), 0)


def one_euro_of_the_paper(times, values, min_cutoff, beta, speed_cutoff):
    """Algorithm 1 of Casiez et al. 2012 for one number, word by word."""

    def alpha(rate, cutoff):
        tau, te = 1.0 / (2 * math.pi * cutoff), 1.0 / rate
        return 1.0 / (1.0 + tau / te)

    hat, hat_speed, before, out = None, None, None, []
    for t, x in zip(times.tolist(), values.tolist(), strict=True):
        if hat is None:
            hat, hat_speed = x, 0.0
        else:
            rate = 1.0 / (t - before)
            slope, a = (x - hat) * rate, alpha(rate, speed_cutoff)
            hat_speed = a * slope + (1 - a) * hat_speed
            a = alpha(rate, min_cutoff + beta * abs(hat_speed))
            hat = a * x + (1 - a) * hat
        before = t
        out.append(hat)
    return np.array(out)


@pytest.mark.parametrize(("min_cutoff", "beta", "speed_cutoff"), [(1.0, 0.1, 1.0), (0.3, 0.0, 1.0), (5.0, 0.01, 3.0)])
def test_one_euro_is_the_papers_algorithm_of_each_axis(min_cutoff, beta, speed_cutoff):
    times, values = irregular(80), walks(80)
    got = run(OneEuro(min_cutoff=min_cutoff, beta=beta, speed_cutoff=speed_cutoff), times, values)
    for k, axis in np.ndindex(3, 2):
        expected = one_euro_of_the_paper(times, values[:, k, axis], min_cutoff, beta, speed_cutoff)
        np.testing.assert_allclose(got[:, k, axis], expected, rtol=1e-12)


def test_one_euro_without_beta_follows_a_step_as_a_low_pass_does():
    """After a step each frame leaves the share tau / (tau + T) of what was left."""
    period, cutoff = 0.02, 2.0
    times = np.arange(60) * period
    values = np.where(np.arange(60)[:, None, None] < 10, 0.0, 100.0) * np.ones((1, 1, 2))
    got = run(OneEuro(min_cutoff=cutoff, beta=0.0), times, values)[:, 0, 0]
    tau = 1 / (2 * math.pi * cutoff)
    left = (tau / (tau + period)) ** np.maximum(np.arange(60) - 9, 0)
    np.testing.assert_allclose(got, 100 * (1 - left), atol=1e-10)


def test_one_euro_is_less_late_with_beta_and_never_later_than_it_says():
    times = np.arange(300) / 100
    values = (times * 400)[:, None, None] * np.ones((1, 1, 2))
    for beta in (0.01, 0.1, 1.0):
        late = values[-1, 0, 0] - run(OneEuro(beta=beta), times, values)[-1, 0, 0]
        assert 0 < late < 1 / (2 * math.pi * beta)
        assert late < 400 / (2 * math.pi * 1.0) / 3  # of the same filter without beta


def expected_position(times, observed, at, q, r, v):
    """E[x(at) | observations] by conditioning one joint Gaussian: x(t) = x0 + v0 t + an integrated Wiener process.

    Cov of the latter at s <= t: q s² (3 t - s) / 6. The first observation is where x0 is expected, with variance r, and
    it is not used again.
    """

    def covariance(a, b):
        s, t = np.minimum(a[:, None], b), np.maximum(a[:, None], b)
        return r + v * a[:, None] * b + q * s**2 * (3 * t - s) / 6

    times, at = times - times[0], np.array([at - times[0]])
    later = times[1:]
    gain = covariance(at, later) @ np.linalg.inv(covariance(later, later) + r * np.eye(len(later)))
    return observed[0] + gain @ (observed[1:] - observed[0])


@pytest.mark.parametrize("ahead", [0.0, 0.05])
@pytest.mark.parametrize(("agility", "noise"), [(1000.0, 1.0), (30.0, 5.0)])
def test_kalman_is_the_conditional_mean_of_its_model(ahead, agility, noise):
    times, values = irregular(25), walks(25)
    got = run(ConstantVelocity(ahead=ahead, agility=agility, noise=noise), times, values)
    for n in (1, 2, 10, 24):
        flat = values[: n + 1].reshape(n + 1, -1)
        expected = expected_position(times[: n + 1], flat, times[n] + ahead, agility**2, noise**2, agility**2)
        np.testing.assert_allclose(got[n].ravel(), expected[0], rtol=1e-7)


def test_kalman_with_frames_missing_is_the_conditional_mean_of_those_seen():
    times, values = irregular(25), walks(25, keypoints=1)
    seen = np.random.default_rng(3).random(25) > 0.4
    seen[0], seen[-1] = True, False
    got = run(ConstantVelocity(agility=1000.0), times, values, seen[:, None].astype(float))
    expected = expected_position(times[seen], values[seen, 0], times[-1], 1e6, 1.0, 1e6)
    np.testing.assert_allclose(got[-1, 0], expected[0], rtol=1e-7)


def test_kalman_makes_up_for_latency_in_steady_motion():
    times = irregular(100)
    speed = np.array([300.0, -120.0])
    values = 50 + times[:, None, None] * speed
    got = run(ConstantVelocity(ahead=0.1), times, values)
    np.testing.assert_allclose(got[-1, 0], 50 + (times[-1] + 0.1) * speed, atol=0.01)
    np.testing.assert_allclose(run(ConstantVelocity(), times, values)[-1], values[-1], atol=0.01)


def test_kalman_steadies_what_rests():
    rng = np.random.default_rng(5)
    values = 100 + rng.normal(0, 2, (600, 4, 2))
    got = run(ConstantVelocity(agility=20.0, noise=2.0), np.arange(600) / 60, values)
    assert got[100:].std() < 0.5 * values.std() and abs(got[100:].mean() - 100) < 0.2


@pytest.mark.parametrize("filter", [OneEuro(), ConstantVelocity(), ConstantVelocity(ahead=0.2)], ids=repr)
class TestEveryFilter:
    @pytest.fixture(autouse=True)
    def _forget(self, filter):
        filter.reset()

    def test_is_one(self, filter):
        assert isinstance(filter, PoseFilter)

    def test_what_rests_is_not_moved(self, filter):
        values = np.broadcast_to(np.array([[3.25, -7.5], [0.1, 1e4]]), (50, 2, 2))
        np.testing.assert_allclose(run(filter, irregular(50), values), values, rtol=1e-12)

    def test_keypoints_and_axes_know_nothing_of_each_other(self, filter):
        times, values = irregular(40), walks(40)
        together = run(filter, times, values)
        filter.reset()
        np.testing.assert_allclose(run(filter, times, values[:, 1:2, ::-1])[:, 0, ::-1], together[:, 1], rtol=1e-12)

    def test_moving_and_scaling_time_origin_changes_nothing(self, filter):
        times, values = irregular(40), walks(40)
        first = run(filter, times, values)
        filter.reset()
        np.testing.assert_allclose(run(filter, times + 1000, values + 50), first + 50, rtol=1e-7)

    def test_an_unsure_keypoint_is_not_listened_to(self, filter):
        times, values = irregular(20), walks(20, keypoints=2)
        wild, sure = values.copy(), np.ones((20, 2))
        wild[10:15, 0], sure[10:15, 0] = 1e5, 0.05
        got = run(filter, times, wild, sure)
        filter.reset()
        gone = values.copy()
        gone[10:15, 0] = np.nan
        np.testing.assert_array_equal(got, run(filter, times, gone))  # the same as not seen at all
        assert np.isfinite(got).all() and np.abs(got[10:15, 0] - values[10:15, 0]).max() < 500
        filter.reset()
        np.testing.assert_array_equal(got[:, 1], run(filter, times, values)[:, 1])

    def test_long_unseen_begins_anew(self, filter):
        times = np.array([0.0, 0.1, 0.2, 0.3, 1.0, 1.5, 9.0, 9.1])
        values = np.array([0.0, 10, 20, 30, np.nan, np.nan, 500, 500])[:, None, None] * np.ones((1, 1, 2))
        got = run(filter, times, values)
        assert (got[6:] == 500).all()
        assert (
            np.isfinite(got).all() and np.abs(got[4:6]).max() < 30 + 100 * 1.3 + 20
        )  # 1 s at 100 px/s, then it stands

    def test_time_that_runs_backwards_begins_anew(self, filter):
        times, values = irregular(20), walks(20)
        run(filter, times + 5, values)
        again = run(filter, times, values)
        filter.reset()
        np.testing.assert_array_equal(run(filter, times, values), again)

    def test_two_frames_at_the_same_time_are_no_problem(self, filter):
        got = run(filter, np.array([0.0, 0.1, 0.1, 0.2]), walks(4))
        assert np.isfinite(got).all()

    def test_never_sure_is_passed_on(self, filter):
        values = walks(5)
        np.testing.assert_array_equal(run(filter, irregular(5), values, np.zeros((5, 3))), values)

    def test_what_it_is_given_is_not_changed(self, filter):
        values = walks(10)
        before = values.copy()
        run(filter, irregular(10), values)
        np.testing.assert_array_equal(values, before)


def test_filters_by_name():
    assert make_filter("none") is None and make_filter("kalman", ahead=0.05) == ConstantVelocity(ahead=0.05)
    for name in FILTERS:
        assert isinstance(make_filter(name), PoseFilter)
    for call, sentence in (
        (lambda: make_filter("kalmann"), "filter='kalmann' is not known; did you mean 'kalman'"),
        (lambda: make_filter("one_euro", ahead=1.0), "filter=one_euro has no option ahead; it has min_cutoff, beta"),
        (lambda: make_filter("kalman", ahead=-1.0), "ahead=-1.0 of the filter must be zero or positive"),
        (lambda: make_filter("kalman", noise=0.0), "noise=0.0 of the filter must be positive"),
        (lambda: make_filter("one_euro", min_cutoff=float("nan")), "min_cutoff=nan of the filter must be positive"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            call()
