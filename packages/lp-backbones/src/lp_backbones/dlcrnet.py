"""ResNet's stages 1, 2 and 4 on one grid (Lauer et al. 2022, DLCRNet)."""

from typing import Any

import torch
from jaxtyping import Float
from timm.models import checkpoint_seq
from torch import Tensor, nn

from lp_backbones.network import TimmBackbone

ADDED = 128  # channels from each of the two early stages
TAP = 3  # blocks of stage 2 that its features have passed


class DLCRNetBackbone(TimmBackbone):
    """timm's ResNet and two short paths from its early stages to the grid of the last.

    Every layer has an odd kernel centred on the cells that it keeps, as ResNet's own layers have, so that feature i of each
    path looks at the image around pixel i · `stride`, as the last stage does.

    Args:
        model: a timm network of class `ResNet`.
        norm: means nothing here.

    Raises:
        ValueError: another network.
    """

    def __init__(self, model: Any, *, norm: bool = True) -> None:
        if type(model).__name__ != "ResNet":
            raise ValueError("not a ResNet")
        super().__init__(model, norm=norm)
        fine, middle = (int(self.model.feature_info[level]["num_chs"]) for level in (1, 2))
        self.fine = reduction(fine, convolutions=2, factor=self.stride // 4)
        self.middle = reduction(middle, convolutions=1, factor=self.stride // 8)
        self.channels += 2 * ADDED

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """RGB, normalised with `mean` and `std` → features of stages 1, 2 and 4, in this order of channels."""
        net = self.model
        fine = self._through([*net.layer1], net.maxpool(net.act1(net.bn1(net.conv1(images)))))
        middle = self._through([*net.layer2][:TAP], fine)
        deep = self._through([*[*net.layer2][TAP:], *net.layer3, *net.layer4], middle)
        return torch.cat([self.fine(fine), self.middle(middle), deep], dim=1)

    def _through(self, blocks: list[nn.Module], features: Tensor) -> Tensor:
        if self.model.grad_checkpointing:
            return checkpoint_seq(blocks, features)
        for block in blocks:
            features = block(features)
        return features


def reduction(channels: int, *, convolutions: int, factor: int) -> nn.Sequential:
    """So many 3 × 3 convolutions and a 1 × 1 to `ADDED` channels, on a grid coarser by `factor`, a power of two."""
    layers: list[nn.Module] = []
    for _ in range(convolutions):
        step = 2 if factor > 1 else 1
        layers += _normed(nn.Conv2d(channels, channels, 3, stride=step, padding=1, bias=False))
        factor //= step
    while factor > 1:
        layers.append(nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False))
        factor //= 2
    return nn.Sequential(*layers, *_normed(nn.Conv2d(channels, ADDED, 1, bias=False)))


def _normed(convolution: nn.Conv2d) -> list[nn.Module]:
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()]
