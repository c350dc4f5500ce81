"""The choice of any timm network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lp_core import BackboneConfig, ConfigError, Size

if TYPE_CHECKING:
    from lp_backbones.network import TimmBackbone

STRIDES = (8, 16, 32)


@dataclass(slots=True, kw_only=True)
class TimmConfig(BackboneConfig):
    """Any timm network that gives feature maps, by its timm name.

    Attributes:
        model: timm name with an optional weight tag, `resnet18.a1_in1k` for instance. A patch size of 14 becomes 16.
        pretrained: start from timm's weights, downloaded once.
        weights: file to start from instead: a state dict (.pth, .pt) or .safetensors of this network.
        output_stride: 8, 16 or 32 input pixels per feature pixel, by dilation; not given: the network's own.
        freeze_norm: batch norm keeps its statistics, scale and shift. Networks without batch norm stay as they are.
        checkpointing: recompute activations in the backward pass: less memory, more time.
        drop_path: probability to drop a residual branch in training.
    """

    model: str = "resnet18"
    pretrained: bool = True
    weights: str | None = None
    output_stride: int | None = None
    freeze_norm: bool = False
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
