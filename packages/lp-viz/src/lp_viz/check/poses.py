"""Labels that do not fit their pose, and pairs that fit better the other way round."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from jaxtyping import Float
from lp_core import LabelSet

from lp_viz.check.finding import Finding
from lp_viz.check.gaussian import Pose, PoseGaussian, Poses, fit_gaussian, refined
from lp_viz.check.sides import side_pairs

FEWEST = 20  # poses below which nothing is said
RARE = 10  # labels of a keypoint below which nothing is said about it
FOLDS = 10
ROUNDS = 5  # of expectation maximisation
ROUGH = 0.01  # noise in them, of the size of a pose
NOISES = (0.005, 0.01, 0.02, 0.05, 0.1)  # of the size of a pose
FAR = 7.0  # robust standard deviations: a label farther from where the others expect it is an outlier
NEAR = 0.04  # of the size of a pose: a label nearer is never an outlier, whatever the deviation
FLOOR = 4.0  # px: and neither is this
GAIN, GAIN_UNNAMED = 20.0, 60.0  # squared deviations that a swap must save
FITS = 6.0  # deviations within which a swapped pair must fit
SUSPECT = 2.0  # deviations of a keypoint below which no pair with it is tried
MANY = 6  # pairs up to which all sets of them are tried
RAYLEIGH = 1.1774  # median length of a standard normal vector in two dimensions


Swap = tuple[tuple[int, int], ...]  # pairs of keypoints


@dataclass(frozen=True, slots=True)
class Judge:
    """What poses are like, learned from all but a tenth of them for each tenth.

    Attributes:
        folds: the Gaussian for the poses whose number modulo `FOLDS` is its own.
        scale: per keypoint the size of an ordinary misfit.
        size: px, the diagonal of an ordinary pose.
    """

    folds: tuple[PoseGaussian, ...]
    scale: Float[np.ndarray, " keypoints"]
    size: float

    def misfits(self, number: int, pose: Pose) -> tuple[Float[np.ndarray, " keypoints"], Pose]:
        """In robust standard deviations, and where each keypoint should be."""
        distance, places = self.folds[number % FOLDS].misfits(pose)
        return distance / self.scale, places

    def gains(self, number: int, pose: Pose, swaps: Sequence[Swap]) -> Float[np.ndarray, " swaps"]:
        """The squared deviations that each set of swaps saves."""
        others = np.stack([pose, *(swapped(pose, swap) for swap in swaps)])
        far = self.folds[number % FOLDS].far(others)
        units = np.array([np.mean([self.scale[k] ** 2 for pair in swap for k in pair]) for swap in swaps])
        return (far[0] - far[1:]) / units


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with one pose: pairs (a, b, gain), and labels (keypoint, deviations, expected place)."""

    swaps: list[tuple[int, int, float]]
    outliers: list[tuple[int, float, np.ndarray]]
    corrected: Pose


def pose_findings(labels: LabelSet) -> tuple[list[Finding], str]:
    """Outliers and swaps, and why nothing could be said, if so."""
    columns = pose_columns(labels)
    poses = labels.keypoints[:, columns].reshape(-1, columns.shape[1], 2)
    rows, groups = np.divmod(np.arange(len(poses)), len(columns))
    kept = np.isfinite(poses).all(-1).sum(1) >= 3
    if kept.sum() < FEWEST:
        return [], f"outliers and swaps need {FEWEST} poses with at least 3 labels; there are {int(kept.sum())}"
    names = labels.animals.parts if labels.animals else labels.keypoint_names
    verdicts = judge(poses[kept], side_pairs(names))
    found = []
    for verdict, row, group in zip(verdicts, rows[kept], groups[kept], strict=True):
        found += _findings(verdict, labels, int(row), columns[group])
    return found, ""


def pose_columns(labels: LabelSet) -> np.ndarray:
    """The columns of each animal's pose, one row per animal."""
    animals = labels.animals
    if animals is None:
        return np.arange(len(labels.keypoint_names))[None]
    return np.arange(animals.owned).reshape(-1, len(animals.parts))


def judge(poses: Poses, pairs: Sequence[tuple[int, int]]) -> list[Verdict]:
    """A verdict for every pose. What a first look finds is put right or left out before the second."""
    first = learn(poses)
    cleaned = np.stack([verdict_of(first, n, pose, pairs).corrected for n, pose in enumerate(poses)])
    second = learn(cleaned)
    return [verdict_of(second, n, pose, pairs) for n, pose in enumerate(poses)]


def learn(poses: Poses) -> Judge:
    """The noise that predicts left-out poses best, and the misfits that are ordinary with it."""
    size = pose_size(poses)
    tenth = np.arange(len(poses)) % FOLDS
    known = [poses[tenth != n] for n in range(FOLDS)]
    plain = [refined(fit_gaussian(own, (ROUGH * size) ** 2), own, ROUNDS) for own in known]
    tried = [_crossed(poses, [replace(one, noise=(share * size) ** 2) for one in plain]) for share in NOISES]
    folds, distance, _ = min(tried, key=lambda one: one[2])
    counts = np.isfinite(distance).sum(0)
    middle = np.full(len(counts), np.nan)
    middle[counts >= RARE] = np.nanmedian(distance[:, counts >= RARE], 0) / RAYLEIGH
    ordinary = np.nanmedian(middle) if (counts >= RARE).any() else 1.0
    return Judge(folds, np.maximum(middle, 0.5 * ordinary), size)


def pose_size(poses: Poses) -> float:
    """px: the median over poses of the diagonal of the box round the labels."""
    low, high = (f(np.where(np.isfinite(poses), poses, fill), 1) for f, fill in ((np.min, np.inf), (np.max, -np.inf)))
    return float(np.median(np.linalg.norm(high - low, axis=-1)))


def _crossed(poses: Poses, folds: list[PoseGaussian]) -> tuple[tuple[PoseGaussian, ...], np.ndarray, float]:
    """The misfits of each tenth by the Gaussian without it, and the distance in px that 90% of labels are within."""
    found = [folds[n % FOLDS].misfits(pose) for n, pose in enumerate(poses)]
    pixels = np.linalg.norm(poses - np.stack([places for _, places in found]), axis=-1)
    return tuple(folds), np.stack([distance for distance, _ in found]), float(np.nanpercentile(pixels, 90))


def verdict_of(judge: Judge, number: int, pose: Pose, pairs: Sequence[tuple[int, int]]) -> Verdict:
    """Swap pairs if that saves much; then leave out the worst label as long as it is far off."""
    swaps, bad = _best_swaps(judge, number, pose, pairs), list[int]()
    pose = swapped(pose, [(a, b) for a, b, _ in swaps])
    kept = pose.copy()
    while len(bad) < max(1, np.isfinite(pose).all(-1).sum() // 3):
        score, _ = _off(judge, number, kept)
        worst = int(score.argmax())
        if score[worst] <= FAR:
            break
        bad.append(worst)
        kept[worst] = np.nan
    outliers = []
    for k in bad:  # a good label can look bad while a bad one is among the others
        again = kept.copy()
        again[k] = pose[k]
        score, places = _off(judge, number, again)
        if score[k] > FAR:
            outliers.append((k, float(score[k]), places[k]))
        else:
            kept = again
    return Verdict(swaps, outliers, kept)


def _off(judge: Judge, number: int, pose: Pose) -> tuple[Float[np.ndarray, " keypoints"], Pose]:
    """The deviations of the labels that are far enough in pixels, 0 for others; and where all should be."""
    distance, places = judge.misfits(number, pose)
    far = np.linalg.norm(pose - places, axis=-1) > max(FLOOR, NEAR * judge.size)
    return np.where(far & np.isfinite(distance), distance, 0.0), places


def swapped(pose: Pose, swap: Sequence[tuple[int, int]]) -> Pose:
    """A copy with the keypoints of each pair exchanged."""
    out = pose.copy()
    for a, b in swap:
        out[[a, b]] = out[[b, a]]
    return out


def _best_swaps(
    judge: Judge, number: int, pose: Pose, pairs: Sequence[tuple[int, int]]
) -> list[tuple[int, int, float]]:
    """The pairs to swap, and what each saves; those that the names give all together, any others one at a time."""
    distance, _ = judge.misfits(number, pose)
    off = np.flatnonzero(np.nan_to_num(distance) > SUSPECT)
    named = [pair for pair in pairs if np.isfinite(distance[list(pair)]).all()]
    sizes = range(1, len(named) + 1) if len(named) <= MANY else (1, len(named))
    tried: list[tuple[Swap, float]] = [(s, GAIN * n) for n in sizes for s in combinations(named, n)]
    tried += [(((int(a), int(b)),), GAIN_UNNAMED) for a, b in combinations(off, 2) if (a, b) not in named]
    if not len(off) or not tried:
        return []
    gains = judge.gains(number, pose, [swap for swap, _ in tried])
    saved = gains - np.array([cost for _, cost in tried])
    for best in np.argsort(-saved):
        swap = tried[best][0]
        if not saved[best] > 0:
            break
        left, _ = judge.misfits(number, swapped(pose, swap))
        if max(left[k] for pair in swap for k in pair) < FITS:
            return [(a, b, float(gains[best]) / len(swap)) for a, b in swap]
    return []


def _findings(verdict: Verdict, labels: LabelSet, row: int, columns: np.ndarray) -> list[Finding]:
    found, names = [], labels.keypoint_names
    for a, b, gain in verdict.swaps:
        pair = (int(columns[a]), int(columns[b]))
        what = f"{names[pair[0]]} and {names[pair[1]]} fit the other labels better the other way round"
        places = labels.keypoints[row, list(pair[::-1])]
        found.append(Finding(kind="swap", what=what, row=row, keypoints=pair, expected=places, value=gain))
    for k, deviations, place in verdict.outliers:
        column = int(columns[k])
        away = float(np.linalg.norm(labels.keypoints[row, column] - place))
        what = f"{names[column]} is {away:.0f} px from where the other labels expect it ({deviations:.1f} deviations)"
        found.append(
            Finding(kind="outlier", what=what, row=row, keypoints=(column,), expected=place[None], value=deviations)
        )
    return found
