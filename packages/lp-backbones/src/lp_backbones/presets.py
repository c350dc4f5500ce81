"""The reference's names, HRNet, CSPNeXt and MobileNetV2; each is `timm` with another default of `model`.

Tags are those nearest to the weights of the reference: torchvision's for ResNet, Facebook's for the ViTs.
"""

from dataclasses import dataclass

from lp_backbones.config import HRNetConfig, TimmConfig


@dataclass(slots=True, kw_only=True)
class ResNet18Config(TimmConfig):
    """ResNet-18, 512 channels at stride 32."""

    model: str = "resnet18.tv_in1k"


@dataclass(slots=True, kw_only=True)
class ResNet34Config(TimmConfig):
    """ResNet-34, 512 channels at stride 32."""

    model: str = "resnet34.tv_in1k"


@dataclass(slots=True, kw_only=True)
class ResNet50Config(TimmConfig):
    """ResNet-50, 2048 channels at stride 32."""

    model: str = "resnet50.tv2_in1k"


@dataclass(slots=True, kw_only=True)
class ResNet50GNConfig(TimmConfig):
    """ResNet-50 with group norm, for small batches: 2048 channels at stride 32."""

    model: str = "resnet50_gn.a1h_in1k"


@dataclass(slots=True, kw_only=True)
class ResNet101Config(TimmConfig):
    """ResNet-101, 2048 channels at stride 32."""

    model: str = "resnet101.tv2_in1k"


@dataclass(slots=True, kw_only=True)
class ResNet152Config(TimmConfig):
    """ResNet-152, 2048 channels at stride 32."""

    model: str = "resnet152.tv2_in1k"


@dataclass(slots=True, kw_only=True)
class EfficientNetB0Config(TimmConfig):
    """EfficientNet-B0, 1280 channels at stride 32."""

    model: str = "efficientnet_b0.ra_in1k"


@dataclass(slots=True, kw_only=True)
class EfficientNetB1Config(TimmConfig):
    """EfficientNet-B1, 1280 channels at stride 32."""

    model: str = "efficientnet_b1.ft_in1k"


@dataclass(slots=True, kw_only=True)
class EfficientNetB2Config(TimmConfig):
    """EfficientNet-B2, 1408 channels at stride 32."""

    model: str = "efficientnet_b2.ra_in1k"


@dataclass(slots=True, kw_only=True)
class MobileNetV2Config(TimmConfig):
    """MobileNetV2 1.0, 1280 channels at stride 32: small and fast on a CPU."""

    model: str = "mobilenetv2_100.ra_in1k"


@dataclass(slots=True, kw_only=True)
class ViTSmallDinoConfig(TimmConfig):
    """ViT-S/16 with DINO weights, 384 channels at stride 16."""

    model: str = "vit_small_patch16_224.dino"


@dataclass(slots=True, kw_only=True)
class ViTBaseDinoConfig(TimmConfig):
    """ViT-B/16 with DINO weights, 768 channels at stride 16."""

    model: str = "vit_base_patch16_224.dino"


@dataclass(slots=True, kw_only=True)
class ViTSmallDinoV2Config(TimmConfig):
    """ViT-S with DINOv2 weights, patches resampled from 14 to 16 pixels, 384 channels at stride 16."""

    model: str = "vit_small_patch14_dinov2.lvd142m"


@dataclass(slots=True, kw_only=True)
class ViTBaseDinoV2Config(TimmConfig):
    """ViT-B with DINOv2 weights, patches resampled from 14 to 16 pixels, 768 channels at stride 16."""

    model: str = "vit_base_patch14_dinov2.lvd142m"


@dataclass(slots=True, kw_only=True)
class ViTSmallDinoV3Config(TimmConfig):
    """ViT-S/16 with DINOv3 weights, 384 channels at stride 16."""

    model: str = "vit_small_patch16_dinov3.lvd1689m"


@dataclass(slots=True, kw_only=True)
class ViTBaseDinoV3Config(TimmConfig):
    """ViT-B/16 with DINOv3 weights, 768 channels at stride 16."""

    model: str = "vit_base_patch16_dinov3.lvd1689m"


@dataclass(slots=True, kw_only=True)
class ViTBaseImageNetConfig(TimmConfig):
    """ViT-B/16 with masked-autoencoder weights from ImageNet, 768 channels at stride 16."""

    model: str = "vit_base_patch16_224.mae"


@dataclass(slots=True, kw_only=True)
class HRNetW18Config(HRNetConfig):
    """HRNet-W18 at stride 4: 128 channels, or 18 or 270 by `branches`."""

    model: str = "hrnet_w18.ms_aug_in1k"


@dataclass(slots=True, kw_only=True)
class HRNetW32Config(HRNetConfig):
    """HRNet-W32 at stride 4: 128 channels, or 32 or 480 by `branches`."""

    model: str = "hrnet_w32.ms_in1k"


@dataclass(slots=True, kw_only=True)
class HRNetW48Config(HRNetConfig):
    """HRNet-W48 at stride 4: 128 channels, or 48 or 720 by `branches`."""

    model: str = "hrnet_w48.ms_in1k"


@dataclass(slots=True, kw_only=True)
class CSPNeXtSConfig(TimmConfig):
    """CSPNeXt-s, the backbone of RTMPose: 512 channels at stride 32."""

    model: str = "cspnext_s.rsb_a1_in1k"


@dataclass(slots=True, kw_only=True)
class CSPNeXtMConfig(TimmConfig):
    """CSPNeXt-m, 768 channels at stride 32."""

    model: str = "cspnext_m.rsb_a1_in1k"


@dataclass(slots=True, kw_only=True)
class CSPNeXtXConfig(TimmConfig):
    """CSPNeXt-x, 1280 channels at stride 32."""

    model: str = "cspnext_x.rsb_a1_in1k"
