"""Draw the animal, seen from the side and, in a mirror under it, from below."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from lp_data.scene.animal import LEGS, PARTS, Motion, wander
from lp_data.scene.shapes import SUBFRAMES, Look, capsule, disc, smooth_noise

VIEWS = ("top", "bot")  # the direct view is the upper one


@dataclass(frozen=True, slots=True)
class Stage:
    """Where things are in a picture of `height` × `width`: the floor of the side view, the middle of the mirror."""

    height: int
    width: int

    @property
    def floor(self) -> float:
        """Row of the floor in the side view."""
        return 0.46 * self.height

    @property
    def mirror(self) -> float:
        """Row of Y = 0 in the mirror."""
        return 0.76 * self.height

    def project(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 2 2"]:
        """World → (x, y) in both views. Linear, so both views together span three dimensions."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        side, below = np.stack([x, self.floor - z], -1), np.stack([x, self.mirror + y], -1)
        return np.stack([side, below], axis=-2)


class Painter:
    """Draws one session, moment by moment.

    Args:
        motion: sampled at `SUBFRAMES` moments per frame.
        fps: frames per second, which say how far the light and the block get between two of them.
        markers: draw nothing but a bright dot at every keypoint, for tests.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        stage: Stage,
        motion: Motion,
        look: Look,
        *,
        fps: float,
        markers: bool = False,
    ) -> None:
        self.stage, self.motion, self.look, self.markers = stage, motion, look, markers
        self.screen = {name: stage.project(path) for name, path in motion.points.items()}
        height, width = stage.height, stage.width
        texture = 1 + look.contrast * smooth_noise(rng, height, width)
        vignette = 1 - 0.25 * np.linspace(-1, 1, width) ** 2
        self.background = (np.array(look.floor) * (texture * vignette)[..., None]).astype(np.float32)
        self._draw_stage()
        self.fur = (1 + 0.35 * smooth_noise(rng, height, 2 * width)).astype(np.float32)
        frames = len(self.screen["nose"]) // SUBFRAMES
        times = np.arange(frames) / fps
        self.gain = 1 + wander(rng, times, look.flicker, 3.0)
        self.block = np.mod(40 + 55 * times + wander(rng, times, 15, 2), width + 80) - 40
        self.rng = rng

    def _draw_stage(self) -> None:
        """The floor's edge, and the mirror's frame."""
        height, width, floor = self.stage.height, self.stage.width, round(self.stage.floor)
        self.background[floor : floor + 3] *= 0.6
        edge = round(0.56 * height)
        self.background[edge : edge + 4] *= 0.35
        self.background[edge + 4 :] *= 0.85
        cv2.rectangle(
            self.background, (2, edge + 2), (width - 3, height - 3), tuple(0.5 * c for c in self.look.floor), 2
        )

    def frame(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], Bool[np.ndarray, "2 parts"]]:
        """The picture of frame `index`, and which keypoints can be seen in each view."""
        moments = [SUBFRAMES * index + i for i in range(SUBFRAMES)]
        pictures, owners = zip(*(self._moment(index, m) for m in moments), strict=True)
        picture = np.mean(pictures, axis=0)
        if not self.markers:
            picture = picture * self.gain[index] + self.rng.normal(0, self.look.noise, picture.shape)
        middle = SUBFRAMES // 2
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8), self._seen(owners[middle], moments[middle])

    def _moment(self, index: int, moment: int) -> tuple[np.ndarray, np.ndarray]:
        """One instant: the picture, and which part (number + 1) owns each pixel."""
        picture, owner = self.background.copy(), np.zeros((self.stage.height, self.stage.width), np.uint8)
        if self.markers:
            picture[:] = 0
            for name in PARTS:
                for view in range(2):
                    disc(picture, self.screen[name][moment, view], 2.0, (255, 255, 255))
            return picture, owner
        ink = np.zeros_like(picture)
        for view in range(2):
            self._animal(ink, owner, moment, view)
        shift = int(self.screen["chest"][moment, 0, 0])
        fur = np.roll(self.fur, shift, axis=1)[:, : self.stage.width]
        drawn = owner > 0
        picture[drawn] = (ink * fur[..., None])[drawn]
        self._obstacle(picture, owner, self.block[index])
        return picture, owner

    def _animal(self, ink: np.ndarray, owner: np.ndarray, moment: int, view: int) -> None:
        """Back to front. From the side the legs away from the viewer are behind the trunk; from below the trunk is."""
        side = view == 0
        hips = {name: self.motion.points[f"hip_{name}"][moment, 1] for name in LEGS}
        trunk_y = self.motion.points["chest"][moment, 1]
        far = [n for n in LEGS if hips[n] > trunk_y] if side else []
        for name in far:
            self._leg(ink, owner, moment, view, name, 0.55)
        if not side:
            self._head(ink, owner, moment, view)
        self._tail(ink, owner, moment, view)
        self._trunk(ink, owner, moment, view)
        if side:
            self._head(ink, owner, moment, view)
        for name in LEGS:
            if name not in far:
                self._leg(ink, owner, moment, view, name, 0.9 if side else 1.1)

    def _trunk(self, ink: np.ndarray, owner: np.ndarray, moment: int, view: int) -> None:
        points = [self.screen[n][moment, view] for n in ("tail_base", "pelvis", "chest", "head")]
        for (a, b), (r, s) in zip(pairwise(points), ((5, 15), (15, 13), (13, 8)), strict=True):
            self._capsule(ink, owner, a, b, (r, s), 1.0, 100)

    def _head(self, ink: np.ndarray, owner: np.ndarray, moment: int, view: int) -> None:
        head, nose = (self.screen[n][moment, view] for n in ("head", "nose"))
        for ear in ("ear_left", "ear_right"):
            self._capsule(ink, owner, self.screen[ear][moment, view], self.screen[ear][moment, view], (5, 5), 0.75, 101)
        self._capsule(ink, owner, head, nose, (9, 3), 0.95, PARTS.index("head") + 1)
        self._capsule(ink, owner, nose, nose, (2.5, 2.5), 0.5, PARTS.index("nose") + 1)

    def _tail(self, ink: np.ndarray, owner: np.ndarray, moment: int, view: int) -> None:
        base, mid, tip = (self.screen[n][moment, view] for n in ("tail_base", "tail_mid", "tail_tip"))
        self._capsule(ink, owner, base, mid, (4, 2.5), 0.8, PARTS.index("tail_base") + 1)
        self._capsule(ink, owner, mid, tip, (2.5, 1.5), 0.7, PARTS.index("tail_tip") + 1)

    def _leg(self, ink: np.ndarray, owner: np.ndarray, moment: int, view: int, name: str, shade: float) -> None:
        hip, knee, paw = (self.screen[n][moment, view] for n in (f"hip_{name}", f"knee_{name}", name))
        self._capsule(ink, owner, hip, knee, (6, 4), shade, 102)
        self._capsule(ink, owner, knee, paw, (4, 3), shade, 102)
        self._capsule(ink, owner, paw, paw, (3.5, 3.5), 1.25 * shade, PARTS.index(name) + 1)

    def _capsule(
        self,
        ink: np.ndarray,
        owner: np.ndarray,
        a: np.ndarray,
        b: np.ndarray,
        radii: tuple[float, float],
        shade: float,
        part: int,
    ) -> None:
        """A shape with round ends of two radii, in the picture and in the map of owners."""
        r, s = (self.motion.size * radius for radius in radii)
        colour = tuple(shade * c for c in self.look.fur)
        for canvas, value in ((ink, colour), (owner, (part,))):
            capsule(canvas, a, b, (r, s), value)

    def _obstacle(self, picture: np.ndarray, owner: np.ndarray, x: float) -> None:
        """A block that travels through both views, in front of the animal."""
        for top, bottom in (
            (self.stage.floor - 14, self.stage.floor),
            (self.stage.mirror + 24, self.stage.mirror + 38),
        ):
            corners = (slice(round(top), round(bottom)), slice(max(round(x), 0), max(round(x) + 16, 0)))
            picture[corners] = 0.55 * np.array(self.look.floor)
            owner[corners] = 103

    def _seen(self, owner: np.ndarray, moment: int) -> Bool[np.ndarray, "2 parts"]:
        """A keypoint is seen where its own part, or the trunk it lies on, is in front."""
        seen = np.zeros((2, len(PARTS)), dtype=bool)
        for k, name in enumerate(PARTS):
            for view in range(2):
                x, y = np.rint(self.screen[name][moment, view]).astype(int)
                if 0 <= x < self.stage.width and 0 <= y < self.stage.height:
                    allowed = {k + 1} if name in LEGS else {k + 1, 100, PARTS.index("head") + 1}
                    seen[view, k] = int(owner[y, x]) in allowed
        return seen
