"""Conditions mixed into the image before any backbone (BUCTD, preNet)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lp_backbones.keypoint_maps import KeypointMaps
from lp_backbones.network import TimmBackbone

HIDDEN = 64


class CondPreNet(nn.Module):
    """A backbone behind two small branches, of the image and of the conditions, whose sum it sees.

    The branch of the image starts as the identity: at first the backbone sees the image that its weights know.

    Args:
        backbone: what is wrapped.
        maps: paints the conditions.
    """

    conditional = True
    backbone: TimmBackbone
    maps: KeypointMaps
    stride: int
    channels: int
    divisor: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __init__(self, backbone: TimmBackbone, maps: KeypointMaps) -> None:
        super().__init__()
        self.backbone, self.maps = backbone, maps
        self.stride, self.channels, self.divisor = backbone.stride, backbone.channels, backbone.divisor
        self.mean, self.std = backbone.mean, backbone.std
        first, last = nn.Conv2d(3, HIDDEN, 3, padding=1, bias=False), nn.Conv2d(HIDDEN, 3, 7, padding=3, bias=False)
        start_as_identity(first.weight, last.weight)
        self.image = nn.Sequential(first, nn.BatchNorm2d(HIDDEN), nn.ReLU(), last, nn.BatchNorm2d(3))
        self.condition = nn.Sequential(nn.Conv2d(maps.channels, 3, 7, padding=3, bias=False), nn.BatchNorm2d(3))

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        conditions: Float[Tensor, "batch keypoints 2"] | None = None,
    ) -> Float[Tensor, "batch channels h w"]:
        """RGB, normalised with `mean` and `std`, and keypoints in input pixels (NaN = none) → features."""
        return self.backbone(self.image(images) + self.condition(self.maps(conditions, images)))


@torch.no_grad()
def start_as_identity(first: Float[Tensor, "hidden 3 3 3"], last: Float[Tensor, "3 hidden 7 7"]) -> None:
    """Sets the weights of both so that six hidden channels are the colours and their negatives: relu(x) - relu(-x) = x."""
    last.zero_()
    for colour in range(3):
        for hidden, sign in ((colour, 1), (3 + colour, -1)):
            first[hidden].zero_()
            first[hidden, colour, 1, 1] = last[colour, hidden, 3, 3] = sign
