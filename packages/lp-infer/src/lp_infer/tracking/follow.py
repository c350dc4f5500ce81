"""Follow animals frame by frame: predict every track, assign the animals found, begin and end tracks. No torch."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from lp_infer.tracking import geometry
from lp_infer.tracking.bodies import Body
from lp_infer.tracking.motion import Motion

NOISE, AGILITY, PACE = (
    0.1,
    0.05,
    0.3,
)  # in lengths of an animal: error of a place, change of speed per frame, first speed
RENEWAL = 0.3  # share that the newest shape has in the average


@runtime_checkable
class Options(Protocol):
    """What a tracker can be told; see `lp_infer.tracking.config`."""

    similarity: float
    max_age: int
    min_hits: int
    min_confidence: float
    length: float


class Follower:
    """`lp_core.AnimalTracker` with a Kalman filter of constant velocity and an optimal assignment per frame.

    Everything is measured in lengths of an animal, so that the size of the frame makes no difference.
    """

    def __init__(self, body: Body, options: Options) -> None:
        self._body, self._options = body, options
        self._motion: Motion | None = None
        self._shapes = np.empty((0, 0))
        self._hits = np.empty(0, dtype=int)
        self._numbers = np.empty(0, dtype=int)
        self._given = 0
        self._lengths, self._spaces = _Mean(), _Mean()

    def update(
        self, keypoints: Float[np.ndarray, "animals keypoints 2"], confidence: Float[np.ndarray, "animals keypoints"]
    ) -> Int[np.ndarray, " animals"]:
        """See `lp_core.AnimalTracker`."""
        poses = np.where((confidence < self._options.min_confidence)[..., None], np.nan, keypoints)
        found = np.flatnonzero(geometry.visible(poses).any(-1))
        poses = poses[found]
        places, shapes = self._body.describe(poses)
        if self._motion is None:
            self._motion = Motion(places.shape[1])
            self._shapes = np.empty((0, shapes.shape[1]))
        length = self._length(poses)
        self._motion.step(AGILITY * length)
        self._motion.forget(self._options.max_age + 1)
        self._keep(np.flatnonzero(np.isfinite(self._motion.place).any(1)))
        tracks = self._assign(places, shapes, length)
        doubt = poses.shape[1] / geometry.counts(poses)  # a centre of few keypoints may be anywhere in the animal
        self._motion.observe(tracks, places, (NOISE * length * doubt[:, None]) ** 2, PACE * length)
        self._renew(tracks, shapes)
        numbers = np.full(len(keypoints), -1)
        numbers[found] = self._numbers[tracks]
        return numbers

    def _length(self, poses: Float[np.ndarray, "animals keypoints 2"]) -> float:
        """Of an animal in pixels: as told, or the mean of those seen so far."""
        if self._options.length:
            return self._options.length
        self._lengths.add(geometry.lengths(geometry.covariances(poses)))
        if self._lengths.count:
            return self._lengths.value
        self._spaces.add(np.array([geometry.nearest_neighbour(geometry.centres(poses)) / 2]))
        return self._spaces.value if self._spaces.count else geometry.UNKNOWN_LENGTH

    def _assign(self, places: np.ndarray, shapes: np.ndarray, length: float) -> Int[np.ndarray, " animals"]:
        """The track of each animal; those that fit none begin one."""
        assert self._motion is not None
        alike = self._body.likeness((self._motion.place, self._shapes), (places, shapes), length)
        alike = np.where(alike >= self._options.similarity, alike, 0.0)  # NaN compares false
        rows, columns = linear_sum_assignment(alike, maximize=True)
        good = alike[rows, columns] > 0
        tracks = np.full(len(places), -1)
        tracks[columns[good]] = rows[good]
        new = np.flatnonzero(tracks < 0)
        if len(new):
            tracks[new] = len(self._motion) + np.arange(len(new))
            self._begin(len(new))
        return tracks

    def _begin(self, count: int) -> None:
        assert self._motion is not None
        self._motion.add(count)
        self._shapes = np.concatenate([self._shapes, np.full((count, self._shapes.shape[1]), np.nan)])
        self._hits = np.concatenate([self._hits, np.zeros(count, dtype=int)])
        self._numbers = np.concatenate([self._numbers, np.full(count, -1)])

    def _keep(self, tracks: np.ndarray) -> None:
        if len(tracks) < len(self._hits):
            assert self._motion is not None
            self._motion.keep(tracks)
            self._shapes, self._hits, self._numbers = self._shapes[tracks], self._hits[tracks], self._numbers[tracks]

    def _renew(self, tracks: np.ndarray, shapes: np.ndarray) -> None:
        """Average the shapes, and number the tracks that were seen often enough."""
        old = self._shapes[tracks]
        mean = np.where(np.isnan(old), shapes, old + RENEWAL * (shapes - old))
        self._shapes[tracks] = np.where(np.isnan(shapes), old, mean)
        self._hits[tracks] += 1
        proven = np.sort(tracks[(self._hits[tracks] >= self._options.min_hits) & (self._numbers[tracks] < 0)])
        self._numbers[proven] = self._given + np.arange(len(proven))
        self._given += len(proven)


class _Mean:
    """Mean of all positive numbers so far."""

    def __init__(self) -> None:
        self.count, self._sum = 0, 0.0

    @property
    def value(self) -> float:
        return self._sum / self.count

    def add(self, numbers: Float[np.ndarray, " n"]) -> None:
        positive = numbers[numbers > 0]
        self.count += len(positive)
        self._sum += float(positive.sum())
