"""The convolutions of `centers`: down to a 32nd of the frame, and up again to the map."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (32, 64, 128, 192, 256)  # channels at strides 2, 4, 8, 16, 32
DEPTHS = (0, 2, 3, 3, 3)  # blocks after the one that halves
MIDDLE = 96  # channels on the way up
DEEPEST = 32  # stride; sides of the frame are padded to multiples of it


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels)


class Block(nn.Module):
    """A convolution of each channel by itself, then one across channels; the input is added where it fits."""

    adds: bool

    def __init__(self, channels: int, out: int, *, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False),
            _norm(channels),
            nn.Conv2d(channels, out, 1, bias=False),
            _norm(out),
            nn.ReLU(inplace=True),
        )
        self.adds = stride == 1 and channels == out

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch out h2 w2"]:
        """Features → features."""
        return x + self.layers(x) if self.adds else self.layers(x)


class Pyramid(nn.Module):
    """Normalised frames → features at `stride`, from all strides down to 32.

    Args:
        stride: 4 or 8 input pixels per cell.
        width: channels, as a multiple of the standard.

    Attributes:
        channels: of the features.
    """

    channels: int

    def __init__(self, stride: int, width: float = 1.0) -> None:
        super().__init__()
        sizes = [8 * max(round(w * width / 8), 1) for w in WIDTHS]
        self.channels = 8 * max(round(MIDDLE * width / 8), 1)
        stem = nn.Sequential(nn.Conv2d(3, sizes[0], 3, 2, 1, bias=False), _norm(sizes[0]), nn.ReLU(inplace=True))
        self.down = nn.ModuleList([stem])
        for before, after, depth in zip(sizes, sizes[1:], DEPTHS[1:], strict=False):
            more = [Block(after, after, kernel=5 if after >= sizes[3] else 3) for _ in range(depth)]
            self.down.append(nn.Sequential(Block(before, after, stride=2), *more))
        kept = sizes[stride.bit_length() - 2 :]  # from the stride of the map on
        self.sideways = nn.ModuleList([nn.Conv2d(size, self.channels, 1) for size in kept])
        self.smooth = nn.ModuleList([Block(self.channels, self.channels) for _ in kept])

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """Frames whose sides are multiples of 32 → features."""
        x, levels = images, []
        for stage in self.down:
            x = stage(x)
            levels.append(x)
        merged: Tensor | None = None
        for i in range(len(self.sideways) - 1, -1, -1):
            side = self.sideways[i](levels[len(levels) - len(self.sideways) + i])
            merged = side if merged is None else side + nn.functional.interpolate(merged, scale_factor=2.0)
            merged = self.smooth[i](merged)
        assert merged is not None
        return merged


def initialise(network: nn.Module) -> None:
    """Normal weights that keep the size of activations, zero biases."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def scaled(images: Tensor) -> Float[Tensor, "batch 3 h w"]:
    """RGB in 0–255, any type → about zero mean and unit variance; padded at the right and below, channels last."""
    height, width = images.shape[-2:]
    values = (images.float() - 114.0) / 57.0
    padded = nn.functional.pad(values, (0, -width % DEEPEST, 0, -height % DEEPEST))
    return padded.contiguous(memory_format=torch.channels_last)
