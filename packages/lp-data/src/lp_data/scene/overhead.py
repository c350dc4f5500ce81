"""Draw several animals seen from above, the higher ones over the lower ones."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from lp_data.scene.animal import wander
from lp_data.scene.options import SceneOptions
from lp_data.scene.roaming import PARTS, Herd
from lp_data.scene.shapes import SUBFRAMES, Look, capsule, disc, smooth_noise

TINTS = np.array([[1, -0.4, -1], [-1, 0.2, 1], [-0.3, 0.9, -0.8], [0.8, -0.9, 0.7], [-0.7, -0.7, -0.7]])
LAYERS = (
    (1.0, 0.62),
    (0.86, 0.8),
    (0.68, 0.95),
    (0.42, 1.05),
)  # (share of the radius, brightness): round, lit from above
TRUNK = (("pelvis", "chest", 15.5, 13.5), ("chest", "neck", 13.5, 10.0), ("tail_base", "pelvis", 5.0, 15.5))
HEAD = (("neck", "head", 10.0, 9.5), ("head", "muzzle", 9.5, 4.0), ("muzzle", "nose", 4.0, 2.2))
TAIL = (("tail_base", "tail_1", 3.2, 2.6), ("tail_1", "tail_2", 2.6, 2.1), ("tail_2", "tail_tip", 2.1, 1.8))
INSET = 12  # pixels from the picture's edge to the arena's corner
REACH = 8  # pixels of shadow round an animal


class Overhead:
    """Draws one session, moment by moment.

    Args:
        herd: sampled at `SUBFRAMES` moments per frame.
        markers: draw nothing but a bright dot at every keypoint, for tests.
    """

    def __init__(
        self, rng: np.random.Generator, options: SceneOptions, look: Look, herd: Herd, *, markers: bool = False
    ) -> None:
        self.rng, self.size, self.look, self.herd, self.markers = rng, options.size, look, herd, markers
        self.furs = np.array(look.fur) * (1 + options.tint * TINTS[: len(herd.bodies)])
        self.corners = corner_points(options.size) if options.corners else np.zeros((0, 2))
        self.background = self._floor(rng)
        self.texture = (1 + 0.3 * smooth_noise(rng, 160, 160)).astype(np.float32)
        self.gain = 1 + wander(rng, herd.times[SUBFRAMES // 2 :: SUBFRAMES], look.flicker, 3.0)

    def keypoints(self) -> Float[np.ndarray, "frames keypoints 2"]:
        """The truth: the parts of every animal in every frame, then the corners."""
        owned = np.stack([body[name] for body in self.herd.bodies for name in PARTS], axis=1)[
            SUBFRAMES // 2 :: SUBFRAMES
        ]
        return np.concatenate([owned, np.broadcast_to(self.corners, (len(owned), *self.corners.shape))], axis=1)

    def frame(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], Bool[np.ndarray, " keypoints"]]:
        """The picture of frame `index`, and which keypoints can be seen."""
        moments = [SUBFRAMES * index + i for i in range(SUBFRAMES)]
        pictures, owners = zip(*(self._moment(m) for m in moments), strict=True)
        picture = np.mean(pictures, axis=0)
        if not self.markers:
            picture = picture * self.gain[index] + self.rng.normal(0, self.look.noise, picture.shape)
        middle = SUBFRAMES // 2
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8), self._seen(owners[middle], moments[middle])

    def _floor(self, rng: np.random.Generator) -> np.ndarray:
        """Bedding inside four walls."""
        height, width = self.size
        bedding = np.array(self.look.floor) * (1 + self.look.contrast * smooth_noise(rng, height, width))[..., None]
        wall = np.full((height, width), 0.55)
        wall[INSET:-INSET, INSET:-INSET] = 1
        shade = cv2.GaussianBlur(wall, (0, 0), 2.5)
        picture = (bedding * shade[..., None]).astype(np.float32)
        for corner in self.corners:
            disc(picture, corner, 4.5, (60, 60, 64))
            disc(picture, corner, 2.5, (215, 210, 190))
        return picture

    def _moment(self, moment: int) -> tuple[np.ndarray, np.ndarray]:
        """One instant: the picture, and whose (number + 1) each pixel is."""
        owner = np.zeros(self.size, np.uint8)
        if self.markers:
            picture = np.zeros((*self.size, 3), np.float32)
            for place in [body[name][moment] for body in self.herd.bodies for name in PARTS] + list(self.corners):
                disc(picture, place, 2.0, (255, 255, 255))
            return picture, owner
        picture = self.background.copy()
        for number in self.herd.order[moment]:
            self._animal(picture, owner, int(number), moment)
        return picture, owner

    def _animal(self, picture: np.ndarray, owner: np.ndarray, number: int, moment: int) -> None:
        """Shadow and fur, in the window that the animal needs."""
        points = {name: path[moment] for name, path in self.herd.bodies[number].items()}
        window, corner = self._window(np.stack(list(points.values())))
        place, ground = picture[window], owner[window]
        shade = np.zeros(ground.shape, np.float32)
        self._ink(shade, {name: point - corner for name, point in points.items()})
        drawn = shade > 0
        shadow = cv2.GaussianBlur(np.roll(drawn, (2, 3), (0, 1)).astype(np.float32), (0, 0), 3.0)
        place *= 1 - 0.4 * shadow[..., None]
        fur = self._fur(points["pelvis"] - corner, self.herd.headings[number][moment], ground.shape)
        place[drawn] = (shade * fur)[drawn][:, None] * self.furs[number]
        ground[drawn] = number + 1

    def _window(self, points: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
        margin = 16 * self.herd.scale + REACH
        low = np.clip(np.floor(points.min(0) - margin), 0, np.array(self.size[::-1]) - 2).astype(int)
        high = np.clip(np.ceil(points.max(0) + margin), low + 2, self.size[::-1]).astype(int)
        return (slice(low[1], high[1]), slice(low[0], high[0])), low

    def _ink(self, shade: np.ndarray, points: dict[str, np.ndarray]) -> None:
        """Brightness of the animal's surface: paws and tail first, then the trunk, the head and the ears."""
        for number in range(4):
            disc(shade, points[f"paw_{number}"], 4.0 * self.herd.scale, (1.1,))
        self._limbs(shade, points, TAIL, ((1.0, 0.75), (0.5, 0.95)))
        self._limbs(shade, points, TRUNK, LAYERS)
        self._limbs(shade, points, HEAD, LAYERS)
        for side in ("left", "right"):
            disc(shade, points[f"ear_{side}"], 5.0 * self.herd.scale, (0.55,))
            disc(shade, points[f"ear_{side}"], 3.2 * self.herd.scale, (0.9,))
        disc(shade, points["nose"], 2.2 * self.herd.scale, (0.5,))

    def _limbs(
        self,
        shade: np.ndarray,
        points: dict[str, np.ndarray],
        limbs: tuple[tuple[str, str, float, float], ...],
        layers: tuple[tuple[float, float], ...],
    ) -> None:
        for share, light in layers:
            for a, b, r, s in limbs:
                capsule(
                    shade, points[a], points[b], (share * self.herd.scale * r, share * self.herd.scale * s), (light,)
                )

    def _fur(self, middle: np.ndarray, heading: float, shape: tuple[int, ...]) -> np.ndarray:
        """The texture, which turns with the animal."""
        cos, sin = np.cos(heading), np.sin(heading)
        turn = np.array([[cos, sin], [-sin, cos]])
        move = np.array(self.texture.shape) / 2 - turn @ middle
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            self.texture, np.column_stack([turn, move]), shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT
        )

    def _seen(self, owner: np.ndarray, moment: int) -> Bool[np.ndarray, " keypoints"]:
        """A part is seen where its own animal is in front; a corner where no animal is."""
        places = [(n + 1, body[name][moment]) for n, body in enumerate(self.herd.bodies) for name in PARTS]
        places += [(0, corner) for corner in self.corners]
        return np.array([self._in_front(owner, whose, place) for whose, place in places])

    def _in_front(self, owner: np.ndarray, whose: int, place: np.ndarray) -> bool:
        x, y = np.rint(place).astype(int)
        return bool(0 <= x < self.size[1] and 0 <= y < self.size[0] and owner[y, x] == whose)


def corner_points(size: tuple[int, int]) -> Float[np.ndarray, "4 2"]:
    """The arena's corners, clockwise from the top left."""
    right, bottom = size[1] - 1 - INSET, size[0] - 1 - INSET
    return np.array([[INSET, INSET], [right, INSET], [right, bottom], [INSET, bottom]], dtype=float)
