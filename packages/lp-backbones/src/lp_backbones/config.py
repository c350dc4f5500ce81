"""The choice of any timm network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lp_core import BackboneConfig, ConfigError, Size

if TYPE_CHECKING:
    from lp_backbones.network import TimmBackbone

STRIDES = (8, 16, 32)
BRANCHES = ("increased", "highest", "all")


@dataclass(slots=True, kw_only=True)
class TimmConfig(BackboneConfig):
    """Any timm network that gives feature maps, by its timm name.

    Attributes:
        model: timm name with an optional weight tag, `resnet18.a1_in1k` for instance. A patch size of 14 becomes 16.
        pretrained: start from timm's weights, downloaded once.
        weights: file to start from instead: a state dict (.pth, .pt) or .safetensors of this network.
        output_stride: 8, 16 or 32 input pixels per feature pixel, by dilation; not given: the network's own.
        freeze_norm: batch norm keeps its statistics, scale and shift. Networks without batch norm stay as they are.
        freeze_norm_statistics: it keeps its statistics only.
        freeze_norm_weights: it keeps its scale and shift only.
        checkpointing: recompute activations in the backward pass: less memory, more time.
        drop_path: probability to drop a residual branch in training.
    """

    model: str = "resnet18"
    pretrained: bool = True
    weights: str | None = None
    output_stride: int | None = None
    freeze_norm: bool = False
    freeze_norm_statistics: bool = False
    freeze_norm_weights: bool = False
    checkpointing: bool = False
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        if self.output_stride is not None and self.output_stride not in STRIDES:
            raise ConfigError(f"backbone.output_stride={self.output_stride} must be 8, 16 or 32; or leave it out.")
        if not 0 <= self.drop_path < 1:
            raise ConfigError(f"backbone.drop_path={self.drop_path} must be at least 0 and below 1.")

    def build(self, image_size: Size) -> "TimmBackbone":
        """The network for images of `image_size` (height, width) in pixels of the `input` frame.

        Raises:
            ConfigError: unknown model, option that the model does not have, weights that cannot be had or do not fit,
                or an image size that is not a multiple of the stride.
        """
        from lp_backbones.construct import construct

        return construct(self, image_size)


@dataclass(slots=True, kw_only=True)
class HRNetConfig(TimmConfig):
    """HRNet, stride 4, with a choice of which of its four resolutions become the features.

    Attributes:
        branches: `increased` is the finest one after timm's channel increase, 128 channels whatever the width; `highest`
            the finest as it leaves the last stage, as many channels as the width says; `all` the four of them, resized
            to the finest and concatenated: 270, 480 or 720 channels for widths of 18, 32 and 48.
    """

    model: str = "hrnet_w32.ms_in1k"
    branches: str = "increased"

    def __post_init__(self) -> None:
        TimmConfig.__post_init__(self)
        if self.branches not in BRANCHES:
            raise ConfigError(f"backbone.branches={self.branches} must be one of {', '.join(BRANCHES)}.")

    def build(self, image_size: Size) -> "TimmBackbone":
        """See `TimmConfig.build`."""
        from functools import partial

        from lp_backbones.construct import construct
        from lp_backbones.hrnet import HRNetBackbone

        return construct(self, image_size, partial(HRNetBackbone, branches=self.branches))


@dataclass(slots=True, kw_only=True)
class DLCRNetConfig(TimmConfig):
    """ResNet whose last stage is joined by its first two: 256 channels more, 2304 for ResNet-50.

    The features of DeepLabCut's networks for several animals; every feature lies exactly on the grid of the last stage.
    """

    model: str = "resnet50.tv2_in1k"
    output_stride: int | None = 16

    def build(self, image_size: Size) -> "TimmBackbone":
        """See `TimmConfig.build`."""
        from lp_backbones.construct import construct
        from lp_backbones.dlcrnet import DLCRNetBackbone

        return construct(self, image_size, DLCRNetBackbone)
