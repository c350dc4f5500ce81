"""Which individual a piece of a track looks like, learned from the video itself. NumPy and SciPy only."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import eigh

from lp_infer.tracking.looks import Looks
from lp_infer.tracking.tracklets import Tracklet

WINDOW = 10  # frames whose looks are averaged
SHRINKAGE = 0.1  # of the spread within an animal, towards equal spread of all numbers
TELLING = 2.0  # spread between animals over that within one, from which a direction says something
SLOW = 0.5  # least spread of the looks of one animal from piece to piece, in those from window to window
FREEDOM = 4.0  # of the Student distribution of looks
APART = 2.0  # standard deviations; individuals nearer than that are taken for equal


@dataclass(frozen=True, slots=True)
class Resemblance:
    """Looks of pieces along the directions in which animals differ, in standard deviations within one of them.

    Attributes:
        looks: 0 where nothing was seen.
        windows: how many were averaged; 0 = not seen.
    """

    looks: Float[np.ndarray, "pieces directions"]
    windows: Float[np.ndarray, " pieces"]

    @classmethod
    def of(cls, pieces: list[Tracklet], looks: Looks, count: int) -> "Resemblance":
        """By linear discriminants (Rao 1948) whose classes are pieces: what one piece's windows differ by is the spread
        within an animal, what pieces at the same time differ by is the spread between animals. At most `count` − 1.
        """
        owner, time, means, seen = _windows(pieces, looks)
        means = means - means.mean(0) if len(means) else means
        basis = _directions(owner, time, means, count)
        total, weight = np.zeros((len(pieces), basis.shape[1])), np.zeros(len(pieces))
        np.add.at(total, owner, seen[:, None] * (means @ basis))
        np.add.at(weight, owner, seen)
        return cls(total / np.maximum(weight, 1)[:, None], weight / WINDOW)

    def unlike(
        self, means: Float[np.ndarray, "individuals directions"], spread: Float[np.ndarray, " directions"]
    ) -> Float[np.ndarray, "pieces individuals"]:
        """Minus the logarithm of how likely each individual looks like this; 0 where nothing was seen."""
        variance = spread + 1 / np.maximum(self.windows, 1e-9)[:, None]
        squares = ((self.looks[:, None] - means) ** 2 / variance[:, None]).sum(-1)
        price = (FREEDOM + means.shape[1]) / 2 * np.log1p(squares / FREEDOM)
        return np.where(self.windows[:, None] > 0, price + np.log(variance).sum(-1, keepdims=True) / 2, 0.0)

    def individuals(
        self,
        who: Int[np.ndarray, " pieces"],
        old: Float[np.ndarray, "individuals directions"],
        spread: Float[np.ndarray, " directions"],
    ) -> tuple[Float[np.ndarray, "individuals directions"], Float[np.ndarray, " directions"]]:
        """Mean looks of the pieces of each individual, and how much the pieces of one vary; those hardly apart share one."""
        weight = np.where(who >= 0, 1 / (spread.mean() + 1 / np.maximum(self.windows, 1e-9)), 0.0)
        weight[self.windows == 0] = 0.0
        means = old.copy()
        for k in range(len(old)):
            if (mine := weight * (who == k)).sum() > 0:
                means[k] = (mine[:, None] * self.looks).sum(0) / mine.sum()
        apart = (self.looks - means[who]) ** 2 - 1 / np.maximum(self.windows, 1e-9)[:, None]
        spread = np.maximum((weight[:, None] * apart).sum(0) / max(weight.sum(), 1e-9), SLOW)
        return _merged(means, spread), spread


def _windows(
    pieces: list[Tracklet], looks: Looks
) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, "windows numbers"], np.ndarray]:
    """Piece and time of each window, its mean looks (the mean of all where nothing is known), and its poses."""
    owner = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    frames = np.concatenate([piece.frames for piece in pieces])
    found = looks[frames, np.concatenate([piece.rows for piece in pieces])]
    known = np.isfinite(found)
    some = known.any(1)
    owner, frames, found, known = owner[some], frames[some], found[some], known[some]
    key, which = np.unique(np.stack([owner, frames // WINDOW]), axis=1, return_inverse=True)
    total, times = np.zeros((key.shape[1], looks.shape[2])), np.zeros((key.shape[1], looks.shape[2]))
    np.add.at(total, which, np.where(known, found, 0.0))
    np.add.at(times, which, known)
    everywhere = total.sum(0) / np.maximum(times.sum(0), 1)
    means = np.where(times > 0, total / np.maximum(times, 1), everywhere)
    return key[0], key[1], means, np.bincount(which, minlength=key.shape[1]).astype(float)


def _directions(
    owner: np.ndarray, time: np.ndarray, means: Float[np.ndarray, "windows numbers"], count: int
) -> Float[np.ndarray, "numbers directions"]:
    within, between = _within(owner, means), _between(owner, time, means)
    numbers = means.shape[1]
    size = np.trace(within) / max(numbers, 1)
    if not size > 0:
        return np.zeros((numbers, 0))
    values, vectors = eigh(between, (1 - SHRINKAGE) * within + SHRINKAGE * size * np.eye(numbers))
    best = np.argsort(values)[::-1][: max(count - 1, 0)]
    return vectors[:, best[values[best] > TELLING]]


def _within(owner: np.ndarray, means: np.ndarray) -> Float[np.ndarray, "numbers numbers"]:
    """Covariance of the windows of one piece."""
    _, which, size = np.unique(owner, return_inverse=True, return_counts=True)
    total = np.zeros((len(size), means.shape[1]))
    np.add.at(total, which, means)
    apart = means - (total / size[:, None])[which]
    return apart.T @ apart / max(len(means) - len(size), 1)


def _between(owner: np.ndarray, time: np.ndarray, means: np.ndarray) -> Float[np.ndarray, "numbers numbers"]:
    """Covariance of windows of different pieces at the same time: half that of their differences."""
    total, pairs = np.zeros((means.shape[1], means.shape[1])), 0
    for moment in np.unique(time):
        here = means[time == moment]
        apart = here - here.mean(0)
        total += apart.T @ apart
        pairs += len(here) - 1
    return total / max(pairs, 1)


def _merged(means: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Individuals that are hardly apart, or that others between them join, get the mean of their looks."""
    scaled = means / np.sqrt(spread)
    near = np.linalg.norm(scaled[:, None] - scaled[None], axis=-1) < APART
    for _ in range(len(means)):
        near = (near.astype(int) @ near.astype(int)) > 0
    return np.stack([means[row].mean(0) for row in near])
