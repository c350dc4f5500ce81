"""Any timm model as a backbone, and the presets of the reference's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lp_core import BackboneConfig, ConfigError, Size

if TYPE_CHECKING:
    from lp_backbones.timm_backbone import TimmBackbone


@dataclass(slots=True, kw_only=True)
class TimmConfig(BackboneConfig):
    """Any timm model that gives feature maps: backbone=timm backbone.model=NAME.

    Attributes:
        model: timm's name, with or without a tag of weights (`vit_small_patch16_224.dino`).
        pretrained: start from timm's weights, which are downloaded once.
        weights: start from this file instead (state dict or safetensors in timm's naming; a classifier in it is dropped).
        stage: which of the model's feature maps; the last one if not given. Vision transformers have one.
        output_stride: input pixels per feature pixel, by dilation; for networks that support it.
        patch_size: of vision transformers; weights are resampled to it.
        freeze_norm: keep batch norm statistics and scales as they are.
        checkpointing: recompute activations in the backward pass: less memory, more time.
        drop_path: rate of stochastic depth.
    """

    model: str = "resnet18"
    pretrained: bool = True
    weights: str | None = None
    stage: int | None = None
    output_stride: int | None = None
    patch_size: int | None = None
    freeze_norm: bool = False
    checkpointing: bool = False
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.drop_path < 1:
            raise ConfigError(f"backbone.drop_path={self.drop_path} must lie in [0, 1).")

    def build(self, image_size: Size) -> TimmBackbone:
        """The network for images of `image_size`.

        Raises:
            ConfigError: no such model, weights that do not fit or cannot be had, or an image size that does not fit.
        """
        from lp_backbones.timm_backbone import build

        return build(self, image_size)


@dataclass(slots=True, kw_only=True)
class ResNet18Config(TimmConfig):
    """ResNet-18, ImageNet."""

    model: str = "resnet18.a1_in1k"


@dataclass(slots=True, kw_only=True)
class ResNet34Config(TimmConfig):
    """ResNet-34, ImageNet."""

    model: str = "resnet34.a1_in1k"


@dataclass(slots=True, kw_only=True)
class ResNet50Config(TimmConfig):
    """ResNet-50, ImageNet."""

    model: str = "resnet50.a1_in1k"


@dataclass(slots=True, kw_only=True)
class ResNet101Config(TimmConfig):
    """ResNet-101, ImageNet."""

    model: str = "resnet101.a1_in1k"


@dataclass(slots=True, kw_only=True)
class ResNet152Config(TimmConfig):
    """ResNet-152, ImageNet."""

    model: str = "resnet152.a1_in1k"


@dataclass(slots=True, kw_only=True)
class EfficientNetB0Config(TimmConfig):
    """EfficientNet-B0, ImageNet."""

    model: str = "efficientnet_b0.ra_in1k"


@dataclass(slots=True, kw_only=True)
class EfficientNetB1Config(TimmConfig):
    """EfficientNet-B1, ImageNet."""

    model: str = "efficientnet_b1.ft_in1k"


@dataclass(slots=True, kw_only=True)
class EfficientNetB2Config(TimmConfig):
    """EfficientNet-B2, ImageNet."""

    model: str = "efficientnet_b2.ra_in1k"


@dataclass(slots=True, kw_only=True)
class MobileNetV2Config(TimmConfig):
    """MobileNetV2 1.0, ImageNet: small and quick on a CPU."""

    model: str = "mobilenetv2_100.ra_in1k"


@dataclass(slots=True, kw_only=True)
class ViTSDinoConfig(TimmConfig):
    """ViT-S/16, DINO."""

    model: str = "vit_small_patch16_224.dino"


@dataclass(slots=True, kw_only=True)
class ViTBDinoConfig(TimmConfig):
    """ViT-B/16, DINO."""

    model: str = "vit_base_patch16_224.dino"


@dataclass(slots=True, kw_only=True)
class ViTSDinoV2Config(TimmConfig):
    """ViT-S, DINOv2, patches resampled from 14 to 16 pixels."""

    model: str = "vit_small_patch14_dinov2.lvd142m"
    patch_size: int | None = 16


@dataclass(slots=True, kw_only=True)
class ViTBDinoV2Config(TimmConfig):
    """ViT-B, DINOv2, patches resampled from 14 to 16 pixels."""

    model: str = "vit_base_patch14_dinov2.lvd142m"
    patch_size: int | None = 16


@dataclass(slots=True, kw_only=True)
class ViTSDinoV3Config(TimmConfig):
    """ViT-S/16, DINOv3."""

    model: str = "vit_small_patch16_dinov3.lvd1689m"


@dataclass(slots=True, kw_only=True)
class ViTBDinoV3Config(TimmConfig):
    """ViT-B/16, DINOv3."""

    model: str = "vit_base_patch16_dinov3.lvd1689m"


@dataclass(slots=True, kw_only=True)
class ViTBImageNetConfig(TimmConfig):
    """ViT-B/16, masked autoencoder on ImageNet."""

    model: str = "vit_base_patch16_224.mae"


@dataclass(slots=True, kw_only=True)
class HRNetW18Config(TimmConfig):
    """HRNet-W18, ImageNet; its feature maps at stride 4."""

    model: str = "hrnet_w18.ms_aug_in1k"
    stage: int | None = 1


@dataclass(slots=True, kw_only=True)
class HRNetW32Config(TimmConfig):
    """HRNet-W32, ImageNet; its feature maps at stride 4."""

    model: str = "hrnet_w32.ms_in1k"
    stage: int | None = 1


@dataclass(slots=True, kw_only=True)
class HRNetW48Config(TimmConfig):
    """HRNet-W48, ImageNet; its feature maps at stride 4."""

    model: str = "hrnet_w48.ms_in1k"
    stage: int | None = 1
