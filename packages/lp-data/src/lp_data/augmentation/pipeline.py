"""All parts in order: geometry in one sampling, then what changes colours."""

import re
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from lp_core import ConfigError
from lp_core.tensors import Augmented
from torch import Tensor

from lp_data.augmentation import geometry, photometric
from lp_data.augmentation.config import PipelineConfig

Function = Callable[[Tensor, Any, torch.Generator], Tensor]
PHOTOMETRIC: dict[str, Function] = {
    "motion_blur": photometric.motion_blur,
    "coarse_dropout": photometric.coarse_dropout,
    "coarse_salt": photometric.coarse_salt,
    "coarse_pepper": photometric.coarse_pepper,
    "equalize": photometric.equalize,
    "clahe": photometric.clahe,
    "emboss": photometric.emboss,
    "grayscale": photometric.grayscale,  # further parts come last: what others draw stays as it was
    "gaussian_noise": photometric.gaussian_noise,
}
SIDES = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("L", "R"), ("l", "r"))


def flip_order(names: tuple[str, ...]) -> Int[Tensor, " keypoints"]:
    """For each keypoint the one that takes its place in a mirrored image.

    Raises:
        ConfigError: a keypoint's name says left or right and its counterpart is missing.
    """
    order = list(range(len(names)))
    for i, name in enumerate(names):
        other = _other_side(name)
        if other is None:
            continue
        if other not in names:
            raise ConfigError(
                f"augmentation.hflip: keypoint {name} has no counterpart {other}; rename it or use augmentation.hflip.p=0."
            )
        order[i] = names.index(other)
    return torch.tensor(order)


def _other_side(name: str) -> str | None:
    for left, right in SIDES:
        for one, two in ((left, right), (right, left)):
            pattern = rf"(^|[_\-. ]){one}(?=$|[_\-. ])"
            if re.search(pattern, name):
                return re.sub(pattern, rf"\g<1>{two}", name, count=1)
    return None


class Pipeline:
    """`lp_core.tensors.Augmentation` for a `PipelineConfig`.

    Args:
        order: keypoints' places in a mirrored image, if there is flipping.
    """

    def __init__(self, config: PipelineConfig, order: Int[Tensor, " keypoints"] | None) -> None:
        self.config, self.order = config, order

    def __call__(
        self,
        images: UInt8[Tensor, "batch 3 height width"],
        keypoints: Float[Tensor, "batch keypoints 2"],
        visibility: Int[Tensor, "batch keypoints"],
        generator: torch.Generator,
    ) -> Augmented:
        """See `lp_core.tensors.Augmentation`."""
        out, points = images.float(), keypoints
        out, points, transforms = self._move(out, points, generator)
        if self.order is not None:
            on = geometry.drawn(self.config.hflip.p, len(images), generator).to(images.device)
            order = self.order.to(images.device)
            out, points = geometry.flip(out, points, on, order)
            visibility = torch.where(on[:, None], visibility[:, order], visibility)
            mirror = torch.tensor([[-1.0, 0, images.shape[-1] - 1], [0, 1, 0]], device=images.device)
            flipped = geometry.compose(mirror.expand(len(images), -1, -1), transforms)
            transforms = torch.where(on[:, None, None], flipped, transforms)
        for name, function in PHOTOMETRIC.items():
            out = self._recolour(out, name, function, generator)
        height, width = images.shape[-2:]
        limit = torch.tensor([width, height], device=points.device) - 0.5
        gone = ~((points >= -0.5) & (points <= limit)).all(-1)
        points = torch.where(gone[..., None], torch.nan, points)
        unknown = visibility == 1  # an occluded keypoint may have no position; it stays occluded
        visibility = torch.where(gone & ~(unknown & keypoints.isnan().any(-1)), 0, visibility)
        return Augmented(images=out, keypoints=points, visibility=visibility, transforms=transforms)

    def _move(self, images: Tensor, points: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Geometry: every map composed, images that do not move left alone."""
        batch, size, config = len(images), (images.shape[-2], images.shape[-1]), self.config
        transforms = geometry.quarter_turns(config.rot90, batch, size, generator)
        transforms = geometry.compose(geometry.rotations(config.rotate, batch, size, generator), transforms)
        transforms = geometry.compose(geometry.crops_and_pads(config.crop_and_pad, batch, size, generator), transforms)
        # parts that came later draw only where they are asked for, so that the draws of others stay as they were
        if config.scale.p:
            transforms = geometry.compose(geometry.scales(config.scale, batch, size, generator), transforms)
        if config.translate.p:
            transforms = geometry.compose(geometry.translations(config.translate, batch, size, generator), transforms)
        field = geometry.displacements(config.elastic, batch, size, generator) if config.elastic.p else None
        moving = (transforms != geometry.identity(batch)).flatten(1).any(1)
        if field is not None:
            moving |= field.flatten(1).any(1)
        rows = moving.nonzero()[:, 0].to(images.device)
        transforms = transforms.to(images.device)
        if len(rows):
            some = field[moving].to(images.device) if field is not None else None
            images = images.index_copy(0, rows, geometry.sample(images[rows], transforms[rows], some))
            moved = geometry.apply(transforms[rows], points[rows])
            moved = moved if some is None else geometry.displace_points(moved, some)
            points = points.index_copy(0, rows, moved)
        return images, points, transforms

    def _recolour(self, images: Tensor, name: str, function: Function, generator: torch.Generator) -> Tensor:
        part = getattr(self.config, name)
        rows = geometry.drawn(part.p, len(images), generator).nonzero()[:, 0].to(images.device)
        return images.index_copy(0, rows, function(images[rows], part, generator)) if len(rows) else images
