"""Several animals that roam an arena, seen from above, and often meet."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lp_data.scene.animal import wander

PARTS = ("nose", "ear_left", "ear_right", "chest", "tail_base", "tail_tip")
SKELETON = (
    ("nose", "ear_left"), ("nose", "ear_right"), ("ear_left", "chest"), ("ear_right", "chest"), ("chest", "tail_base"),
    ("tail_base", "tail_tip"),
)  # fmt: skip
LENGTH = 84  # from the nose to the tail's base, in units of an animal's size
SPEED, AGILITY = 95.0, 4.0  # units and radians per second
STRIDE = 40.0  # units that an animal covers while each paw makes one step
MEETING = 0.8  # share of walks to a place that are followed by one to another animal
STEP = 1 / 60  # seconds
APART = 1.6  # body lengths from which on the upper and the lower animal may change places


@dataclass(frozen=True, slots=True)
class Path:
    """Where one animal's middle is, in pixels, where it heads, in radians from x towards y, and how fast it turns."""

    middle: Float[np.ndarray, "moments 2"]
    heading: Float[np.ndarray, " moments"]
    turn: Float[np.ndarray, " moments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Herd:
    """Everything that moves.

    Attributes:
        bodies: of each animal, everything that is drawn, by name, in pixels.
        headings: of each animal, in radians from x towards y.
        order: the animals from the lowest to the highest.
        times: of the moments, in seconds.
        scale: pixels per unit.
    """

    bodies: list[dict[str, Float[np.ndarray, "moments 2"]]]
    headings: list[Float[np.ndarray, " moments"]]
    order: Int[np.ndarray, "moments animals"]
    times: Float[np.ndarray, " moments"]
    scale: float


class _Walk:
    """Animals that go from goal to goal; a goal is a place, or another animal wherever it goes."""

    def __init__(
        self, rng: np.random.Generator, animals: int, size: tuple[int, int], scale: float, tempo: float
    ) -> None:
        self.rng, self.scale, self.tempo = rng, scale, tempo
        self.room, self.margin = np.array(size[::-1], dtype=float), 0.62 * LENGTH * scale
        self.place = self.margin + rng.random((animals, 2)) * (self.room - 2 * self.margin)
        self.heading, self.turn = rng.uniform(-np.pi, np.pi, animals), np.zeros(animals)
        self.goal, self.until, self.after = self.place.copy(), np.zeros(animals), np.full(animals, -1)

    def step(self, now: float, pace: Float[np.ndarray, " animals"]) -> Float[np.ndarray, "animals 4"]:
        """x, y, heading and turn of each animal after another `STEP` seconds."""
        for i in np.flatnonzero((np.linalg.norm(self.goal - self.place, axis=-1) < 14) | (now > self.until)):
            self._choose(int(i), now)
        after = self.after >= 0
        self.goal[after] = self.place[self.after[after]]
        wanted = np.arctan2(*(np.clip(self.goal, self.margin, self.room - self.margin) - self.place).T[::-1])
        error = np.mod(wanted - self.heading + np.pi, 2 * np.pi) - np.pi
        self.turn += 0.12 * (np.clip(3 * error, -AGILITY, AGILITY) * self.tempo * np.sqrt(pace) - self.turn)
        self.heading = self.heading + self.turn * STEP
        speed = SPEED * self.scale * self.tempo * pace * (0.35 + 0.65 * np.cos(error / 2) ** 4)
        ahead = np.stack([np.cos(self.heading), np.sin(self.heading)], axis=-1)
        inset = 0.6 * self.margin
        self.place = np.clip(self.place + (speed * STEP)[:, None] * ahead, inset, self.room - inset)
        return np.column_stack([self.place, self.heading, self.turn])

    def _choose(self, i: int, now: float) -> None:
        self.until[i] = now + self.rng.uniform(1.5, 4) / self.tempo
        if self.rng.random() < MEETING and self.after[i] < 0:
            self.after[i] = self.rng.choice([j for j in range(len(self.place)) if j != i])
        else:
            self.after[i] = -1
            self.goal[i] = self.margin + self.rng.random(2) * (self.room - 2 * self.margin)


def roam(
    rng: np.random.Generator,
    times: Float[np.ndarray, " moments"],
    animals: int,
    size: tuple[int, int],
    *,
    scale: float,
    tempo: float,
) -> list[Path]:
    """Walks to places and after each other.

    Args:
        size: (height, width) of the arena.
        scale: pixels per unit.
        tempo: 1 = an animal at its usual speed.
    """
    clock = np.arange(times[0] - STEP, times[-1] + 2 * STEP, STEP)
    pace = np.stack([np.clip(0.9 + wander(rng, clock * tempo, 0.55, 2.5), 0.05, 1.8) for _ in range(animals)], axis=1)
    walk = _Walk(rng, animals, size, scale, tempo)
    track = np.stack([walk.step(float(now), paces) for now, paces in zip(clock, pace, strict=True)])

    def column(i: int, c: int) -> np.ndarray:
        return np.interp(times, clock, track[:, i, c])

    return [Path(np.stack([column(i, 0), column(i, 1)], axis=-1), column(i, 2), column(i, 3)) for i in range(animals)]


def heights(
    rng: np.random.Generator, times: Float[np.ndarray, " moments"], paths: list[Path], scale: float
) -> Int[np.ndarray, "moments animals"]:
    """The animals from the lowest to the highest; two change places only while they are apart."""
    wish = np.stack([wander(rng, times, 1.0, 6.0) for _ in paths], axis=1)
    middles = np.stack([path.middle for path in paths], axis=1)
    order = np.argsort(wish[0])
    orders = np.empty(wish.shape, dtype=np.int64)
    for moment, wishes in enumerate(wish):
        for low in range(len(order) - 1):
            a, b = order[low], order[low + 1]
            apart = np.linalg.norm(middles[moment, a] - middles[moment, b]) > APART * LENGTH * scale
            if wishes[a] > wishes[b] and apart:
                order[low], order[low + 1] = b, a
        orders[moment] = order
    return orders


def body(
    rng: np.random.Generator, times: Float[np.ndarray, " moments"], path: Path, scale: float
) -> dict[str, Float[np.ndarray, "moments 2"]]:
    """Everything that is drawn of one animal, by name, in pixels: it bends into its turns, and the tail swings."""
    bend = 0.0045 * path.turn
    front = bend + wander(rng, times, 0.005, 1.5)
    tail = -0.4 * bend + wander(rng, times, 0.012, 1.3)
    points = {
        name: _along(path.middle, path.heading, front, s, scale)[0]
        for name, s in (("nose", 50.0), ("muzzle", 44.0), ("head", 35.0), ("neck", 24.0), ("chest", 14.0))
    }
    points["pelvis"] = _along(path.middle, path.heading, bend, -18.0, scale)[0]
    points["tail_base"], behind = _along(path.middle, path.heading, bend, -34.0, scale)
    for name, s in (("tail_1", -14.0), ("tail_2", -28.0), ("tail_tip", -42.0)):
        points[name] = _along(points["tail_base"], behind, tail, s, scale)[0]
    skull, facing = _along(path.middle, path.heading, front, 31.0, scale)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        points[f"ear_{side}"] = skull + 8.0 * sign * scale * _left(facing)
    covered = np.linalg.norm(np.diff(path.middle, axis=0, prepend=path.middle[:1]), axis=-1) / scale
    steps = np.cumsum(covered) / STRIDE
    for number, (s, sign) in enumerate(((20, 1), (20, -1), (-18, 1), (-18, -1))):
        shift = 6 * np.sin(2 * np.pi * (steps + 0.5 * (number in (1, 2))))
        hip, facing = _along(path.middle, path.heading, bend, s + shift, scale)
        points[f"paw_{number}"] = hip + (13.0 if s > 0 else 16.0) * sign * scale * _left(facing)
    return points


def _left(heading: np.ndarray) -> np.ndarray:
    """The unit vector to the left, seen from above: y goes down."""
    return np.stack([np.sin(heading), -np.cos(heading)], axis=-1)


def _along(
    start: np.ndarray, heading: np.ndarray, bend: np.ndarray, distance: np.ndarray | float, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Position and heading after `distance` units on an arc that turns by `bend` radians per unit."""
    angle = bend * distance
    chord = scale * distance * np.sinc(angle / (2 * np.pi))
    middle = heading + angle / 2
    return start + chord[..., None] * np.stack([np.cos(middle), np.sin(middle)], axis=-1), heading + angle
