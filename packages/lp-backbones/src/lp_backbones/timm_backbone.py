"""timm models as backbones."""

import contextlib
import logging
from pathlib import Path
from typing import Any

import timm
import torch
from jaxtyping import Float
from lp_core import ConfigError, Size, nearest
from timm.models import Eva, VisionTransformer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lp_backbones.config import TimmConfig
from lp_backbones.weights import cached_only, check_fits, hub_reachable, read_state_dict


class TimmBackbone(nn.Module):
    """One feature map of a timm model, channels first.

    Args:
        model: a timm feature extractor, or a vision transformer.
        stage: which feature map of an extractor.
    """

    def __init__(self, model: nn.Module, stage: int, *, freeze_norm: bool) -> None:
        super().__init__()
        self.model, self.freeze_norm = model, freeze_norm
        self.is_transformer = isinstance(model, VisionTransformer | Eva)
        if self.is_transformer:
            self.stage, self.channels = 0, int(model.embed_dim)  # pyright: ignore[reportArgumentType]
            self.stride = int(model.patch_embed.patch_size[0])  # pyright: ignore
        else:
            info: Any = model.feature_info
            self.stage, self.channels = stage, int(info.channels()[stage])
            self.stride = int(info.reduction()[stage])
        self.channels_first = getattr(model, "output_fmt", "NCHW") != "NHWC"
        config: Any = model.pretrained_cfg
        self.mean: tuple[float, float, float] = tuple(config["mean"])
        self.std: tuple[float, float, float] = tuple(config["std"])
        self.train()

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """Normalised images → feature map; of a transformer, the normed tokens of the last block."""
        model: Any = self.model
        if self.is_transformer:
            return model.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)[-1]
        features = model(images)[self.stage]
        return features if self.channels_first else features.permute(0, 3, 1, 2)

    def train(self, mode: bool = True) -> "TimmBackbone":
        """Training mode, but for norms that are frozen."""
        super().train(mode)
        if self.freeze_norm:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval().requires_grad_(False)
        return self


def build(config: TimmConfig, image_size: Size) -> TimmBackbone:
    """The backbone a configuration asks for; see `TimmConfig.build`."""
    _check_name(config.model)
    model = _load(config, _arguments(config, image_size))
    count = 1 if isinstance(model, VisionTransformer | Eva) else len(model.feature_info.channels())  # pyright: ignore
    stage = config.stage if config.stage is not None else count - 1
    if not -count <= stage < count:
        raise ConfigError(f"backbone.stage={stage}: {config.model} has the stages 0 to {count - 1}.")
    if config.checkpointing:
        model.set_grad_checkpointing(True)  # pyright: ignore[reportCallIssue]
    backbone = TimmBackbone(model, stage % count, freeze_norm=config.freeze_norm)
    _check_size(backbone, config, image_size)
    return backbone


def _check_name(name: str) -> None:
    known = timm.list_models()
    if name.partition(".")[0] not in known:
        raise ConfigError(f"backbone.model={name} is not a timm model{nearest(name, known)}")


def _is_transformer(name: str) -> bool:
    with torch.device("meta"):
        return isinstance(timm.create_model(name.partition(".")[0], pretrained=False), VisionTransformer | Eva)


def _arguments(config: TimmConfig, image_size: Size) -> dict[str, Any]:
    transformer = _is_transformer(config.model)
    arguments: dict[str, Any] = {"num_classes": 0, "global_pool": ""} if transformer else {"features_only": True}
    information = timm.get_pretrained_cfg(config.model)
    if transformer or (information and information.fixed_input_size):
        arguments["img_size"] = image_size
    if config.patch_size and transformer:
        arguments["patch_size"] = config.patch_size
    if config.output_stride:
        arguments["output_stride"] = config.output_stride
    if config.drop_path:
        arguments["drop_path_rate"] = config.drop_path
    return arguments


def _load(config: TimmConfig, arguments: dict[str, Any]) -> nn.Module:
    logging.getLogger("timm").setLevel(logging.ERROR)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if config.weights:
        path = Path(config.weights)
        state = read_state_dict(path)
        with torch.device("meta"):
            full = timm.create_model(config.model.partition(".")[0], pretrained=False, num_classes=0)
        check_fits(state, full.state_dict(), path, config.model)
        return _create(config, arguments, pretrained=True, pretrained_cfg_overlay={"state_dict": state, "custom_load": False})
    if not config.pretrained:
        return _create(config, arguments, pretrained=False)
    with contextlib.nullcontext() if hub_reachable() else cached_only():
        return _create(config, arguments, pretrained=True)


def _create(config: TimmConfig, arguments: dict[str, Any], **weights: Any) -> nn.Module:
    try:
        return timm.create_model(config.model, **weights, **arguments)
    except OSError as e:
        raise ConfigError(
            f"The weights of {config.model} are not on this machine and cannot be downloaded; "
            "give backbone.weights=FILE, or start from random ones with backbone.pretrained=false."
        ) from e
    except (TypeError, NotImplementedError, RuntimeError, AssertionError, AttributeError, ValueError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise ConfigError(f"backbone.model={config.model} cannot be used with these options: {reason}") from e


def _check_size(backbone: TimmBackbone, config: TimmConfig, image_size: Size) -> None:
    stride = backbone.stride if config.stage is None else max(backbone.stride, 32)
    if any(side % stride for side in image_size):
        height, width = (max(round(side / stride), 1) * stride for side in image_size)
        raise ConfigError(
            f"data.image_size=[{image_size[0]},{image_size[1]}] does not fit {config.model}: "
            f"both must be multiples of {stride}; the nearest is [{height},{width}]."
        )
