"""TokenPose's transformer: keypoints are tokens beside the patches of a feature map.

Li et al., "TokenPose: learning keypoint tokens for human pose estimation", ICCV 2021.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from lp_core import Size
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 3  # of layers; the keypoint tokens after each are the output


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerShape:
    """Sizes of the transformer.

    Attributes:
        patch: cells on a side of a patch.
        width: of a token; a multiple of 4 and of `attention_heads`.
        depth: layers of each of the three groups.
        mlp: hidden units between attentions.
    """

    patch: int
    width: int
    depth: int
    attention_heads: int
    mlp: int


def sine_positions(size: Size, width: int) -> Float[Tensor, "places {width}"]:
    """Sines and cosines of the position of each of `size` (rows, columns) places, half of the width for each axis.

    The extent of the map is 2π; wavelengths grow geometrically up to 10,000 times that (Carion et al., "End-to-end
    object detection with transformers", 2020, section A.4).
    """
    frequency = 10_000.0 ** -torch.linspace(0, 1, width // 4 + 1)[:-1]
    axes = []
    for length in size:
        angle = (torch.arange(length) + 1)[:, None] * (2 * math.pi / length) * frequency
        axes.append(torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1))
    rows, columns = axes[0][:, None].expand(-1, size[1], -1), axes[1][None].expand(size[0], -1, -1)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1)


class EncoderLayer(nn.Module):
    """Self-attention and a two-layer perceptron, each after a norm and beside a short cut."""

    attention_heads: int

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.attention_heads = shape.attention_heads
        self.norm, self.mlp_norm = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width)
        self.mlp = nn.Sequential(nn.Linear(shape.width, shape.mlp), nn.GELU(), nn.Linear(shape.mlp, shape.width))

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Tokens → tokens."""
        qkv = self.qkv(self.norm(tokens)).unflatten(-1, (3, self.attention_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        return tokens + self.mlp(self.mlp_norm(tokens))


class TokenPoseNeck(nn.Module):
    """Features → what three groups of layers say of each keypoint.

    Args:
        channels: of the features.
        feature_size: (height, width) of the features, multiples of `shape.patch`.
    """

    positions: Tensor

    def __init__(self, channels: int, feature_size: Size, num_keypoints: int, shape: TransformerShape) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, shape.width, shape.patch, stride=shape.patch)
        self.keypoints = nn.Parameter(torch.empty(num_keypoints, shape.width))
        self.groups = nn.ModuleList(
            nn.ModuleList(EncoderLayer(shape) for _ in range(shape.depth)) for _ in range(GROUPS)
        )
        positions = sine_positions((feature_size[0] // shape.patch, feature_size[1] // shape.patch), shape.width)
        self.register_buffer("positions", F.pad(positions, (0, 0, num_keypoints, 0)), persistent=False)
        nn.init.trunc_normal_(self.keypoints, std=0.02)
        initialise(self)

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch keypoints width"]:
        """Features → the tokens of each keypoint after each group, one beside the other; positions join every layer."""
        patches = self.embed(features).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.keypoints.expand(features.shape[0], -1, -1), patches], dim=1)
        said = []
        for group in self.groups:
            for layer in group:  # pyright: ignore[reportGeneralTypeIssues]
                tokens = layer(tokens + self.positions)
            said.append(tokens[:, : self.keypoints.shape[0]])
        return torch.cat(said, dim=-1)


def initialise(layers: nn.Module) -> None:
    """Truncated normal of 0.02 for weights, zero biases."""
    for module in layers.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
