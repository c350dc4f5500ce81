"""The layers of DEKR: a branch of score maps, and one of offsets that looks where each keypoint's affine map points."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from lp_core.tensors import Predictor, TargetGenerator
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from lp_heads.heatmap import upsampling

TAPS = tuple((y, x) for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0))  # of a 3×3 convolution


@dataclass(frozen=True, slots=True, kw_only=True)
class DEKRShape:
    """Sizes of the head; see `DEKRConfig`."""

    upsamplings: int
    width: int
    parts: int
    unique: int
    hidden: int
    offset_channels: int
    blocks: int
    offset_blocks: int


def _narrowed(channels: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch channels h w"]:
        """Features → features."""
        return torch.relu(x + self.layers(x))


class AdaptiveBlock(nn.Module):
    """A 3×3 convolution per group, its nine points moved by an affine map that is predicted per cell; a short cut beside.

    The map is predicted as the difference from the identity: with zeros this is a plain convolution.
    """

    moves: Tensor

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Conv2d(groups * channels, 6 * groups, 3, padding=1, groups=groups)
        self.weight = nn.Parameter(torch.empty(groups * channels, channels, 3, 3))
        self.norm = nn.BatchNorm2d(groups * channels)
        rows = [row for y, x in TAPS for row in ((y, x, 0, 0, 1, 0), (0, 0, y, x, 0, 1))]  # (dy, dx) of each tap
        moves = torch.tensor(rows, dtype=torch.float32).repeat(groups, 1)[..., None, None]
        self.register_buffer("moves", moves, persistent=False)

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch channels h w"]:
        """Features → features, group by group."""
        moved = F.conv2d(self.affine(x), self.moves, groups=self.moves.shape[0] // (2 * len(TAPS)))
        # torchvision's keeps no samples for the backward pass; on a CPU it takes five times as long
        convolved = (
            deform_conv2d(x, moved, self.weight, padding=(1, 1)) if x.is_cuda else sampled(x, moved, self.weight)
        )
        return torch.relu(x + self.norm(convolved))


def sampled(
    x: Float[Tensor, "batch channels h w"], moved: Float[Tensor, "batch moves h w"], weight: Tensor
) -> Float[Tensor, "batch out h w"]:
    """`deform_conv2d` of a 3×3 kernel with padding 1 in operations that every exported format has.

    Args:
        moved: (dy, dx) of each tap in cells, for one group after the other.
        weight: (out, channels per group, 3, 3).
    """
    batch, channels, height, width = x.shape
    groups = moved.shape[1] // (2 * len(TAPS))
    taps = torch.tensor(TAPS, device=x.device, dtype=x.dtype)[..., None, None]
    y, x_ = (torch.arange(side, device=x.device, dtype=x.dtype) for side in (height, width))
    moved = moved.reshape(-1, len(TAPS), 2, height, width)
    rows = (2 * (moved[:, :, 0] + taps[:, 0] + y[:, None]) + 1) / height - 1
    columns = (2 * (moved[:, :, 1] + taps[:, 1] + x_) + 1) / width - 1
    where = torch.stack([columns, rows], dim=-1).flatten(1, 2)
    samples = F.grid_sample(x.reshape(-1, channels // groups, height, width), where, align_corners=False)
    return F.conv2d(samples.view(batch, -1, height, width), weight.flatten(1)[..., None, None], groups=groups)


class DEKRHead(nn.Module):
    """Score maps of parts, centres and unique points; offsets from the parts to each cell.

    All keypoints' branches are one convolution with a group for each.
    """

    target_generator: TargetGenerator
    predictor: Predictor

    def __init__(
        self, channels: int, shape: DEKRShape, target_generator: TargetGenerator, predictor: Predictor
    ) -> None:
        super().__init__()
        self.upsampling_layers = nn.Sequential()
        if shape.upsamplings >= 0:
            self.upsampling_layers = upsampling(channels, shape.width, shape.upsamplings, shape.width)
            channels = shape.width
        maps, width = shape.parts + 1 + shape.unique, shape.parts * shape.offset_channels
        self.scores = nn.Sequential(
            *_narrowed(channels, shape.hidden),
            *(ResidualBlock(shape.hidden) for _ in range(shape.blocks)),
            nn.Conv2d(shape.hidden, maps, 1),
        )
        self.offsets = nn.Sequential(
            *_narrowed(channels, width),
            *(AdaptiveBlock(shape.parts, shape.offset_channels) for _ in range(shape.offset_blocks)),
            nn.Conv2d(width, 2 * shape.parts, 1, groups=shape.parts),
        )
        self.target_generator, self.predictor = target_generator, predictor
        initialise(self)

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → `scoremaps_pred` (batch, parts + 1 + unique, h, w), `offsets_pred` (batch, 2 parts, h, w) in cells."""
        features = self.upsampling_layers(features)
        return {"scoremaps_pred": self.scores(features).float(), "offsets_pred": self.offsets(features).float()}


def initialise(head: DEKRHead) -> None:
    """Kaiming-normal convolutions, norms of scale 1, outputs near zero, affine maps that are the identity."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, AdaptiveBlock):
            nn.init.kaiming_normal_(module.weight)
    for last in (head.scores[-1], head.offsets[-1]):
        nn.init.normal_(last.weight, std=0.001)  # pyright: ignore[reportArgumentType]
    for module in head.modules():
        if isinstance(module, AdaptiveBlock):
            nn.init.zeros_(module.affine.weight)
