"""Tensor names of Lightning Pose's checkpoints, and ours."""

from lp_train.foreign.renaming import Rules

OURS = r"backbone.model."

UNNEEDED: Rules = (
    (r"(loss_factory|rmse_loss|total_unsupervised_importance).*", None),
    (r"head\.head_mf\.layers\..*", None),  # the same tensors under a second name
    (r"(head\.)?temperature", None),
)
HEADS: Rules = (
    (r"upsampling_layers\.(.*)", r"head.upsampling_layers.\1"),  # before version 2
    (r"head\.head_sf\.(.*)", r"head.single.\1"),
    (r"head\.head_mf\.W_pre\.(.*)", r"head.shared.1.\1"),
    *(
        (rf"head\.head_mf\.{theirs}_{side}\.(.*)", rf"head.{recurrence}.{ours}.\1")
        for side, recurrence in (("f", "onward"), ("b", "backward_"))
        for theirs, ours in (("W", "encode"), (r"H", "h"))
    ),
)
RECURRENCES: Rules = (
    (r"head\.(onward|backward_)\.h\.0\.(.*)", r"head.\1.down.\2"),
    (r"head\.(onward|backward_)\.h\.1\.(.*)", r"head.\1.up.\2"),
)
RESNET: Rules = (
    (r"backbone\.0\.(.*)", rf"{OURS}conv1.\1"),
    (r"backbone\.1\.(.*)", rf"{OURS}bn1.\1"),
    *((rf"backbone\.{index}\.(.*)", rf"{OURS}layer{index - 3}.\1") for index in range(4, 8)),
)
_MBCONV = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2.fc1": "se.conv_reduce",
           "2.fc2": "se.conv_expand", "3.0": "conv_pwl", "3.1": "bn3"}  # fmt: skip
_FIRST = {"0.0": "conv_dw", "0.1": "bn1", "1.fc1": "se.conv_reduce", "1.fc2": "se.conv_expand", "2.0": "conv_pw",
          "2.1": "bn2"}  # fmt: skip  # the first stage does not expand
EFFICIENTNET: Rules = (
    (r"backbone\.0\.0\.0\.(.*)", rf"{OURS}conv_stem.\1"),
    (r"backbone\.0\.0\.1\.(.*)", rf"{OURS}bn1.\1"),
    (r"backbone\.0\.8\.0\.(.*)", rf"{OURS}conv_head.\1"),
    (r"backbone\.0\.8\.1\.(.*)", rf"{OURS}bn2.\1"),
    *(
        (rf"backbone\.0\.{stage}\.(\d+)\.block\.{theirs}\.(.*)", rf"{OURS}blocks.{stage - 1}.\1.{ours}.\2")
        for stage in range(1, 8)
        for theirs, ours in (_FIRST if stage == 1 else _MBCONV).items()
    ),
)
_VIT = r"backbone\.vision_encoder\."
_LAYER = rf"{_VIT}(?:encoder\.|model\.)?layers?\.(\d+)\."  # the name depends on the version of transformers
VIT: Rules = (
    (rf"{_VIT}embeddings\.mask_token", None),
    (rf"{_VIT}rope_embeddings\..*", None),  # follows from the size
    (rf"{_VIT}pooler\..*", None),
    (rf"{_VIT}embeddings\.cls_token", rf"{OURS}cls_token"),
    (rf"{_VIT}embeddings\.register_tokens", rf"{OURS}reg_token"),
    (rf"{_VIT}embeddings\.position_embeddings", rf"{OURS}pos_embed"),
    (rf"{_VIT}embeddings\.patch_embeddings\.(?:projection\.)?(.*)", rf"{OURS}patch_embed.proj.\1"),
    (rf"{_LAYER}attention\.(?:attention\.)?(q|k|v)(?:_proj|uery|ey|alue)\.(.*)", rf"{OURS}blocks.\1.attn.\2.\3"),
    (rf"{_LAYER}attention\.(?:o_proj|output\.dense)\.(.*)", rf"{OURS}blocks.\1.attn.proj.\2"),
    (rf"{_LAYER}(?:mlp\.fc1|mlp\.up_proj|intermediate\.dense)\.(.*)", rf"{OURS}blocks.\1.mlp.fc1.\2"),
    (rf"{_LAYER}(?:mlp\.fc2|mlp\.down_proj|output\.dense)\.(.*)", rf"{OURS}blocks.\1.mlp.fc2.\2"),
    (rf"{_LAYER}(?:layernorm_before|norm1)\.(.*)", rf"{OURS}blocks.\1.norm1.\2"),
    (rf"{_LAYER}(?:layernorm_after|norm2)\.(.*)", rf"{OURS}blocks.\1.norm2.\2"),
    (rf"{_LAYER}layer_scale([12])\.lambda1", rf"{OURS}blocks.\1.ls\2.gamma"),
    (rf"{_VIT}(?:layer)?norm\.(.*)", rf"{OURS}norm.\1"),
)
DINOV3: Rules = (  # after VIT
    (rf"{OURS}blocks\.(\d+)\.ls([12])\.gamma", rf"{OURS}blocks.\1.gamma_\2"),
    (rf"{OURS}blocks\.(\d+)\.attn\.([qv])\.bias", rf"{OURS}blocks.\1.attn.\2_bias"),
)
SAM: Rules = (
    (rf"{_VIT}neck\..*", None),
    (rf"{_VIT}layers\.\d+\.attn\.rel_pos_[hw]", None),  # switched off
    (rf"{_VIT}pos_embed", rf"{OURS}pos_embed"),
    (rf"{_VIT}patch_embed\.projection\.(.*)", rf"{OURS}patch_embed.proj.\1"),
    (rf"{_VIT}layers\.(\d+)\.layer_norm([12])\.(.*)", rf"{OURS}blocks.\1.norm\2.\3"),
    (rf"{_VIT}layers\.(\d+)\.mlp\.lin([12])\.(.*)", rf"{OURS}blocks.\1.mlp.fc\2.\3"),
    (rf"{_VIT}layers\.(\d+)\.(.*)", rf"{OURS}blocks.\1.\2"),
)
SAM2: Rules = (
    (rf"{_VIT}pos_embed(_window)?", rf"{OURS}pos_embed\1"),
    (rf"{_VIT}patch_embed\.projection\.(.*)", rf"{OURS}patch_embed.proj.\1"),
    (rf"{_VIT}blocks\.(\d+)\.layer_norm([12])\.(.*)", rf"{OURS}blocks.\1.norm\2.\3"),
    (rf"{_VIT}blocks\.(\d+)\.mlp\.proj_in\.(.*)", rf"{OURS}blocks.\1.mlp.fc1.\2"),
    (rf"{_VIT}blocks\.(\d+)\.mlp\.proj_out\.(.*)", rf"{OURS}blocks.\1.mlp.fc2.\2"),
    (rf"{_VIT}blocks\.(\d+)\.(.*)", rf"{OURS}blocks.\1.\2"),
)
FAMILIES = {"resnet": RESNET, "efficientnet": EFFICIENTNET, "sam2": SAM2, "sam": SAM, "vit": VIT}


def backbone_rules(backbone: str) -> Rules:
    """Those for a backbone of Lightning Pose."""
    return next(rules for family, rules in FAMILIES.items() if family in backbone)


def later_rules(backbone: str) -> Rules:
    """Those that run on names that `backbone_rules` gave."""
    return DINOV3 if backbone.endswith("dinov3") else ()
