"""One colour per keypoint that people with colour blindness can tell apart too."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import Animals

# Okabe & Ito 2008, "Color Universal Design", without black and with the orange first
OKABE_ITO = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))

# Machado, Oliveira & Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1.0, on linear RGB
BLINDNESS = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}

# sRGB (IEC 61966-2-1) to XYZ, relative to the D65 white point, and the range of CIE L* that shows on light and dark
TO_XYZ = np.array([[0.412456, 0.357576, 0.180438], [0.212673, 0.715152, 0.072175], [0.019334, 0.119192, 0.950304]])
WHITE = TO_XYZ.sum(1)
LIGHTNESS = (40.0, 92.0)


def linear(rgb: UInt8[np.ndarray, "colors 3"]) -> Float[np.ndarray, "colors 3"]:
    """sRGB bytes → linear light, 0 to 1."""
    v = rgb / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def lab(light: Float[np.ndarray, "colors 3"]) -> Float[np.ndarray, "colors 3"]:
    """Linear RGB → CIELAB (CIE 15:2004), where distance is about difference to the eye."""
    t = light @ TO_XYZ.T / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)


def seen(rgb: UInt8[np.ndarray, "colors 3"]) -> Float[np.ndarray, "colors 3 3"]:
    """CIELAB of colours as seen with full colour vision, and by protanopes and deuteranopes."""
    light = linear(rgb)
    eyes = [np.eye(3), np.array(BLINDNESS["protan"]), np.array(BLINDNESS["deutan"])]
    return np.stack([lab((light @ eye.T).clip(0, 1)) for eye in eyes], 1)


@lru_cache
def keypoint_colors(count: int) -> tuple[tuple[int, int, int], ...]:
    """`count` RGB colours: those of Okabe and Ito, then whichever is farthest from all before for the worst-off eye."""
    chosen = [np.array(c) for c in OKABE_ITO[:count]]
    grid = np.array(list(product(range(0, 256, 51), repeat=3)), dtype=np.uint8)
    lightness = lab(linear(grid))[:, 0]
    grid = grid[(lightness >= LIGHTNESS[0]) & (lightness <= LIGHTNESS[1])]
    views = seen(grid)
    nearest = np.full(len(grid), np.inf)
    for color in chosen:
        nearest = np.minimum(nearest, _distance(views, color))
    while len(chosen) < count:
        best = int(nearest.argmax())
        chosen.append(grid[best])
        nearest = np.minimum(nearest, _distance(views, grid[best]))
    return tuple((int(r), int(g), int(b)) for r, g, b in chosen)


def pose_colors(names: Sequence[str], count: int) -> tuple[tuple[int, int, int], ...]:
    """A colour for each of `count` keypoints; where `names` are of several animals, one for each animal and unique point."""
    animals = Animals.of(tuple(names))
    if animals is None:
        return keypoint_colors(count)
    colors = keypoint_colors(len(animals.individuals) + len(animals.unique))
    owned = [color for color in colors[: len(animals.individuals)] for _ in animals.parts]
    return (*owned, *colors[len(animals.individuals) :])


def _distance(views: Float[np.ndarray, "colors 3 3"], color: np.ndarray) -> Float[np.ndarray, " colors"]:
    return np.linalg.norm(views - seen(color[None].astype(np.uint8)), axis=-1).min(-1)
