"""The backbones of Lightning Pose as timm networks that compute the same."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from lp_backbones.config import TimmConfig
from lp_core import ConfigError, Size, nearest
from torch import Tensor, nn
from torch.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for every backbone
TIMM = {
    "resnet18": "resnet18", "resnet34": "resnet34", "resnet50": "resnet50", "resnet101": "resnet101",
    "resnet152": "resnet152",
    **{f"resnet50_{kind}": "resnet50" for kind in (
        "animal_apose", "animal_ap10k", "human_jhmdb", "human_res_rle", "human_top_res", "human_hand")},
    "efficientnet_b0": "efficientnet_b0", "efficientnet_b1": "efficientnet_b1", "efficientnet_b2": "efficientnet_b2",
    "vits_dino": "vit_small_patch16_224.dino", "vitb_dino": "vit_base_patch16_224.dino",
    "vitb_imagenet": "vit_base_patch16_224.mae",
    "vits_dinov2": "vit_small_patch14_dinov2", "vitb_dinov2": "vit_base_patch14_dinov2",
    "vits_dinov3": "vit_small_patch16_dinov3_qkvb", "vitb_dinov3": "vit_base_patch16_dinov3_qkvb",
    "vitb_sam": "samvit_base_patch16",
    "vitt_sam2": "sam2_hiera_tiny", "vits_sam2": "sam2_hiera_small", "vitb_sam2": "sam2_hiera_base_plus",
}  # fmt: skip
EPSILON = {"vits_dino": 1e-12, "vitb_dino": 1e-12, "vitb_imagenet": 1e-12}  # of layer norm, where timm's is another
POSITIONS = "backbone.model.pos_embed"


def build_backbone(name: str, image_size: Size, source: Path) -> Any:
    """The network of that name for images of `image_size`, with random weights.

    Raises:
        ConfigError: Lightning Pose has no such backbone.
    """
    if name not in TIMM:
        raise ConfigError(f"{source}: model.backbone={name} does not run here{nearest(name, list(TIMM))}")
    backbone = TimmConfig(model=TIMM[name], pretrained=False).build(image_size)
    backbone.mean, backbone.std = MEAN, STD
    if name in EPSILON:
        for layer in backbone.modules():
            if isinstance(layer, nn.LayerNorm):
                layer.eps = EPSILON[name]
    if name == "vitb_sam":
        _without_relative_positions(backbone)
    return backbone


def fitted(state: dict[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Position embeddings of a plain ViT resampled to the tokens of `net`; all else as it is."""
    wanted = net.state_dict().get(POSITIONS)
    found = state.get(POSITIONS)
    if wanted is None or found is None or wanted.ndim != 3 or found.shape == wanted.shape:
        return state
    return {**state, POSITIONS: resampled(found, wanted.shape[1] - 1)}


def resampled(positions: Float[Tensor, "one tokens channels"], count: int) -> Float[Tensor, "one 1+{count} channels"]:
    """One position per token of a square image of `count` patches: bicubic, as transformers does for every frame."""
    before, after = round((positions.shape[1] - 1) ** 0.5), round(count**0.5)
    grid = positions[:, 1:].unflatten(1, (before, before)).permute(0, 3, 1, 2).float()
    grid = F.interpolate(grid, size=(after, after), mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2).to(positions.dtype)], dim=1)


def _without_relative_positions(backbone: Any) -> None:
    """Lightning Pose switches them off and takes the features before the neck."""
    backbone.norm, backbone.model.neck = False, nn.Identity()
    backbone.channels = backbone.model.embed_dim
    for block in backbone.model.blocks:
        block.attn.use_rel_pos = False
        block.attn.rel_pos_h = block.attn.rel_pos_w = None
