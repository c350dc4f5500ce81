"""How much demo data to make, and of what kind."""

from dataclasses import dataclass

from lp_core import ConfigError

HIDDEN_AND_UNLABELED = 0.7  # labelers leave out most of what they cannot see
MOST_ANIMALS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneOptions:
    """How much to make.

    Attributes:
        size: (height, width) of the frames.
        labeled, frames: labeled frames, and frames of the video they come from.
        ood_labeled, ood_frames: the same for the out-of-distribution session: another animal, light and background.
        hidden: share of keypoints that cannot be seen and are left without a label.
        animals: 1 = one animal, seen from the side and in a mirror; 2 to 5 = so many in an arena, seen from above.
        tint: of several animals, how far the colours of their furs are apart; 0 = all look the same.
        corners: of several animals, label the arena's corners too, as points that a frame has once.
    """

    seed: int = 0
    size: tuple[int, int] = (288, 320)
    labeled: int = 100
    frames: int = 600
    ood_labeled: int = 50
    ood_frames: int = 200
    fps: float = 30.0
    hidden: float = HIDDEN_AND_UNLABELED
    animals: int = 1
    tint: float = 0.05
    corners: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.labeled <= self.frames or not 0 < self.ood_labeled <= self.ood_frames:
            raise ConfigError("A session cannot have more labeled frames than frames, nor none.")
        if not 1 <= self.animals <= MOST_ANIMALS:
            raise ConfigError(f"animals={self.animals} must be from 1 to {MOST_ANIMALS}.")
        if not 0 <= self.tint <= 1:
            raise ConfigError(f"tint={self.tint} must be from 0 to 1.")
