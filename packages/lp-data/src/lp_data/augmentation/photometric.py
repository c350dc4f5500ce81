"""Photometric augmentation of images in 0–255, batched: each function takes the images it was drawn for."""

import torch
from jaxtyping import Float
from kornia.enhance import equalize_clahe
from torch import Tensor
from torch.nn import functional as F

from lp_data.augmentation.config import (
    Clahe,
    CoarseDropout,
    CoarseNoise,
    Emboss,
    Equalize,
    GaussianNoise,
    Grayscale,
    MotionBlur,
)
from lp_data.augmentation.geometry import uniform

Images = Float[Tensor, "batch 3 height width"]
LEVELS = 256
LUMA = (0.299, 0.587, 0.114)  # shares of red, green and blue in grey, ITU-R BT.601


def _convolve(images: Images, kernels: Float[Tensor, "batch k k"]) -> Images:
    """Each image with its own kernel, edges continued."""
    batch, channels = images.shape[:2]
    pad = kernels.shape[-1] // 2
    weight = kernels.to(images.device).repeat_interleave(channels, 0)[:, None]
    padded = F.pad(images, [pad] * 4, mode="replicate").flatten(0, 1)[None]
    return F.conv2d(padded, weight, groups=batch * channels)[0].unflatten(0, (batch, channels))


def motion_blur(images: Images, part: MotionBlur, generator: torch.Generator) -> Images:
    """Blur along a line through the kernel's centre."""
    angle = uniform((len(images), 1), -torch.pi / 2, torch.pi / 2, generator)
    radius = part.size // 2
    along = torch.linspace(-radius, radius, 4 * part.size)
    dx, dy = along * angle.cos(), along * angle.sin()
    cells = torch.arange(-radius, radius + 1)
    near_x = (1 - (dx[..., None] - cells).abs()).clamp_min(0)  # share of each point on the line in each column
    near_y = (1 - (dy[..., None] - cells).abs()).clamp_min(0)
    kernels = torch.einsum("npi,npj->nij", near_y, near_x)
    return _convolve(images, kernels / kernels.sum((-1, -2), keepdim=True)).clamp(0, 255)


def _cells(images: Images, share: float, size: float, channels: int, generator: torch.Generator) -> Tensor:
    """A mask of coarse cells, each on with probability `share`."""
    height, width = (max(round(side * size), 1) for side in images.shape[-2:])
    mask = (torch.rand(len(images), channels, height, width, generator=generator) < share).to(images.dtype)
    return F.interpolate(mask.to(images.device), size=images.shape[-2:], mode="nearest")


def coarse_dropout(images: Images, part: CoarseDropout, generator: torch.Generator) -> Images:
    """Black cells."""
    mask = _cells(images, part.share, part.size, 3, generator)
    per_channel = (torch.rand(len(images), generator=generator) < part.per_channel).to(images.device)
    mask = torch.where(per_channel[:, None, None, None], mask, mask[:, :1])
    return images * (1 - mask)


def _coarse_noise(images: Images, part: CoarseNoise, generator: torch.Generator, *, bright: bool) -> Images:
    size = float(uniform((1,), part.smallest, part.largest, generator))
    mask = _cells(images, part.share, size, 1, generator)
    arcsine = torch.sin(uniform((len(images), 1, 1, 1), 0, torch.pi / 2, generator)) ** 2  # Beta(½, ½), imgaug's choice
    away = (arcsine - 0.5).abs().to(images.device)
    return torch.lerp(images, (255 * (0.5 + away if bright else 0.5 - away)).expand_as(images), mask)


def coarse_salt(images: Images, part: CoarseNoise, generator: torch.Generator) -> Images:
    """Bright cells."""
    return _coarse_noise(images, part, generator, bright=True)


def coarse_pepper(images: Images, part: CoarseNoise, generator: torch.Generator) -> Images:
    """Dark cells."""
    return _coarse_noise(images, part, generator, bright=False)


def _equalising_tables(counts: Float[Tensor, "n levels"]) -> Float[Tensor, "n levels"]:
    """Grey level → equalised level: `255 (cdf - cdf_min) / (N - cdf_min)`, the textbook rule OpenCV follows."""
    total = counts.cumsum(-1)
    first = counts.gather(-1, (counts > 0).to(torch.int8).argmax(-1, keepdim=True))
    span = total[:, -1:] - first
    identity = torch.arange(LEVELS, device=counts.device, dtype=counts.dtype)
    return torch.where(span > 0, ((total - first) * (255 / span.clamp_min(1))).round().clamp(0, 255), identity)


def _histograms(levels: Tensor) -> Float[Tensor, "n levels"]:
    """Counts of the grey levels of each row of `levels` (n, pixels)."""
    counts = torch.zeros(len(levels), LEVELS, device=levels.device)
    return counts.scatter_add_(1, levels, torch.ones((), device=levels.device).expand(levels.shape))


def equalize(images: Images, part: Equalize, generator: torch.Generator) -> Images:
    """Histogram equalisation per channel."""
    levels = images.round().clamp(0, 255).long().flatten(0, 1).flatten(1)
    return _equalising_tables(_histograms(levels)).gather(1, levels).reshape(images.shape).to(images.dtype)


def clahe(images: Images, part: Clahe, generator: torch.Generator) -> Images:
    """Zuiderveld's contrast-limited adaptive histogram equalisation (kornia's), with a random limit."""
    limit = float(uniform((1,), 0.1, part.clip_limit, generator))
    return 255 * equalize_clahe((images / 255).clamp(0, 1), clip_limit=limit, grid_size=(part.tiles, part.tiles))


def emboss(images: Images, part: Emboss, generator: torch.Generator) -> Images:
    """Blend in `[[-1-s, -s, 0], [-s, 1, s], [0, s, 1+s]]`."""
    strength = uniform((len(images),), part.weakest, part.strongest, generator)[:, None, None]
    alpha = uniform((len(images),), 0, part.alpha, generator)[:, None, None]
    still = torch.tensor([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    slope = torch.tensor([[-1.0, -1, 0], [-1, 0, 1], [0, 1, 1]])
    nothing = torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])
    return _convolve(images, (1 - alpha) * nothing + alpha * (still + strength * slope)).clamp(0, 255)


def grayscale(images: Images, part: Grayscale, generator: torch.Generator) -> Images:
    """Less colour, or none."""
    share = uniform((len(images), 1, 1, 1), part.weakest, 1.0, generator).to(images.device)
    grey = torch.einsum("nchw,c->nhw", images, images.new_tensor(LUMA))[:, None]
    return torch.lerp(images, grey.expand_as(images), share)


def gaussian_noise(images: Images, part: GaussianNoise, generator: torch.Generator) -> Images:
    """Independent noise, drawn on the device from a seed that `generator` gives."""
    strength = part.strongest * uniform((len(images), 1, 1, 1), 0, 1, generator).sqrt().to(images.device)
    own = torch.Generator(images.device).manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
    noise = torch.randn(images.shape, generator=own, device=images.device)
    return (images + strength * noise).clamp(0, 255)
