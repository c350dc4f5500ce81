"""The gated attention unit: attention and a gated linear unit in one layer.

Hua et al., "Transformer quality in linear time", ICML 2022, with the sizes of RTMPose.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ScaleNorm(nn.Module):
    """Divides by the root mean square of the last axis, times one learned number (Nguyen and Salazar, 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Values → values of mean square one, scaled."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True).clamp_min(1e-10)) * self.scale


class GatedAttention(nn.Module):
    """One gated attention unit over tokens, squared ReLU in place of softmax, a scaled short cut beside it.

    Args:
        width: of a token.
        shared: width of what queries and keys are made from.
        expansion: width of gate and values over that of a token.
    """

    sizes: list[int]
    norm: ScaleNorm

    def __init__(self, width: int, shared: int = 128, expansion: int = 2) -> None:
        super().__init__()
        self.sizes = [expansion * width, expansion * width, shared]
        self.norm = ScaleNorm()
        self.gate_value_base = nn.Linear(width, sum(self.sizes), bias=False)
        self.query_key_scale = nn.Parameter(torch.rand(2, shared))
        self.query_key_shift = nn.Parameter(torch.rand(2, shared))
        self.out = nn.Linear(expansion * width, width, bias=False)
        self.shortcut = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Tokens → tokens."""
        gate, value, base = torch.split(nn.functional.silu(self.gate_value_base(self.norm(x))), self.sizes, dim=-1)
        query, key = (base[..., None, :] * self.query_key_scale + self.query_key_shift).unbind(-2)
        attention = torch.relu(query @ key.transpose(-1, -2) / self.sizes[2] ** 0.5).square()
        return self.shortcut * x + self.out(gate * (attention @ value))
