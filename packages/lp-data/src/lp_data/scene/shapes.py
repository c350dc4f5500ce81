"""What both scenes draw with: looks, noise, round shapes, and how light gathers while the shutter is open."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

SUBFRAMES = 3  # averaged into motion blur
SHUTTER = 0.5  # share of the time between frames that the shutter is open
SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


@dataclass(frozen=True, slots=True)
class Look:
    """What one session looks like: `fur` and `floor` are RGB, `contrast` of the background, `noise` in grey levels."""

    fur: tuple[float, float, float]
    floor: tuple[float, float, float]
    contrast: float
    noise: float
    flicker: float


USUAL = Look(fur=(168, 140, 112), floor=(112, 116, 124), contrast=0.28, noise=5.0, flicker=0.07)
UNUSUAL = Look(fur=(150, 128, 106), floor=(122, 122, 124), contrast=0.34, noise=7.0, flicker=0.12)


def moments(frames: int, fps: float) -> Float[np.ndarray, " moments"]:
    """Times in seconds at which light is gathered, `SUBFRAMES` for each frame; frame 0 is at time 0."""
    frame = np.repeat(np.arange(frames), SUBFRAMES)
    within = np.tile(np.linspace(-0.5, 0.5, SUBFRAMES), frames) * SHUTTER
    return (frame + within) / fps


def smooth_noise(rng: np.random.Generator, height: int, width: int) -> Float[np.ndarray, "height width"]:
    """Noise of several scales between -1 and 1."""
    total = np.zeros((height, width))
    for octave in range(2, 7):
        cells = rng.normal(size=(2**octave, 2**octave)).astype(np.float32)
        total += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC) / 1.6**octave
    return total / np.abs(total).max()


def capsule(
    canvas: np.ndarray, a: np.ndarray, b: np.ndarray, radii: tuple[float, float], value: tuple[float, ...]
) -> None:
    """A shape with round ends of two radii, from `a` to `b`."""
    r, s = radii
    along = b - a
    normal = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    polygon = np.stack([a + r * normal, b + s * normal, b - s * normal, a - r * normal])
    cv2.fillConvexPoly(canvas, _fixed(polygon), value, cv2.LINE_8, SHIFT)
    disc(canvas, a, r, value)
    disc(canvas, b, s, value)


def disc(canvas: np.ndarray, centre: np.ndarray, radius: float, value: tuple[float, ...]) -> None:
    """A filled circle."""
    x, y = _fixed(centre)
    cv2.circle(canvas, (int(x), int(y)), int(radius * 2**SHIFT), value, -1, cv2.LINE_8, SHIFT)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixel coordinates as OpenCV's fixed-point integers."""
    return np.rint(np.asarray(points) * 2**SHIFT).astype(np.int32)
