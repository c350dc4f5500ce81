"""torchvision's detectors, built offline, with weights of all COCO classes or of one class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lp_core import ConfigError, nearest
from torch import Tensor, nn
from torchvision.models import detection, get_model_weights

from lp_detectors.config import TorchvisionConfig

State = dict[str, Tensor]
COCO_CLASSES = 91
ANIMALS = tuple(range(16, 26))  # COCO's numbers of bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe
BACKGROUND = "__background__"
CANDIDATES = 4  # boxes kept for each animal
OF_ALL_KINDS = 300  # boxes kept where most may be of other kinds
FEW = {
    "rpn_post_nms_top_n_test": 300,
    "box_batch_size_per_image": 128,
}  # for frames with few animals; torchvision: 1000, 512
SHOWN = 3


def constructed(config: TorchvisionConfig, animals: int) -> nn.Module:
    """The network of `config` for one class and the background; nothing is downloaded unless `pretrained` asks for it.

    Raises:
        ConfigError: the weights cannot be had or do not fit.
    """
    model = _network(config, classes=2, kept=CANDIDATES * animals)
    _start(model, config)
    return model


def of_all_kinds(config: TorchvisionConfig) -> tuple[nn.Module, list[int]]:
    """The network of `config` for all of COCO's classes, and which of them are the `kinds`.

    Raises:
        ConfigError: a name is none of COCO's, or the weights cannot be had or do not fit.
    """
    names = get_model_weights(config.network).DEFAULT.meta["categories"]  # pyright: ignore[reportAttributeAccessIssue]
    unknown = [kind for kind in config.kinds if kind not in names or kind == BACKGROUND]
    if unknown:
        raise ConfigError(f"detector.kinds: {unknown[0]!r} is no class of COCO{nearest(unknown[0], names)}.")
    model = _network(config, classes=COCO_CLASSES, kept=OF_ALL_KINDS)
    _start(model, config)
    return model, [names.index(kind) for kind in config.kinds]


def _network(config: TorchvisionConfig, *, classes: int, kept: int) -> nn.Module:
    limits = {"score_thresh": config.threshold, "nms_thresh": config.overlap, "detections_per_img": kept}
    if config.network.startswith("fasterrcnn"):
        limits = {f"box_{key}": value for key, value in limits.items()} | FEW
    build: Any = getattr(detection, config.network)
    return build(weights=None, weights_backbone=None, num_classes=classes, progress=False, **limits)


def _start(model: nn.Module, config: TorchvisionConfig) -> None:
    if config.weights is not None:
        _load(model, _read(config.weights), f"detector.weights={config.weights}")
    elif config.pretrained:
        _load(model, _fetched(config.network), f"torchvision's file of {config.network}")


def one_class(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> State:
    """COCO's scores of ten kinds of animal become the mean score of one class; other tensors stay as they are.

    Args:
        state: tensors of the network of 91 classes, or of two: then nothing changes.
        wanted: tensors of the network of two classes, by the same names.
    """
    rows = {name: value.shape[0] for name, value in wanted.items() if value.ndim}
    return {name: _merged(value, rows[name]) if name in rows and value.ndim else value for name, value in state.items()}


def _merged(value: Tensor, rows: int) -> Tensor:
    """Tensors have one row per (anchor, class) or per (class, coordinate), whichever network they are of."""
    if value.shape[0] * 2 != rows * COCO_CLASSES:
        return value
    per_class = rows in (2, 8)  # Faster R-CNN's scores and boxes; SSDLite has 6 anchors
    grouped = value.unflatten(0, (1, COCO_CLASSES, -1) if per_class else (-1, COCO_CLASSES, 1))
    kept = torch.stack([grouped[:, 0], grouped[:, list(ANIMALS)].mean(1)], dim=1)
    return kept.flatten(0, 2)


def _load(model: nn.Module, state: State, source: str) -> None:
    wanted = model.state_dict()
    state = one_class(state, wanted)
    lacking = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    wrong = [k for k, v in state.items() if k not in wanted or v.shape != wanted[k].shape]
    if lacking or wrong:
        raise ConfigError(
            f"{source} does not fit: missing {_some(lacking)}; unexpected or of another shape {_some(wrong)}; "
            "give the weights of the same detector, or set detector.pretrained=false."
        )
    model.load_state_dict(state, strict=False)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more if names else "nothing"


def _read(path: str) -> State:
    if not Path(path).is_file():
        raise ConfigError(f"detector.weights={path} is not a file; give the path of a state dict.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # a damaged file makes torch raise anything
        raise ConfigError(
            f"detector.weights={path} cannot be read as a state dict ({type(e).__name__}); save tensors only."
        ) from e
    content = content.get("state_dict", content) if isinstance(content, Mapping) else {}
    tensors = {name.removeprefix("model."): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ConfigError(f"detector.weights={path} holds no tensors; give a state dict.")
    return tensors


def _fetched(network: str) -> State:
    try:
        weights: Any = get_model_weights(network).DEFAULT  # pyright: ignore[reportAttributeAccessIssue]
        return weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as e:
        raise ConfigError(
            f"The weights of {network} cannot be downloaded ({e}); set detector.weights=FILE or detector.pretrained=false."
        ) from e
