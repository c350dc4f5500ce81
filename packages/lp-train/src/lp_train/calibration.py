"""From confidence to the pixel error to expect: fitted on labels that were not trained on. NumPy, no state, no chance.

The model: an error r = |prediction − label| in pixels of the original frame is, with probability 1 − q, the length of an
isotropic Gaussian of scale σ per axis (Rayleigh), and with probability q anywhere in a disc of radius R, as a swapped paw
is. Per area that is

    p(r) = (1 − q) · exp(−r² / 2σ²) / (2πσ²)  +  q / (πR²)          log σ = a_k + b · log(c / (1 − c)),  b ≤ 0

a Gaussian and a uniform part, fitted by expectation maximisation: Torr and Zisserman, "MLESAC", 2000, here in the
plane. Given the shares of the Gaussian part, r²/2 is exponential of mean σ², and log σ a gamma regression with log link:
McCullagh and Nelder, "Generalized linear models", 1989, chapter 8. The a_k are drawn round their own mean with a variance
that the labels decide, up to a bound: Morris, "Parametric empirical Bayes inference", 1983.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from lp_core import DataError

FEWEST_LABELS = 20
SUREST = 0.99  # a confidence above, or below 1 − SUREST, says no more than this one
FINEST = 0.01  # pixels: nobody labels better, and an error of exactly 0 would make sigma 0
MEDIAN = np.sqrt(2 * np.log(2))  # of a Rayleigh of scale 1
DISC = 10.0  # radius of the disc of outliers in typical sigmas, at least: what is nearer is no outlier
MOST_OUTLIERS = 0.25  # more than that are not outliers but how good the model is
INLIERS_BEFORE = 10.0  # labels without an outlier that count as seen before the first: q ~ Beta(1, 11)
SPREAD = 0.5  # standard deviation of the a_k before any label is seen; at most, lest two labels near 0 make it grow
SLOPE = 1.0  # scale of the prior of b; it only decides where every confidence is the same
ITERATIONS = 500
TOLERANCE = 1e-7

Errors = Float[np.ndarray, "frames keypoints"]
Values = Float[np.ndarray, " labels"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pixel error to expect of a prediction that is not an outlier.

    Attributes:
        intercepts: per keypoint, log of sigma in pixels of the original frame at confidence 0.5.
        slope: of log sigma over the log-odds of confidence, at most 0.
        outliers: share of the labels that the model of sigma gives up, at most 0.25; no sigma speaks for them.
        labels: how many labeled keypoints it was fitted on.
    """

    intercepts: tuple[float, ...]
    slope: float
    outliers: float
    labels: int

    def sigma(self, confidence: Errors) -> Errors:
        """Standard deviation per axis in pixels of the original frame; NaN where the confidence is.

        Confidences lower than any of the validation frames are extrapolated, down to 0.01.

        Raises:
            DataError: it was fitted on another number of keypoints.
        """
        if confidence.shape[1] != len(self.intercepts):
            raise DataError(
                f"confidence has {confidence.shape[1]} keypoints and the calibration has {len(self.intercepts)}; "
                f"use the calibration of the model that made the predictions."
            )
        return np.exp(np.array(self.intercepts) + self.slope * log_odds(confidence))

    def to_dict(self) -> dict[str, Any]:
        """Numbers and a list, as JSON has them."""
        return dataclasses.asdict(self) | {"intercepts": list(self.intercepts)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        """The inverse of `to_dict`.

        Raises:
            DataError: a key is missing, unknown, or of the wrong kind.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if wrong := sorted(set(names) ^ set(values)):
            raise DataError(
                f"a calibration has the keys {', '.join(names)}: check {', '.join(wrong)}, or fit it again."
            )
        try:
            intercepts = tuple(float(v) for v in values["intercepts"])
            return cls(intercepts, float(values["slope"]), float(values["outliers"]), int(values["labels"]))
        except (TypeError, ValueError):
            raise DataError("a calibration holds numbers only, `intercepts` a list of them; fit it again.") from None


def log_odds(confidence: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """log(c / (1 − c)) of a confidence clipped to 0.01 … 0.99, where it is between −4.6 and 4.6; NaN stays."""
    c = np.clip(np.asarray(confidence, np.float64), 1 - SUREST, SUREST)
    return np.log(c) - np.log1p(-c)


def fit_sigma(error: Errors, confidence: Errors) -> Calibration | None:
    """Sigma as a function of confidence, by the model on top of this module.

    Args:
        error: in pixels of the original frame, of frames that were not trained on; NaN = not labeled.
        confidence: of the same keypoints, 0 to 1.

    Returns:
        None if fewer than 20 keypoints are both labeled and predicted: nothing can be said then. With few more, sigma is
        somewhat small: of calibrated errors, 24 labels of 12 keypoints cover 80% at level 0.9, 170 of 17 cover 88%.
    """
    known = np.isfinite(error) & np.isfinite(confidence)
    if known.sum() < FEWEST_LABELS:
        return None
    labels = _Labels(
        square=np.maximum(error[known].astype(np.float64), FINEST) ** 2,
        odds=log_odds(confidence[known]),
        keypoint=np.nonzero(known)[1],
        keypoints=error.shape[1],
    )
    theta, outliers = _maximised(labels)
    return Calibration(tuple(theta[:-1].tolist()), float(theta[-1]), outliers, int(known.sum()))


@dataclass(frozen=True, slots=True)
class _Labels:
    """All labeled keypoints in a row: squared error, log-odds, number of the keypoint."""

    square: Values
    odds: Values
    keypoint: Int[np.ndarray, " labels"]
    keypoints: int

    def per_keypoint(self, values: Values) -> Float[np.ndarray, " keypoints"]:
        return np.bincount(self.keypoint, values, self.keypoints)


def _maximised(labels: _Labels) -> tuple[Float[np.ndarray, " parameters"], float]:
    """(a_1 … a_K, b), q: expectation and one damped scoring step in turn until nothing moves."""
    typical = float(np.sqrt(np.median(labels.square)) / MEDIAN)
    disc = max(float(labels.square.max()), (DISC * typical) ** 2)
    theta = np.append(np.full(labels.keypoints, np.log(typical)), 0.0)
    outliers, variance = 0.5 / INLIERS_BEFORE, SPREAD**2
    for _ in range(ITERATIONS):
        log_sigma = theta[labels.keypoint] + theta[-1] * labels.odds
        inlier = _inlier(labels.square, np.exp(2 * log_sigma), disc, outliers)
        before, theta = theta, _scored(labels, log_sigma, inlier, variance)
        outliers = min(float((1 - inlier).sum()) / (len(inlier) + INLIERS_BEFORE), MOST_OUTLIERS)
        variance = _spread(theta[:-1], labels.per_keypoint(inlier), variance)
        if np.abs(theta - before).max() < TOLERANCE:
            break
    return theta, outliers


def _inlier(square: Values, sigma_square: Values, disc: float, outliers: float) -> Values:
    """Probability that each label belongs to the Gaussian part; `disc` is R²."""
    if outliers <= 0:
        return np.ones_like(square)
    against = np.log(outliers / (1 - outliers)) + np.log(2 * sigma_square / disc) + square / (2 * sigma_square)
    return np.exp(-np.logaddexp(0.0, against))


def _scored(labels: _Labels, log_sigma: Values, inlier: Values, variance: float) -> Float[np.ndarray, " parameters"]:
    """One step towards the weighted maximum: least squares with the priors as rows.

    The curvature of −2 log σ − r²/2σ² in log σ is 2r²/σ² here and 4 on average; the larger of both never oversteps.
    """
    u = labels.square * np.exp(-2 * log_sigma)
    curvature = np.maximum(2 * u, 4.0)
    weight, target = inlier * curvature, log_sigma + (u - 2) / curvature
    matrix = np.diag(np.append(labels.per_keypoint(weight), weight @ labels.odds**2 + SLOPE**-2))
    matrix[-1, :-1] = matrix[:-1, -1] = labels.per_keypoint(weight * labels.odds)
    matrix[:-1, :-1] += (np.eye(labels.keypoints) - 1 / labels.keypoints) / variance  # (a_k − mean a)² / variance
    vector = np.append(labels.per_keypoint(weight * target), (weight * target) @ labels.odds)
    theta = np.linalg.solve(matrix, vector)
    if theta[-1] <= 0:
        return theta
    return np.append(np.linalg.solve(matrix[:-1, :-1], vector[:-1]), 0.0)


def _spread(
    intercepts: Float[np.ndarray, " keypoints"], inliers: Float[np.ndarray, " keypoints"], variance: float
) -> float:
    """Variance of the a_k: their distances from the mean, what is unknown of each, and one keypoint of `SPREAD`."""
    unknown = 1 / (4 * inliers + 1 / variance)  # Fisher information of log σ is 4 per label
    found = (((intercepts - intercepts.mean()) ** 2 + unknown).sum() + SPREAD**2) / (len(intercepts) + 1)
    return min(float(found), SPREAD**2)


def coverage(error: Errors, sigma: Errors, levels: Sequence[float]) -> dict[float, float]:
    """Level p → share of the errors within σ · sqrt(−2 ln(1 − p)), the radius of level p of a Rayleigh; NaN if none is known."""
    known = np.isfinite(error) & np.isfinite(sigma)
    if not known.any():
        return dict.fromkeys(levels, float("nan"))
    ratio = error[known] / sigma[known]
    return {p: float((ratio <= np.sqrt(-2 * np.log1p(-p))).mean()) for p in levels}


class ReliabilityRow(NamedTuple):
    """Predictions of about the same sigma; all in pixels of the original frame.

    Attributes:
        predicted: root mean square of the predicted sigmas.
        root_mean_square: sigma of the errors as sqrt(mean r² / 2), which outliers raise.
        median_based: sigma of the errors as median r / sqrt(2 ln 2), which outliers hardly move.
        count: of labeled keypoints.
    """

    predicted: float
    root_mean_square: float
    median_based: float
    count: int


def reliability(error: Errors, sigma: Errors, bins: int = 8) -> list[ReliabilityRow]:
    """Predicted against observed sigma, in bins of equal count by predicted sigma; fewer where there are fewer errors."""
    known = np.isfinite(error) & np.isfinite(sigma)
    r, s = error[known], sigma[known]
    parts = np.array_split(np.argsort(s, kind="stable"), max(1, min(bins, len(s))))
    return [_row(r[part], s[part]) for part in parts if len(part)]


def _row(r: Values, s: Values) -> ReliabilityRow:
    rms = np.sqrt((r**2).mean() / 2)
    return ReliabilityRow(float(np.sqrt((s**2).mean())), float(rms), float(np.median(r) / MEDIAN), len(r))
