"""Geometric augmentation: affine maps in pixels, composed before anything is sampled, and a smooth displacement."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from lp_data.augmentation.config import CropAndPad, Elastic, Rot90, Rotate, Scale, Translate

Affine = Float[Tensor, "batch 2 3"]
Points = Float[Tensor, "batch keypoints 2"]
COARSE = 4  # the displacement is made at a quarter of the resolution: it is smooth over `sigma` px anyway
ITERATIONS = 4  # of the displacement's inverse; each shrinks the error by the displacement's slope, under 0.1


def identity(batch: int) -> Affine:
    """Maps that change nothing."""
    return torch.eye(2, 3).repeat(batch, 1, 1)


def compose(second: Affine, first: Affine) -> Affine:
    """The map that does `first`, then `second`."""
    linear = second[..., :2] @ first[..., :2]
    return torch.cat([linear, second[..., :2] @ first[..., 2:] + second[..., 2:]], dim=-1)


def invert(transforms: Affine) -> Affine:
    """The maps back."""
    linear = torch.linalg.inv(transforms[..., :2])
    return torch.cat([linear, -linear @ transforms[..., 2:]], dim=-1)


def apply(transforms: Affine, points: Points) -> Points:
    """Points moved by the maps; NaN stays NaN."""
    return points @ transforms[..., :2].mT + transforms[..., 2][:, None]


def about_centre(linear: Float[Tensor, "batch 2 2"], height: int, width: int) -> Affine:
    """`linear` with the centre of the image as its fixed point."""
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    return torch.cat([linear, (centre - linear @ centre)[..., None]], dim=-1)


def uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Uniform draws between `low` and `high`."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def drawn(part_p: float, batch: int, generator: torch.Generator) -> Bool[Tensor, " batch"]:
    """Which images a part is applied to."""
    return torch.rand(batch, generator=generator) < part_p


def rotations(part: Rotate, batch: int, size: tuple[int, int], generator: torch.Generator) -> Affine:
    """Random rotations."""
    on = drawn(part.p, batch, generator)
    angle = uniform((batch,), -part.degrees, part.degrees, generator) * on * (math.pi / 180)
    return about_centre(_rotation(angle), *size)


def quarter_turns(part: Rot90, batch: int, size: tuple[int, int], generator: torch.Generator) -> Affine:
    """Random quarter turns; of an image that is not square the turned content is stretched to fit."""
    on = drawn(part.p, batch, generator)
    choice = torch.randint(len(part.turns), (batch,), generator=generator)
    turns = torch.tensor(part.turns)[choice] * on
    height, width = size
    extent = torch.tensor([float(width), float(height)])
    linear = _rotation(turns * (math.pi / 2)).round()
    return about_centre(extent[:, None] * linear / extent, height, width)


def _rotation(angle: Float[Tensor, " batch"]) -> Float[Tensor, "batch 2 2"]:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


def crops_and_pads(part: CropAndPad, batch: int, size: tuple[int, int], generator: torch.Generator) -> Affine:
    """Random windows, stretched to the image: a point at the window's edge goes to the image's edge."""
    on = drawn(part.p, batch, generator)[:, None]
    before = uniform((batch, 2), -part.fraction, part.fraction, generator) * on  # of the width and height; > 0 pads
    after = uniform((batch, 2), -part.fraction, part.fraction, generator) * on
    extent = torch.tensor([float(size[1]), float(size[0])])
    scale = 1 / (1 + before + after)
    shift = (0.5 + before * extent) * scale - 0.5
    return torch.cat([torch.diag_embed(scale), shift[..., None]], dim=-1)


def scales(part: Scale, batch: int, size: tuple[int, int], generator: torch.Generator) -> Affine:
    """Random factors, about the centre."""
    on = drawn(part.p, batch, generator)
    factor = torch.where(on, uniform((batch,), part.smallest, part.largest, generator), 1.0)
    return about_centre(factor[:, None, None] * torch.eye(2), *size)


def translations(part: Translate, batch: int, size: tuple[int, int], generator: torch.Generator) -> Affine:
    """Random moves."""
    on = drawn(part.p, batch, generator)[:, None]
    extent = torch.tensor([float(size[1]), float(size[0])])
    moves = identity(batch)
    moves[..., 2] = uniform((batch, 2), -part.fraction, part.fraction, generator) * extent * on
    return moves


def displacements(
    part: Elastic, batch: int, size: tuple[int, int], generator: torch.Generator
) -> Float[Tensor, "batch 2 height width"]:
    """Smooth random fields in px; zero for images the part is not applied to."""
    on = drawn(part.p, batch, generator)
    alpha = uniform((batch,), 0, part.alpha, generator) * on
    radius = math.ceil(3 * part.sigma / COARSE)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) * COARSE / part.sigma) ** 2)
    kernel = kernel / kernel.sum()
    coarse = [-(-side // COARSE) + 2 * radius for side in size]
    noise = uniform((batch, 2, *coarse), -1, 1, generator).flatten(0, 1)[:, None]
    smooth = F.conv2d(F.conv2d(noise, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    fine = F.interpolate(smooth, size=size, mode="bilinear", align_corners=False).unflatten(0, (batch, 2))[:, :, 0]
    return fine / COARSE * alpha[:, None, None, None]  # blurring a grid 4 times coarser leaves noise 4 times larger


def sample(
    images: Float[Tensor, "batch 3 height width"],
    transforms: Affine,
    field: Float[Tensor, "batch 2 height width"] | None,
) -> Float[Tensor, "batch 3 height width"]:
    """Images moved by the maps and then the displacement; black where nothing comes from."""
    height, width = images.shape[-2:]
    x, y = torch.arange(width, device=images.device), torch.arange(height, device=images.device)
    target = torch.stack(torch.broadcast_tensors(x[None, :], y[:, None]), dim=-1).to(images.dtype)
    target = target.expand(len(images), -1, -1, -1)
    if field is not None:
        target = target + field.permute(0, 2, 3, 1)
    source = apply(invert(transforms), target.flatten(1, 2)).unflatten(1, (height, width))
    extent = torch.tensor([width, height], device=images.device, dtype=images.dtype)
    grid = (2 * source + 1) / extent - 1  # grid_sample without align_corners: -1 and 1 are the image's edges
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def displace_points(points: Points, field: Float[Tensor, "batch 2 height width"]) -> Points:
    """Where content at `points` is seen after `sample` with the field: the p with `p + field(p) = points`."""
    height, width = field.shape[-2:]
    extent = torch.tensor([width, height], device=points.device, dtype=points.dtype)
    moved = points
    for _ in range(ITERATIONS):
        grid = (2 * moved.nan_to_num() + 1) / extent - 1
        at = F.grid_sample(field, grid[:, None], mode="bilinear", padding_mode="border", align_corners=False)
        moved = points - at[:, :, 0].mT
    return moved


def flip(
    images: Tensor, points: Points, on: Bool[Tensor, " batch"], order: Int[Tensor, " keypoints"]
) -> tuple[Tensor, Points]:
    """Mirror the images of `on` left to right; their keypoints take the places of `order`."""
    width = images.shape[-1]
    mirrored = points[:, order].clone()
    mirrored[..., 0] = width - 1 - mirrored[..., 0]
    chosen = on.view(-1, 1, 1)
    return torch.where(chosen[..., None], images.flip(-1), images), torch.where(chosen, mirrored, points)
