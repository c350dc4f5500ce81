"""What a tracker makes of a pose, and how alike a track and a pose are. NumPy only.

A body describes each animal in a row of its own, so that one whose shape cannot be known does not move the others.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from lp_infer.tracking import geometry

Poses = Float[np.ndarray, "animals keypoints 2"]
Described = tuple[Float[np.ndarray, "animals places"], Float[np.ndarray, "animals shapes"]]
Tracked = tuple[Float[np.ndarray, "tracks places"], Float[np.ndarray, "tracks shapes"]]
Alike = Float[np.ndarray, "tracks animals"]

SLIMMEST = 0.2  # side of a box, in lengths of an animal


@runtime_checkable
class Body(Protocol):
    """Describes poses by numbers that move (`places`, filtered) and numbers that change slowly (`shapes`, averaged)."""

    def describe(self, poses: Poses) -> Described:
        """Places and shapes of each animal in pixels; NaN = not known."""
        ...

    def likeness(self, tracks: Tracked, animals: Described, length: float) -> Alike:
        """From 0 to 1, of tracks and animals that are about `length` pixels long."""
        ...


class Ellipse:
    """Centre and covariance of the keypoints.

    Likeness c (0.8 + 0.2 a): c falls from 1 to 0 as the centres move apart by the longest axis, a from 1 to 0 as the
    ellipses turn and stretch apart; a = 1 if a shape is not known.
    """

    def describe(self, poses: Poses) -> Described:
        """See `Body`."""
        return geometry.centres(poses), geometry.covariances(poses)

    def likeness(self, tracks: Tracked, animals: Described, length: float) -> Alike:
        """See `Body`."""
        distance = np.linalg.norm(tracks[0][:, None] - animals[0][None], axis=-1)
        axis = np.fmax(geometry.lengths(tracks[1])[:, None], geometry.lengths(animals[1])[None])
        axis = np.where(axis > 0, axis, length)
        apart = geometry.elongations(tracks[1])[:, None] - geometry.elongations(animals[1])[None]
        turned = np.linalg.norm(apart, axis=-1) / 2
        close = 1 - np.minimum(distance / axis, 1)
        return close * (1 - 0.2 * np.where(np.isfinite(turned), turned, 0.0))


class Box:
    """The box around the keypoints. Likeness is the intersection of two boxes divided by their union.

    No side is taken for shorter than a fifth of an animal; a box that is not known is as large as the other.
    """

    def describe(self, poses: Poses) -> Described:
        """See `Body`."""
        seen = geometry.visible(poses)[..., None]
        low = np.where(seen, poses, np.inf).min(1)
        high = np.where(seen, poses, -np.inf).max(1)
        there = seen.any(1)
        low, high = np.where(there, low, np.nan), np.where(there, high, np.nan)
        enough = geometry.counts(poses) >= geometry.least_visible(poses.shape[1])
        return (low + high) / 2, np.where(enough[:, None], high - low, np.nan)

    def likeness(self, tracks: Tracked, animals: Described, length: float) -> Alike:
        """See `Body`."""
        sides = tracks[1][:, None], animals[1][None]
        sides = [np.where(np.isnan(one), other, one) for one, other in (sides, sides[::-1])]
        halves = [np.maximum(np.where(np.isnan(s), length, s), SLIMMEST * length) / 2 for s in sides]
        centres = tracks[0][:, None], animals[0][None]
        ends = [(c - h, c + h) for c, h in zip(centres, halves, strict=True)]
        shared = np.minimum(ends[0][1], ends[1][1]) - np.maximum(ends[0][0], ends[1][0])
        shared = np.maximum(shared, 0.0).prod(-1)
        areas = [4 * h.prod(-1) for h in halves]
        return shared / (areas[0] + areas[1] - shared)


class Skeleton:
    """Every keypoint. Likeness falls from 1 to 0 as the keypoints that both have move apart by an animal's length."""

    def describe(self, poses: Poses) -> Described:
        """See `Body`."""
        seen = geometry.visible(poses)[..., None]
        return np.where(seen, poses, np.nan).reshape(len(poses), 2 * poses.shape[1]), np.empty((len(poses), 0))

    def likeness(self, tracks: Tracked, animals: Described, length: float) -> Alike:
        """See `Body`."""
        a, b = (places.reshape(len(places), places.shape[1] // 2, 2) for places, _ in (tracks, animals))
        centres = np.linalg.norm(geometry.centres(a)[:, None] - geometry.centres(b)[None], axis=-1)
        distance = geometry.mean_distances(a, b)
        return 1 - np.minimum(np.where(np.isnan(distance), centres, distance) / length, 1)
