"""Where tracks will be in the next frame: a Kalman filter of constant velocity. NumPy only."""

import numpy as np
from jaxtyping import Float, Int

Places = Float[np.ndarray, "tracks numbers"]
NEVER = 1 << 30  # frames since a number was seen that never was


class Motion:
    """Place and speed of every number (a coordinate) of every track.

    The acceleration is white noise of variance `agility`² per frame, places are observed with a variance of `r` (Bar-Shalom,
    Li and Kirubarajan 2001, "Estimation with applications to tracking and navigation", 6.2.2, with frames as the unit of
    time). Numbers are observed one by one, so their covariance is one 2 by 2 matrix each and nothing has to be inverted.

    Attributes:
        place, speed: pixels, and pixels per frame; NaN = not known.
        spread: variance of place, covariance of both, variance of speed.
        unseen: frames since each number was last observed.
    """

    def __init__(self, numbers: int) -> None:
        self.place: Places = np.empty((0, numbers))
        self.speed: Places = np.empty((0, numbers))
        self.spread: Float[np.ndarray, "3 tracks numbers"] = np.empty((3, 0, numbers))
        self.unseen: Int[np.ndarray, "tracks numbers"] = np.empty((0, numbers), dtype=int)

    def __len__(self) -> int:
        return len(self.place)

    def add(self, tracks: int) -> None:
        """Append tracks of which nothing is known."""
        shape = (tracks, self.place.shape[1])
        self.place = np.concatenate([self.place, np.full(shape, np.nan)])
        self.speed = np.concatenate([self.speed, np.zeros(shape)])
        self.spread = np.concatenate([self.spread, np.zeros((3, *shape))], axis=1)
        self.unseen = np.concatenate([self.unseen, np.full(shape, NEVER)])

    def keep(self, tracks: np.ndarray) -> None:
        """Drop all but these."""
        self.place, self.speed, self.unseen = self.place[tracks], self.speed[tracks], self.unseen[tracks]
        self.spread = self.spread[:, tracks]

    def step(self, agility: float) -> None:
        """One frame on."""
        q = agility**2
        pp, pv, vv = self.spread
        self.place = self.place + self.speed
        self.spread = np.stack([pp + 2 * pv + vv + q / 3, pv + vv + q / 2, vv + q])
        self.unseen = np.minimum(self.unseen + 1, NEVER)

    def forget(self, frames: int) -> None:
        """Numbers not seen for more than `frames` frames are not known."""
        self.place[self.unseen > frames] = np.nan

    def observe(
        self,
        tracks: Int[np.ndarray, " some"],
        places: Float[np.ndarray, "some numbers"],
        r: Float[np.ndarray, "some 1"],
        pace: float,
    ) -> None:
        """Listen to what is known of `places`; a number that was not known begins there, at rest ± `pace`."""
        seen = np.isfinite(places)
        old, speed, (pp, pv, vv) = self.place[tracks], self.speed[tracks], self.spread[:, tracks]
        begun = seen & np.isnan(old)
        known = seen & ~begun
        error = np.where(known, places - old, 0.0)
        total = pp + r
        self.place[tracks] = np.where(begun, places, old + pp / total * error)
        self.speed[tracks] = np.where(begun, 0.0, speed + pv / total * error)
        after = np.stack([pp * r / total, pv * r / total, vv - pv**2 / total])
        first = np.stack(np.broadcast_arrays(r, 0.0, pace**2))[..., :1]
        self.spread[:, tracks] = np.where(begun, first, np.where(known, after, self.spread[:, tracks]))
        self.unseen[tracks] = np.where(seen, 0, self.unseen[tracks])
