"""The reference's augmentation lists. Every part has a probability `p` per image; `p=0` switches it off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lp_core import AugmentationConfig, ConfigError

if TYPE_CHECKING:
    from lp_data.augmentation.pipeline import Pipeline


@dataclass(slots=True, kw_only=True)
class Part:
    """A part that is applied to each image with probability `p`."""

    p: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ConfigError(f"augmentation: p={self.p} must lie in [0, 1].")


@dataclass(slots=True, kw_only=True)
class Rot90(Part):
    """A rotation by one of `turns` quarter turns, each equally likely."""

    turns: list[int] = field(default_factory=lambda: [0, 1, 2, 3])


@dataclass(slots=True, kw_only=True)
class HorizontalFlip(Part):
    """Mirrors the image and swaps left and right keypoints (`_left`/`_right`, `left_`/`right_`, `_L`/`_R` in names)."""


@dataclass(slots=True, kw_only=True)
class Rotate(Part):
    """A rotation about the centre by up to `degrees`."""

    degrees: float = 25.0


@dataclass(slots=True, kw_only=True)
class Scale(Part):
    """Larger or smaller about the centre, alike in both directions, by a factor between `smallest` and `largest`."""

    smallest: float = 0.5
    largest: float = 1.25

    def __post_init__(self) -> None:
        Part.__post_init__(self)
        if not 0 < self.smallest <= self.largest:
            raise ConfigError(
                f"augmentation.scale: smallest={self.smallest} must be above 0, and not above largest={self.largest}."
            )


@dataclass(slots=True, kw_only=True)
class Translate(Part):
    """Moved by up to `fraction` of the width and of the height."""

    fraction: float = 0.1


@dataclass(slots=True, kw_only=True)
class CropAndPad(Part):
    """Each side moves in or out by up to `fraction` of the image, which is then stretched back to its size."""

    fraction: float = 0.15


@dataclass(slots=True, kw_only=True)
class Elastic(Part):
    """A smooth random displacement: noise blurred with `sigma` px, times up to `alpha`."""

    alpha: float = 10.0
    sigma: float = 5.0


@dataclass(slots=True, kw_only=True)
class MotionBlur(Part):
    """A line blur of `size` px in a random direction."""

    size: int = 5


@dataclass(slots=True, kw_only=True)
class CoarseDropout(Part):
    """A share of the cells of a grid with `size` cells per pixel turns black, in half of the cases per channel."""

    share: float = 0.02
    size: float = 0.3
    per_channel: float = 0.5


@dataclass(slots=True, kw_only=True)
class CoarseNoise(Part):
    """A share of the cells of a coarse grid turns bright (salt) or dark (pepper)."""

    share: float = 0.01
    smallest: float = 0.05
    largest: float = 0.1


@dataclass(slots=True, kw_only=True)
class Equalize(Part):
    """Histogram equalisation of each channel."""


@dataclass(slots=True, kw_only=True)
class Clahe(Part):
    """Contrast-limited adaptive histogram equalisation of each channel."""

    clip_limit: float = 8.0
    tiles: int = 8


@dataclass(slots=True, kw_only=True)
class Emboss(Part):
    """Edges brightened on one side and darkened on the other, blended in by up to `alpha`."""

    alpha: float = 0.5
    weakest: float = 0.5
    strongest: float = 1.5


@dataclass(slots=True, kw_only=True)
class Grayscale(Part):
    """Colours blended with their grey by `weakest` to 1."""

    weakest: float = 0.5


@dataclass(slots=True, kw_only=True)
class GaussianNoise(Part):
    """Noise on every pixel and channel, its variance from 0 to `strongest`²; `strongest` in grey levels of 255."""

    strongest: float = 12.75


@dataclass(slots=True, kw_only=True)
class PipelineConfig(AugmentationConfig):
    """No augmentation, unless parts are switched on: augmentation.rotate.p=0.5."""

    rot90: Rot90 = field(default_factory=Rot90)
    hflip: HorizontalFlip = field(default_factory=HorizontalFlip)
    rotate: Rotate = field(default_factory=Rotate)
    elastic: Elastic = field(default_factory=Elastic)
    crop_and_pad: CropAndPad = field(default_factory=CropAndPad)
    motion_blur: MotionBlur = field(default_factory=MotionBlur)
    coarse_dropout: CoarseDropout = field(default_factory=CoarseDropout)
    coarse_salt: CoarseNoise = field(default_factory=CoarseNoise)
    coarse_pepper: CoarseNoise = field(default_factory=CoarseNoise)
    equalize: Equalize = field(default_factory=Equalize)
    clahe: Clahe = field(default_factory=Clahe)
    emboss: Emboss = field(default_factory=Emboss)
    grayscale: Grayscale = field(default_factory=Grayscale)
    gaussian_noise: GaussianNoise = field(default_factory=GaussianNoise)
    scale: Scale = field(default_factory=Scale)
    translate: Translate = field(default_factory=Translate)

    def build(self, *, keypoint_names: tuple[str, ...]) -> Pipeline:
        """The augmentation.

        Raises:
            ConfigError: flipping is on and a left keypoint has no right one.
        """
        from lp_data.augmentation.pipeline import Pipeline, flip_order

        return Pipeline(self, flip_order(keypoint_names) if self.hflip.p else None)


@dataclass(slots=True, kw_only=True)
class DlcConfig(PipelineConfig):
    """DeepLabCut's list, as Lightning Pose uses it: rotation, zoom, elastic, blur, dropout, noise, contrast."""

    rotate: Rotate = field(default_factory=lambda: Rotate(p=0.4))
    elastic: Elastic = field(default_factory=lambda: Elastic(p=0.5))
    crop_and_pad: CropAndPad = field(default_factory=lambda: CropAndPad(p=0.4))
    motion_blur: MotionBlur = field(default_factory=lambda: MotionBlur(p=0.5))
    coarse_dropout: CoarseDropout = field(default_factory=lambda: CoarseDropout(p=0.5))
    coarse_salt: CoarseNoise = field(default_factory=lambda: CoarseNoise(p=0.5))
    coarse_pepper: CoarseNoise = field(default_factory=lambda: CoarseNoise(p=0.5))
    equalize: Equalize = field(default_factory=lambda: Equalize(p=0.1))
    clahe: Clahe = field(default_factory=lambda: Clahe(p=0.1))
    emboss: Emboss = field(default_factory=lambda: Emboss(p=0.1))


@dataclass(slots=True, kw_only=True)
class DlcLrConfig(DlcConfig):
    """dlc, and half turns, for animals that face left or right (seen from above)."""

    rot90: Rot90 = field(default_factory=lambda: Rot90(p=1.0, turns=[0, 2]))


@dataclass(slots=True, kw_only=True)
class DlcTopDownConfig(DlcConfig):
    """dlc, and quarter turns, for animals seen from above that face anywhere."""

    rot90: Rot90 = field(default_factory=lambda: Rot90(p=1.0))
