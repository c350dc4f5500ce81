"""The single-camera ensemble Kalman smoother. NumPy only.

Model per keypoint and axis, of Biderman et al. 2024 (Nature Methods 21, "Lightning Pose", section on the ensemble Kalman
smoother) with the constants of the package `ensemble-kalman-smoother` 4.6.2: a random walk x[t + 1] = x[t] + N(0, s),
observed as y[t] = x[t] + N(0, R[t]), where R[t] says how far the members of the ensemble disagree. The walk begins with
mean and variance of all observations. Positions are pixels of the original frame, variances and s are pixels².

Written in the weights W = 1 / R, a missing observation is W = 0 and needs no case of its own, and every variance is a
product or a sum of positive numbers, so that none is lost to rounding where members agree to the last digit.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from lp_core import ConfigError

LEAST_NOISE = 1e-12  # pixels²: R of an ensemble whose members are equal
LEAST_TYPICAL_NOISE = 1e-4  # pixels²: the same where R is taken not to change
LOG_S_LIMIT = 8.0  # s is sought between exp(-8) and exp(8)
_CANDIDATES, _ROUNDS = 17, 3  # per round; each round looks between the neighbours of the best: log s to 1/128
_CHUNK = 256  # frames whose likelihood is summed at once: bounds the memory of the search


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothed:
    """What the smoother makes of a sequence.

    Attributes:
        keypoints: posterior mean of (x, y), in pixels of the original frame; NaN = this keypoint was never observed.
        variance: posterior variance of x and y, in pixels².
        s: variance of one step of the random walk, in pixels² per frame; NaN = never observed.
    """

    keypoints: Float[np.ndarray, "frames keypoints 2"]
    variance: Float[np.ndarray, "frames keypoints 2"]
    s: Float[np.ndarray, " keypoints"]


@dataclass(frozen=True, slots=True)
class _Observed:
    """Observations as the filter wants them: values and weights 0 where missing, and where the walk begins."""

    seen: Bool[np.ndarray, "frames keypoints 2"]
    values: Float[np.ndarray, "frames keypoints 2"]
    weights: Float[np.ndarray, "frames keypoints 2"]
    mean: Float[np.ndarray, "keypoints 2"]
    variance: Float[np.ndarray, "keypoints 2"]

    @classmethod
    def of(
        cls, keypoints: Float[np.ndarray, "frames keypoints 2"], noise: Float[np.ndarray, "frames keypoints 2"]
    ) -> "_Observed":
        seen = np.isfinite(keypoints) & np.isfinite(noise)
        values = np.where(seen, keypoints, 0.0)
        weights = np.where(seen, 1 / np.fmax(noise, LEAST_NOISE), 0.0)
        with np.errstate(invalid="ignore"):  # 0 / 0 where nothing was observed: NaN, and so is all that follows
            mean = values.sum(0) / seen.sum(0)
            variance = np.where(seen, (values - mean) ** 2, 0.0).sum(0) / seen.sum(0)
        return cls(seen, values, weights, mean, variance)


def smooth(
    keypoints: Float[np.ndarray, "frames keypoints 2"],
    noise: Float[np.ndarray, "frames keypoints 2"],
    s: float | Float[np.ndarray, " keypoints"] | None = None,
) -> Smoothed:
    """Kalman filter forwards, Rauch–Tung–Striebel smoother backwards, for all keypoints and axes at once.

    Args:
        keypoints: observed (x, y) of consecutive frames, in pixels; NaN = missing, which is bridged.
        noise: variance R of each observation, in pixels².
        s: variance of one step of the walk in pixels² per frame, one for all or one per keypoint; smaller is smoother.
            None = the most likely one per keypoint, see `best_s`.

    Raises:
        ConfigError: s is not positive and finite.
    """
    steps = best_s(keypoints, noise) if s is None else np.broadcast_to(np.asarray(s, float), keypoints.shape[1:2])
    if s is not None and not np.all((steps > 0) & np.isfinite(steps)):
        raise ConfigError(f"s={s} must be positive and finite; leave it out to have it found for every keypoint.")
    observed = _Observed.of(np.asarray(keypoints, float), np.asarray(noise, float))
    means, variances = _smoothed(*_filtered(observed, steps[:, None]), steps[:, None])
    return Smoothed(keypoints=means, variance=variances, s=np.where(observed.seen.any((0, 2)), steps, np.nan))


def best_s(
    keypoints: Float[np.ndarray, "frames keypoints 2"], noise: Float[np.ndarray, "frames keypoints 2"]
) -> Float[np.ndarray, " keypoints"]:
    """The s between exp(-8) and exp(8) pixels² that makes each keypoint's observations most likely; x and y share it.

    Candidates on a grid of log s, refined around the best of them; NaN where a keypoint was never observed.
    The published package maximises the likelihood of a model whose R does not change: pass `typical_noise(noise)` for
    its s, which is too large where the members disagree in some frames much more than in others.
    """
    observed = np.isfinite(keypoints) & np.isfinite(noise)
    centre, reach = np.zeros(keypoints.shape[1]), LOG_S_LIMIT
    for _ in range(_ROUNDS):
        grid = centre + np.linspace(-reach, reach, _CANDIDATES)[:, None]
        grid = grid.clip(-LOG_S_LIMIT, LOG_S_LIMIT)
        best = log_likelihood(keypoints, noise, np.exp(grid)).argmax(0)
        centre, reach = np.take_along_axis(grid, best[None], 0)[0], 2 * reach / (_CANDIDATES - 1)
    return np.where(observed.any((0, 2)), np.exp(centre), np.nan)


def typical_noise(noise: Float[np.ndarray, "frames keypoints 2"]) -> Float[np.ndarray, "frames keypoints 2"]:
    """The median over frames of each keypoint's and axis's noise, in every frame; NaN stays NaN."""
    median = np.fmax(nan_median(noise), LEAST_TYPICAL_NOISE)
    return np.where(np.isfinite(noise), median, np.nan)


def log_likelihood(
    keypoints: Float[np.ndarray, "frames keypoints 2"],
    noise: Float[np.ndarray, "frames keypoints 2"],
    s: Float[np.ndarray, "*candidates keypoints"],
) -> Float[np.ndarray, "*candidates keypoints"]:
    """Log density of what was observed of each keypoint, x and y together, for each candidate of s.

    The sum over frames of log N(y; m, P + R) with the filter's prediction m and its variance P (prediction error
    decomposition: Harvey 1989, "Forecasting, structural time series models and the Kalman filter", 3.4).
    """
    observed = _Observed.of(np.asarray(keypoints, float), np.asarray(noise, float))
    steps = s[..., None]
    state = np.broadcast_to(observed.mean, (*s.shape, 2)), np.broadcast_to(observed.variance, (*s.shape, 2))
    total = np.zeros((*s.shape, 2))
    for start in range(0, len(keypoints), _CHUNK):
        values, weights = (array[start : start + _CHUNK] for array in (observed.values, observed.weights))
        means, variances, state = _predicted(values, weights, state, steps)
        shape = (len(values), *(1,) * (s.ndim - 1), *values.shape[1:])
        values, weights = values.reshape(shape), weights.reshape(shape)
        growth = 1 + variances * weights  # (P + R) / R
        total += (np.log(growth) + (values - means) ** 2 * weights / growth).sum(0)
    weights = np.where(observed.seen, observed.weights, 2 * np.pi)  # what is missing adds log(1)
    return -0.5 * np.nansum(total + np.log(2 * np.pi / weights).sum(0), axis=-1)  # NaN: an axis never observed


def nan_median(values: Float[np.ndarray, "n *rest"]) -> Float[np.ndarray, "*rest"]:
    """Median over the first axis of what is not NaN; NaN where nothing is."""
    ordered, count = np.sort(values, axis=0), np.isfinite(values).sum(0)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(values) - 1)
    return (np.take_along_axis(ordered, low[None], 0)[0] + np.take_along_axis(ordered, high[None], 0)[0]) / 2


def _predicted(
    values: np.ndarray, weights: np.ndarray, state: tuple[np.ndarray, np.ndarray], steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of every frame given the frames before it, and of the frame after the last."""
    mean, variance = state
    means, variances = (np.empty((len(values), *mean.shape)) for _ in range(2))
    for t, (value, weight) in enumerate(zip(values, weights, strict=True)):
        means[t], variances[t] = mean, variance
        posterior = variance / (1 + variance * weight)
        mean = mean + posterior * weight * (value - mean)
        variance = posterior + steps
    return means, variances, (mean, variance)


def _filtered(observed: _Observed, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of every frame given the frames up to it."""
    start = observed.mean, observed.variance
    means, variances, _ = _predicted(observed.values, observed.weights, start, steps)
    variances /= 1 + variances * observed.weights
    means += variances * observed.weights * (observed.values - means)
    return means, variances


def _smoothed(means: np.ndarray, variances: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of every frame given all frames (Rauch, Tung and Striebel 1965); in place.

    With the gain J = P / (P + s): m + J (m' − m) and, as P − J² (P + s) = J s, the variance J s + J² V'.
    """
    gains = variances / (variances + steps)
    for t in range(len(means) - 2, -1, -1):
        means[t] += gains[t] * (means[t + 1] - means[t])
        variances[t] = gains[t] * (steps + gains[t] * variances[t + 1])
    return means, variances
