"""HRNet with conditional attention (BUCTD, CoAM; the two attentions are those of DANet, Fu et al. 2019)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from lp_core import ConfigError, Size
from torch import Tensor, nn
from torch.nn import functional as F

from lp_backbones.hrnet import HRNetBackbone, continued
from lp_backbones.keypoint_maps import KeypointMaps

STRIDE = 4  # of the finest branch; each further one has twice that of the one before
BRANCHES = {1: 2, 2: 3, 3: 4, 4: 1}  # that attend behind a stage; of the last one only the finest is used
SMALL = 1e-3  # deviation of the last layers' weights: attention adds little at first


@dataclass(frozen=True, slots=True)
class Attention:
    """What all attentions of a network have in common."""

    heads: int = 1
    dropout: float = 0.0
    channels_only: bool = False


class PixelAttention(nn.Module):
    """Each pixel gathers from all others; its condition asks, or its own features where there is no condition.

    Args:
        channels: of the features.
        conditions: channels of the condition; 0 for none.
        attention: heads and dropout.
    """

    def __init__(self, channels: int, conditions: int, attention: Attention) -> None:
        super().__init__()
        inner = attention.heads * channels
        self.attention = attention
        self.features = nn.Conv2d(channels, channels, 3, padding=1)
        self.condition = nn.Conv2d(conditions, conditions, 3, padding=1) if conditions else None
        self.query = nn.Linear(conditions or channels, inner)
        self.key, self.value = nn.Linear(channels, inner), nn.Linear(channels, inner)
        self.output = small(nn.Linear(inner, channels))

    def forward(
        self, features: Float[Tensor, "batch channels h w"], maps: Float[Tensor, "batch conditions h w"] | None
    ) -> Float[Tensor, "batch channels h w"]:
        """What each pixel gathers."""
        own = self.features(features)
        asking = own if self.condition is None else self.condition(maps)
        tokens = own.flatten(2).transpose(1, 2)
        query = self.query(asking.flatten(2).transpose(1, 2))
        gathered = attend(query, self.key(tokens), self.value(tokens), self.attention, self.training)
        return self.output(gathered).transpose(1, 2).unflatten(2, features.shape[-2:])


class ChannelAttention(nn.Module):
    """Each channel gathers from all others, as likenesses between whole maps say; hence one size of image only.

    Args:
        channels: of the features.
        conditions: channels of the condition; 0 for none.
        pixels: of the features.
        attention: heads and dropout.
    """

    def __init__(self, channels: int, conditions: int, pixels: int, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.features = nn.Conv2d(channels, channels, 3, padding=1)
        self.condition = nn.Conv2d(conditions, channels, 3, padding=1) if conditions else None
        self.output = small(nn.Linear(pixels, pixels))

    def forward(
        self, features: Float[Tensor, "batch channels h w"], maps: Float[Tensor, "batch conditions h w"] | None
    ) -> Float[Tensor, "batch channels h w"]:
        """What each channel gathers."""
        own = self.features(features)
        query = (own if self.condition is None else self.condition(maps)).flatten(2)
        gathered = attend(query, own.flatten(2), own.flatten(2), self.attention, self.training)
        return self.output(gathered).unflatten(2, features.shape[-2:])


class CoAM(nn.Module):
    """Features plus what both attentions gather.

    Args:
        channels: of the features.
        conditions: channels of the condition; 0 for none.
        pixels: of the features.
        attention: heads, dropout, and whether only channels attend.
    """

    def __init__(self, channels: int, conditions: int, pixels: int, attention: Attention) -> None:
        super().__init__()
        self.parts = nn.ModuleList([ChannelAttention(channels, conditions, pixels, attention)])
        if not attention.channels_only:
            self.parts.append(PixelAttention(channels, conditions, attention))

    def forward(
        self, features: Float[Tensor, "batch channels h w"], maps: Float[Tensor, "batch conditions h w"] | None
    ) -> Float[Tensor, "batch channels h w"]:
        """Features of the same shape."""
        gathered = [part(features, maps) for part in self.parts]
        return features + sum(gathered)


class HRNetCoAM(HRNetBackbone):
    """HRNet's finest branch; behind some stages every branch attends to the conditions, on its own grid.

    Args:
        model: a timm network of class `HighResolutionNet`.
        norm: means nothing here.
        maps: paints the conditions.
        size: (height, width) of the images.
        stages: behind which stages branches attend; true if to the conditions, false if to themselves.
        attention: heads, dropout, and whether only channels attend.
    """

    conditional = True

    def __init__(
        self,
        model: Any,
        *,
        norm: bool = True,
        maps: KeypointMaps,
        size: Size,
        stages: Mapping[int, bool],
        attention: Attention,
    ) -> None:
        super().__init__(model, norm=norm, branches="highest")
        self.maps = maps
        self.attention = nn.ModuleDict()
        for stage, conditional in stages.items():
            conditions = maps.channels if conditional else 0
            widths = self._widths(stage)
            layers = [CoAM(width, conditions, pixels(size, i), attention) for i, width in enumerate(widths)]
            self.attention[str(stage)] = nn.ModuleList(layers)

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        conditions: Float[Tensor, "batch keypoints 2"] | None = None,
    ) -> Float[Tensor, "batch channels h w"]:
        """RGB, normalised with `mean` and `std`, and keypoints in input pixels (NaN = none) → features."""
        net, maps = self.model, self.maps(conditions, images)
        first = net.layer1(net.act2(net.bn2(net.conv2(net.act1(net.bn1(net.conv1(images)))))))
        branches = [layer(first) for layer in net.transition1]
        branches = net.stage2(self._attended(1, branches, maps))
        branches = net.stage3(self._attended(2, continued(branches, net.transition2), maps))
        branches = net.stage4(self._attended(3, continued(branches, net.transition3), maps))
        return self._attended(4, branches, maps)[0]

    def _attended(self, stage: int, branches: list[Tensor], maps: Tensor) -> list[Tensor]:
        if str(stage) not in self.attention:
            return branches
        layers: Any = self.attention[str(stage)]
        return [
            layer(branch, F.avg_pool2d(maps, STRIDE << i))
            for i, (layer, branch) in enumerate(zip(layers, branches, strict=True))
        ]

    def _widths(self, stage: int) -> list[int]:
        following = self.model.stage4 if stage == 4 else getattr(self.model, f"stage{stage + 1}")
        return [int(width) for width in following[0].num_in_chs][: BRANCHES[stage]]


def pixels(size: Size, branch: int) -> int:
    """Of a branch's grid, 0 being the finest."""
    return size[0] // (STRIDE << branch) * (size[1] // (STRIDE << branch))


def check_heads(attention: Attention, stages: Iterable[int], size: Size) -> None:
    """Raises ConfigError if the heads do not divide the pixels of the coarsest branch that attends, and so of the others."""
    coarsest = pixels(size, max(BRANCHES[stage] for stage in stages) - 1)
    if coarsest % attention.heads:
        raise ConfigError(
            f"backbone.attention_heads={attention.heads} must divide {coarsest}, the pixels of HRNet's coarsest branch "
            f"that attends for data.image_size=[{size[0]},{size[1]}]."
        )


def attend(
    query: Float[Tensor, "batch asking inner"],
    key: Float[Tensor, "batch tokens inner"],
    value: Float[Tensor, "batch tokens inner"],
    attention: Attention,
    training: bool,
) -> Float[Tensor, "batch asking inner"]:
    """Scaled dot-product attention, the last axis shared out among the heads."""
    q, k, v = (t.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for t in (query, key, value))
    gathered = F.scaled_dot_product_attention(q, k, v, dropout_p=attention.dropout if training else 0.0)
    return gathered.transpose(1, 2).flatten(2)


def small(layer: nn.Linear) -> nn.Linear:
    """The layer with weights near zero and no bias at first."""
    nn.init.normal_(layer.weight, std=SMALL)
    nn.init.zeros_(layer.bias)
    return layer
