"""HRNet's four resolutions as one feature map of stride 4."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lp_backbones.network import TimmBackbone


class HRNetBackbone(TimmBackbone):
    """timm's HRNet; layers that do not reach the features are removed.

    Args:
        model: a timm network of class `HighResolutionNet`.
        norm: means nothing here.
        branches: see `HRNetConfig`.

    Raises:
        ValueError: another network.
    """

    channels: int

    def __init__(self, model: Any, *, norm: bool = True, branches: str = "increased") -> None:
        if type(model).__name__ != "HighResolutionNet":
            raise ValueError("not an HRNet")
        super().__init__(model, norm=norm, level=1)
        self.divisor = 32  # the coarsest branch is upsampled by whole factors
        widths = [int(width) for width in self.model.stage4[-1].num_in_chs]
        if branches != "increased":
            self.model.incre_modules, self.channels = None, widths[0]
        if branches == "all":
            self.indices, self.channels = [1, 2, 3, 4], sum(widths)
        else:  # the last fusion into the other branches feeds nothing
            self.model.stage4[-1].fuse_layers = self.model.stage4[-1].fuse_layers[:1]

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """RGB, normalised with `mean` and `std` → features, one per 4 × 4 input pixels."""
        branches = self.model.forward_intermediates(images, indices=self.indices, intermediates_only=True)
        return joined(branches) if len(branches) > 1 else branches[0]


def joined(branches: list[Tensor]) -> Float[Tensor, "batch channels h w"]:
    """Feature maps of one image at several resolutions, finest first → all channels at the finest.

    Bilinear, cells taken as areas: a coarse cell lies over the middle of the fine ones that it covers.
    """
    size = branches[0].shape[-2:]
    resized = [F.interpolate(b, size=size, mode="bilinear", align_corners=False) for b in branches[1:]]
    return torch.cat([branches[0], *resized], dim=1)


def continued(features: list[Tensor], transition: nn.ModuleList) -> list[Tensor]:
    """The branches that a stage begins with: those of the stage before, and one more from its coarsest."""
    return [
        features[i] if isinstance(layer, nn.Identity) else layer(features[-1]) for i, layer in enumerate(transition)
    ]
