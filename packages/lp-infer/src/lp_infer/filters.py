"""Filters that look back only: steadier keypoints, and where they will be a moment later. NumPy only.

They take frames at any times. A keypoint that is not confident (or is NaN) is not listened to; its estimate goes on
alone. One that was not confident for longer than `forget` seconds begins anew where it is seen next, and so does
everything if time runs backwards. Before a keypoint has been confident once, it is passed on as it is.
"""

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from lp_core import ConfigError, nearest

Points = Float[np.ndarray, "keypoints 2"]
Sure = Float[np.ndarray, " keypoints"]


@runtime_checkable
class PoseFilter(Protocol):
    """Turns keypoints of one frame into better ones, knowing the frames before."""

    def update(self, timestamp: float, keypoints: Points, confidence: Sure) -> Points:
        """Keypoints of the next frame, at `timestamp` seconds → the filter's, both in pixels of the frame."""
        ...

    def reset(self) -> None:
        """Forget all frames."""
        ...


@dataclass(slots=True, kw_only=True)
class OneEuro:
    """The One Euro filter: a low pass that opens with speed, so that rest is steady and motion is not late.

    Casiez, Roussel and Vogel, "1€ Filter: a simple speed-based low-pass filter for noisy input in interactive systems",
    CHI 2012, algorithm 1: with the time T since the frame before, `a(f) = 1 / (1 + 1 / (2 pi f T))`, the speed
    `v += a(speed_cutoff) ((x - y) / T - v)`, then `y += a(min_cutoff + beta |v|) (x - y)`; each axis by itself.
    In steady motion it is never further behind than 1 / (2 pi beta) pixels.

    Attributes:
        min_cutoff: hertz at rest; lower is steadier.
        beta: by how many hertz the cutoff grows per pixel per second; higher is less late.
        speed_cutoff: hertz, of the speed's own low pass.
        min_confidence: keypoints below it are held where they are.
        forget: seconds; longer than from one frame to the next.
    """

    min_cutoff: float = 1.0
    beta: float = 0.1
    speed_cutoff: float = 1.0
    min_confidence: float = 0.1
    forget: float = 1.0
    _seen: "_Sightings | None" = field(default=None, init=False, repr=False)
    _value: np.ndarray = field(default_factory=lambda: np.empty(0), init=False, repr=False)
    _speed: np.ndarray = field(default_factory=lambda: np.empty(0), init=False, repr=False)

    def __post_init__(self) -> None:
        _positive(self, ("min_cutoff", "speed_cutoff", "forget"))
        _positive(self, ("beta",), or_zero=True)

    def reset(self) -> None:
        """Forget all frames."""
        self._seen = None

    def update(self, timestamp: float, keypoints: Points, confidence: Sure) -> Points:
        """See `PoseFilter`."""
        if self._seen is None:
            self._seen = _Sightings(len(keypoints), self.min_confidence, self.forget)
            self._value, self._speed = np.full(keypoints.shape, np.nan), np.zeros(keypoints.shape)
        known, begun, since = self._seen.look(timestamp, keypoints, confidence)
        known &= since > 0
        step, old = since[known, None], self._value[known]
        error = keypoints[known] - old
        speed = self._speed[known]
        self._speed[known] = speed = speed + _gain(self.speed_cutoff, step) * (error / step - speed)
        self._value[known] = old + _gain(self.min_cutoff + self.beta * np.abs(speed), step) * error
        self._value[begun], self._speed[begun] = keypoints[begun], 0.0
        return np.where(np.isfinite(self._value), self._value, keypoints)


@dataclass(slots=True, kw_only=True)
class ConstantVelocity:
    """A Kalman filter that says where keypoints will be `ahead` seconds after the frame, which makes up for latency.

    Position and velocity of each axis; the velocity is a Wiener process of variance q = agility² per second, positions
    are observed with variance r = noise² (Bar-Shalom, Li and Kirubarajan 2001, "Estimation with applications to
    tracking and navigation", 6.2.2). Over T seconds `x += T v`, and the covariance grows by
    `q [[T³/3, T²/2], [T²/2, T]]`: exact for frames at any times. A keypoint begins at rest, ± agility.

    Attributes:
        ahead: seconds; 0 = the time of the frame.
        agility: pixels per second by which velocity typically changes within a second; higher follows sooner.
        noise: pixels by which the network typically errs; higher is steadier.
        min_confidence: keypoints below it go on at their velocity, for at most `forget` seconds, then stand still.
        forget: seconds; longer than from one frame to the next.
    """

    ahead: float = 0.0
    agility: float = 100.0
    noise: float = 1.0
    min_confidence: float = 0.1
    forget: float = 1.0
    _seen: "_Sightings | None" = field(default=None, init=False, repr=False)
    _state: "_State | None" = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        _positive(self, ("agility", "noise", "forget"))
        _positive(self, ("ahead",), or_zero=True)

    def reset(self) -> None:
        """Forget all frames."""
        self._seen = self._state = None

    def update(self, timestamp: float, keypoints: Points, confidence: Sure) -> Points:
        """See `PoseFilter`."""
        if self._seen is None or self._state is None:
            self._seen = _Sightings(len(keypoints), self.min_confidence, self.forget)
            self._state = _State(len(keypoints))
        known, begun, since = self._seen.look(timestamp, keypoints, confidence)
        state = self._state
        state.move(np.minimum(since, self.forget), self.agility**2)
        state.observe(known, keypoints, self.noise**2)
        state.begin(begun, keypoints, self.noise**2, self.agility**2)
        return np.where(np.isfinite(state.position), state.position + self.ahead * state.velocity, keypoints)


FILTERS = {"one_euro": OneEuro, "kalman": ConstantVelocity}


def make_filter(name: str, **options: float) -> PoseFilter | None:
    """The filter called `name`; None for none.

    Raises:
        ConfigError: no such filter or option, or a value that makes no sense.
    """
    if name == "none":
        if options:
            raise ConfigError(
                f"filter.{next(iter(options))} needs a filter: {' or '.join(f'filter={n}' for n in FILTERS)}."
            )
        return None
    if name not in FILTERS:
        known = ["none", *FILTERS]
        raise ConfigError(f"filter={name!r} is not known{nearest(name, known)} Choose one of {', '.join(known)}.")
    try:
        return FILTERS[name](**options)
    except TypeError:
        fields = [key for key in FILTERS[name].__dataclass_fields__ if not key.startswith("_")]
        wrong = ", ".join(sorted(set(options) - set(fields)))
        raise ConfigError(f"filter={name} has no option {wrong}; it has {', '.join(fields)}.") from None


class _Sightings:
    """When each keypoint was last seen well."""

    def __init__(self, count: int, min_confidence: float, forget: float) -> None:
        self._least, self._forget = min_confidence, forget
        self._last = np.full(count, -math.inf)
        self._now = -math.inf

    def look(
        self, timestamp: float, keypoints: Points, confidence: Sure
    ) -> tuple[Bool[np.ndarray, " keypoints"], Bool[np.ndarray, " keypoints"], Sure]:
        """Which keypoints are seen and were known, which begin anew, and seconds since each was seen (inf = never)."""
        if timestamp < self._now:
            self._last[:] = -math.inf
        self._now = timestamp
        since = timestamp - self._last
        seen = np.isfinite(keypoints).all(-1) & (confidence >= self._least)
        known = since <= self._forget
        self._last[seen] = timestamp
        return seen & known, seen & ~known, since


class _State:
    """Mean and covariance of position and velocity, the latter the same for x and y; of when each keypoint was last seen,
    moved on from there anew for every frame."""

    def __init__(self, count: int) -> None:
        self._anchor = np.full((2, count, 2), np.nan)  # position and velocity when last seen
        self._spread = np.zeros((3, count))  # variances of position, of both, of velocity, when last seen
        self.position, self.velocity = self._anchor[0].copy(), self._anchor[1].copy()
        self._moved = self._spread.copy()

    def move(self, seconds: Sure, q: float) -> None:
        """To `seconds` after each keypoint was last seen."""
        t = seconds
        pp, pv, vv = self._spread
        self.velocity = self._anchor[1].copy()
        self.position = self._anchor[0] + t[:, None] * self.velocity
        self._moved = np.stack([pp + 2 * t * pv + t**2 * vv + q * t**3 / 3, pv + t * vv + q * t**2 / 2, vv + q * t])

    def observe(self, which: Bool[np.ndarray, " keypoints"], keypoints: Points, r: float) -> None:
        """Listen to the observations of some of the keypoints."""
        pp, pv, vv = self._moved[:, which]
        total = pp + r
        error = keypoints[which] - self.position[which]
        self.position[which] += (pp / total)[:, None] * error
        self.velocity[which] += (pv / total)[:, None] * error
        self._keep(which, np.stack([pp * r / total, pv * r / total, vv - pv**2 / total]))

    def begin(self, which: Bool[np.ndarray, " keypoints"], keypoints: Points, r: float, speed: float) -> None:
        """Some keypoints are seen for the first time: at rest, with `speed` the variance of that."""
        self.position[which], self.velocity[which] = keypoints[which], 0.0
        self._keep(which, np.repeat([[r], [0.0], [speed]], which.sum(), axis=1))

    def _keep(self, which: Bool[np.ndarray, " keypoints"], spread: Float[np.ndarray, "3 some"]) -> None:
        self._anchor[:, which] = self.position[which], self.velocity[which]
        self._spread[:, which] = spread


def _gain(cutoff: float | np.ndarray, seconds: np.ndarray) -> np.ndarray:
    return 1 / (1 + 1 / (2 * math.pi * cutoff * seconds))


def _positive(filter: object, names: tuple[str, ...], *, or_zero: bool = False) -> None:
    for name in names:
        value = getattr(filter, name)
        if not math.isfinite(value) or value < 0 or (value == 0 and not or_zero):
            kind = "zero or positive" if or_zero else "positive"
            raise ConfigError(f"{name}={value} of the filter must be {kind}; give such a number.")
