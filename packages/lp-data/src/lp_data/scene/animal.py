"""An articulated animal in three dimensions: where its parts are at each moment."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

PARTS = (
    "nose",
    "head",
    "tail_base",
    "tail_tip",
    "paw_front_left",
    "paw_front_right",
    "paw_hind_left",
    "paw_hind_right",
)
LEGS = PARTS[4:]
SKELETON = (
    ("nose", "head"),
    ("head", "tail_base"),
    ("tail_base", "tail_tip"),
    ("head", "paw_front_left"),
    ("head", "paw_front_right"),
    ("tail_base", "paw_hind_left"),
    ("tail_base", "paw_hind_right"),
)
Path3 = Float[np.ndarray, "frames 3"]


def wander(
    rng: np.random.Generator, times: Float[np.ndarray, " frames"], amplitude: float, period: float
) -> Float[np.ndarray, " frames"]:
    """A smooth random process: five sines with periods round `period` seconds, standard deviation `amplitude`."""
    periods = period * rng.uniform(0.6, 1.8, 5)
    phases = rng.uniform(0, 2 * np.pi, 5)
    waves = np.sin(2 * np.pi * times[:, None] / periods + phases)
    return amplitude * np.sqrt(2 / 5) * waves.sum(-1)


@dataclass(frozen=True, slots=True)
class Motion:
    """Positions of everything that is drawn, in pixels: X to the right, Y away from the viewer, Z up from the floor.

    Attributes:
        points: by name; the keypoints, and the hidden joints between them.
        size: the animal's scale.
    """

    points: dict[str, Path3]
    size: float

    def keypoints(self) -> Float[np.ndarray, "frames parts 3"]:
        """The named keypoints, in the order of `PARTS`."""
        return np.stack([self.points[name] for name in PARTS], axis=1)


class Body:
    """The trunk's frame over time: turns offsets (forward, left, up) into positions."""

    def __init__(
        self, rng: np.random.Generator, times: Float[np.ndarray, " frames"], centre: tuple[float, float], size: float
    ) -> None:
        self.size = size
        self.heading = wander(rng, times, 0.34, 5.0)
        self.pitch = np.clip(wander(rng, times, 0.18, 3.0), -0.1, 0.5)
        self.x = centre[0] + wander(rng, times, 16, 4.0)
        self.y = centre[1] + wander(rng, times, 6, 3.0)
        self.z = size * 30 + wander(rng, times, 1.2, 0.8)

    def at(
        self, forward: np.ndarray | float, left: np.ndarray | float, up: np.ndarray | float, *, level: bool = False
    ) -> Path3:
        """Offsets in units of the animal's size; `level` ones ignore the pitch and are measured from the floor."""
        f, s, u = (
            np.broadcast_to(np.asarray(v, dtype=np.float64), self.x.shape) * self.size for v in (forward, left, up)
        )
        pitch = np.zeros_like(self.x) if level else self.pitch
        ahead = f * np.cos(pitch) - u * np.sin(pitch)
        height = u if level else self.z + f * np.sin(pitch) + u * np.cos(pitch)
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return np.stack([self.x + ahead * cos - s * sin, self.y + ahead * sin + s * cos, height], axis=-1)


def leg(
    body: Body, phase: Float[np.ndarray, " frames"], hip: tuple[float, float], stride: float
) -> tuple[Path3, Path3, Path3]:
    """Hip, knee and paw of one leg: the paw drags back along the floor, then swings forward through the air."""
    cycle = np.mod(phase, 1.0)
    swing = cycle > 0.6
    along = np.where(swing, -1 + 2 * (cycle - 0.6) / 0.4, 1 - 2 * cycle / 0.6)
    lift = np.where(swing, np.sin(np.pi * (cycle - 0.6) / 0.4), 0.0)
    top = body.at(hip[0], hip[1], -6)
    paw = body.at(hip[0] + stride * along, hip[1] * 1.15, 2 + 8 * lift, level=True)
    bend = body.at(4.0 if hip[0] < 0 else -4.0, 0, 0, level=True) - body.at(0, 0, 0, level=True)
    return top, (top + paw) / 2 + bend, paw


def animate(
    rng: np.random.Generator,
    times: Float[np.ndarray, " frames"],
    centre: tuple[float, float],
    *,
    size: float,
    tempo: float,
) -> Motion:
    """A walk with turns, looks around, a swinging tail and changes of pace."""
    times = times * tempo
    body = Body(rng, times, centre, size)
    points = {"chest": body.at(20, 0, 0), "pelvis": body.at(-20, 0, 0)}
    look, nod = wander(rng, times, 0.35, 1.7), wander(rng, times, 0.25, 1.3)
    points["head"] = body.at(36, 4 * look, 6 + 3 * nod)
    points["nose"] = body.at(
        36 + 16 * np.cos(look) * np.cos(nod), 4 * look + 16 * np.sin(look), 6 + 3 * nod + 13 * np.sin(nod) - 3
    )
    for side, sign in (("left", 1), ("right", -1)):
        points[f"ear_{side}"] = body.at(32, 4 * look + 6 * sign, 13 + 3 * nod)
    sway, lift = wander(rng, times, 0.5, 1.1), wander(rng, times, 0.3, 2.1)
    points["tail_base"] = body.at(-34, 0, 1)
    points["tail_mid"] = body.at(-54, 12 * sway, 4 + 8 * lift)
    points["tail_tip"] = body.at(-74, 26 * sway, 6 + 20 * lift)
    pace = np.cumsum(np.gradient(times) * np.clip(1.6 + wander(rng, times, 0.7, 2.5), 0.2, 4))
    for name, hip, offset in zip(LEGS, ((18, 8), (18, -8), (-20, 9), (-20, -9)), (0.0, 0.5, 0.55, 0.05), strict=True):
        top, knee, paw = leg(body, pace + offset, hip, 9.0)
        points |= {f"hip_{name}": top, f"knee_{name}": knee, name: paw}
    return Motion(points, size)
