"""The backbones of DeepLabCut's single-animal models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Float
from lp_backbones.config import TimmConfig
from lp_core import ConfigError
from torch import Tensor, nn

from lp_train.foreign.renaming import Rules, renamed

BUILT_AT = (256, 256)  # any size will do: these networks are convolutional
UNNEEDED: Rules = ((r"backbone\.model\.(fc|incre_modules|downsamp_modules|final_layer|classifier)\..*", None),)


class HighResolutionBranch(nn.Module):
    """The branch of HRNet that keeps stride 4, as it leaves the last stage: as many channels as the network's width."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.model: Any = backbone.model
        self.model.incre_modules = None
        self.stride, self.mean, self.std = 4, backbone.mean, backbone.std
        self.channels = int(self.model.stage4[-1].num_in_chs[0])

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """RGB, normalised → features."""
        net = self.model
        stem = net.act2(net.bn2(net.conv2(net.act1(net.bn1(net.conv1(images))))))
        return net.stages(stem)[0]


def build_backbone(values: Mapping[str, Any], config: Path) -> Any:
    """The network that `model.backbone` of a configuration names, with random weights.

    Raises:
        ConfigError: it does not run here.
    """
    kind, name = values.get("type"), values.get("model_name")
    if kind == "ResNet":
        return TimmConfig(
            model=name or "resnet50", pretrained=False, output_stride=values.get("output_stride", 32)
        ).build(BUILT_AT)
    if kind == "HRNet" and not values.get("interpolate_branches"):
        backbone = TimmConfig(model=name or "hrnet_w32", pretrained=False).build(BUILT_AT)
        return backbone if values.get("increased_channel_count") else HighResolutionBranch(backbone)
    raise ConfigError(f"{config}: the backbone {kind} ({name}) does not run here yet; ResNet and HRNet do.")


def needed(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Without classifiers, and without fusions into branches whose output nobody reads."""
    wanted = net.state_dict()
    rest = renamed(state, UNNEEDED) if "backbone.model.incre_modules.0.0.conv1.weight" not in wanted else dict(state)
    return {k: v for k, v in rest.items() if k in wanted or ".fuse_layers." not in k}
