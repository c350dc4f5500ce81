"""Keypoints as images that a network can look at. Pure functions of tensors, differentiable, batched, on their device."""

import torch
from jaxtyping import Float
from lp_core import ConfigError, Size
from torch import Tensor, nn


def profiles(
    keypoints: Float[Tensor, "batch keypoints 2"], size: Size, sigma: float
) -> tuple[Float[Tensor, "batch keypoints width"], Float[Tensor, "batch keypoints height"]]:
    """Each keypoint's Gaussian along x and along y, 1 at the keypoint; zero where it is NaN.

    Args:
        keypoints: (x, y) in pixels; the centre of the top-left pixel is (0, 0).
        size: (height, width) of the images.
        sigma: standard deviation in pixels.
    """
    known = keypoints.isfinite().all(-1, keepdim=True)
    centres = torch.where(known, keypoints, 0)
    x, y = (
        known
        * torch.exp(-((torch.arange(side, device=keypoints.device) - centres[..., axis, None]) ** 2) / (2 * sigma**2))
        for axis, side in enumerate((size[1], size[0]))
    )
    return x, y


def stacked(
    keypoints: Float[Tensor, "batch keypoints 2"], size: Size, sigma: float
) -> Float[Tensor, "batch keypoints height width"]:
    """A channel for each keypoint."""
    x, y = profiles(keypoints, size, sigma)
    return y[..., :, None] * x[..., None, :]


def coloured(
    keypoints: Float[Tensor, "batch keypoints 2"], size: Size, sigma: float
) -> Float[Tensor, "batch 3 height width"]:
    """All keypoints in one picture, each in its colour; where they overlap colours add up, to 1 at most."""
    x, y = profiles(keypoints, size, sigma)
    rows = rainbow(keypoints.shape[1], keypoints).T[:, None, :] * y.transpose(1, 2)[:, None]  # batch 3 height keypoints
    return (rows @ x[:, None]).clamp(max=1)


def rainbow(count: int, like: Tensor) -> Float[Tensor, "{count} 3"]:
    """Hues from red to violet, full saturation and brightness, as (r, g, b) in 0–1."""
    hue = torch.arange(count, device=like.device, dtype=like.dtype) * (5 / max(count, 1))  # of 6 on the colour circle
    return torch.stack([(hue - 3).abs() - 1, 2 - (hue - 2).abs(), 2 - (hue - 4).abs()], dim=1).clamp(0, 1)


ENCODINGS = {"stacked": stacked, "coloured": coloured}


class KeypointMaps(nn.Module):
    """Conditions → maps in 0–1. Nothing in it is learnt.

    Args:
        encoding: `stacked` or `coloured`.
        keypoints: how many; `coloured` takes any number.
        sigma: of the Gaussians, in input pixels.

    Attributes:
        channels: of the maps.

    Raises:
        ConfigError: `stacked` needs to know how many.
    """

    encoding: str
    sigma: float
    keypoints: int | None
    channels: int

    def __init__(self, encoding: str, *, keypoints: int | None, sigma: float) -> None:
        super().__init__()
        if encoding == "stacked" and not keypoints:
            raise ConfigError(
                "backbone.encoding=stacked needs backbone.keypoints, their number; or set encoding=coloured."
            )
        self.encoding, self.sigma = encoding, sigma
        self.keypoints = keypoints if encoding == "stacked" else None
        self.channels = int(keypoints or 0) if encoding == "stacked" else 3

    def forward(
        self, conditions: Float[Tensor, "batch keypoints 2"] | None, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Keypoints in pixels of `images`, NaN = none → maps of their size and type; all zero without conditions.

        Raises:
            ConfigError: another number of keypoints than was promised.
        """
        size = images.shape[-2], images.shape[-1]
        if conditions is None:
            return images.new_zeros(images.shape[0], self.channels, *size)
        if self.keypoints not in (None, conditions.shape[1]):
            raise ConfigError(f"backbone.keypoints={self.keypoints}, but there are {conditions.shape[1]} conditions.")
        with torch.autocast(images.device.type, enabled=False):
            return ENCODINGS[self.encoding](conditions.float(), size, self.sigma).to(images.dtype)
