"""From a config to a network: every mistake is found on the meta device before weights are fetched or memory taken."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import timm
import torch
from lp_core import ConfigError, Size, nearest
from timm.models import is_model, split_model_name_tag

from lp_backbones.config import TimmConfig
from lp_backbones.download import fetched
from lp_backbones.hrnet import HRNetBackbone
from lp_backbones.network import TimmBackbone
from lp_backbones.weights import load_file

OPTIONS = {"output_stride": "output_stride", "drop_path": "drop_path_rate"}  # ours: timm's
Wrap = Callable[..., TimmBackbone]  # of (a timm network, norm=)


def plain(model: Any, *, norm: bool = True) -> TimmBackbone:
    """One feature map of any timm network."""
    kind = HRNetBackbone if type(model).__name__ == "HighResolutionNet" else TimmBackbone
    return kind(model, norm=norm)


def construct(config: TimmConfig, image_size: Size, wrap: Wrap = plain) -> Any:
    """Build what `config` says for images of `image_size` (height, width).

    Args:
        config: the choice.
        image_size: in pixels of the `input` frame.
        wrap: makes the backbone from timm's network; called on the meta device first.

    Raises:
        ConfigError: see `TimmConfig.build`.
    """
    height, width = image_size
    with _quiet():
        base = _arguments(config, (height, width))
        norm = _check(config, base, (height, width), wrap)
        options = {**base, **_options(config)}
        if config.pretrained and not config.weights:
            backbone = wrap(fetched(config.model, options), norm=norm)
        else:
            model = timm.create_model(config.model, **options)
            known = set(model.state_dict())
            backbone = wrap(model, norm=norm)
            if config.weights:
                load_file(backbone.model, config.weights, known=known, name=config.model)
    return _finished(backbone, config)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("timm", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _arguments(config: TimmConfig, image_size: Size) -> dict[str, Any]:
    """What timm needs besides the name: the image size where tokens depend on it, patches of 16 in place of 14 pixels."""
    architecture, tag = split_model_name_tag(config.model)
    if not is_model(architecture):
        raise ConfigError(
            f"backbone.model={config.model} is not a timm model{nearest(architecture, timm.list_models())}"
        )
    try:
        cfg = timm.get_pretrained_cfg(config.model)
    except RuntimeError as e:
        tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
        known = f"it has {', '.join(tags)}" if tags else "it has none"
        raise ConfigError(f"backbone.model={config.model}: {architecture} has no weights {tag!r}; {known}.") from e
    arguments: dict[str, Any] = {"num_classes": 0}
    if cfg and cfg.fixed_input_size:
        arguments["img_size"] = image_size
    if "patch14" in architecture:
        arguments["patch_size"] = 16
    return arguments


def _options(config: TimmConfig) -> dict[str, Any]:
    return {timm_name: value for ours, timm_name in OPTIONS.items() if (value := getattr(config, ours))}


def _check(config: TimmConfig, base: dict[str, Any], image_size: Size, wrap: Wrap) -> bool:
    """Whether to apply the final norm; raises ConfigError if the network cannot be what the config says."""
    try:
        trial = _trial(config.model, base, wrap)
    except Exception as e:
        raise ConfigError(f"backbone.model={config.model} gives no feature maps ({_reason(e)}); choose another.") from e
    for ours, name in OPTIONS.items():
        if value := getattr(config, ours):
            trial = _with_option(config.model, base, ours, {name: value}, wrap)
            base = {**base, name: value}
    _check_size(config.model, trial.divisor, image_size)
    return _check_features(config, base, trial, image_size, wrap)


def _trial(name: str, arguments: dict[str, Any], wrap: Wrap, *, norm: bool = True) -> TimmBackbone:
    with torch.device("meta"):
        return wrap(timm.create_model(name, **arguments), norm=norm).eval()


def _with_option(model: str, base: dict[str, Any], ours: str, option: dict[str, Any], wrap: Wrap) -> TimmBackbone:
    (value,) = option.values()
    try:
        trial = _trial(model, {**base, **option}, wrap)
        works = ours != "output_stride" or trial.stride == value
    except Exception:  # timm raises TypeError, AssertionError or NotImplementedError, as the author pleased
        works = False
    if not works:
        raise ConfigError(f"backbone.{ours}={value} is not possible with backbone.model={model}; leave it out.")
    return trial


def _check_size(name: str, divisor: int, image_size: Size) -> None:
    if all(side >= divisor and side % divisor == 0 for side in image_size):
        return
    lower = [max(side // divisor, 1) * divisor for side in image_size]
    upper = [-(-side // divisor) * divisor for side in image_size]
    near = " or ".join(f"[{h},{w}]" for h, w in dict.fromkeys([tuple(lower), tuple(upper)]))
    raise ConfigError(
        f"data.image_size=[{image_size[0]},{image_size[1]}] must be multiples of {divisor} for {name}; try {near}."
    )


def _check_features(
    config: TimmConfig, arguments: dict[str, Any], trial: TimmBackbone, image_size: Size, wrap: Wrap
) -> bool:
    problem = ""
    for norm in (True, False):
        try:
            trial = trial if norm else _trial(config.model, arguments, wrap, norm=False)
            with torch.no_grad():
                shape = tuple(trial(torch.empty(1, 3, *image_size, device="meta")).shape)
        except Exception as e:  # some networks refuse to normalise feature maps, others this image size
            problem = problem or _reason(e)
            continue
        if shape == (1, trial.channels, image_size[0] // trial.stride, image_size[1] // trial.stride):
            return norm
        problem = f"features of shape {shape}"
    raise ConfigError(
        f"backbone.model={config.model} does not work on images of {image_size[0]}x{image_size[1]} ({problem}); "
        "choose another model or data.image_size."
    )


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _finished(backbone: TimmBackbone, config: TimmConfig) -> TimmBackbone:
    if config.checkpointing:
        try:
            backbone.model.set_grad_checkpointing(True)
        except (AssertionError, AttributeError) as e:
            raise ConfigError(f"backbone.checkpointing=true is not possible with {config.model}; leave it out.") from e
    statistics, weights = config.freeze_norm_statistics, config.freeze_norm_weights
    backbone.freeze_norm(statistics=config.freeze_norm or statistics, weights=config.freeze_norm or weights)
    return backbone
