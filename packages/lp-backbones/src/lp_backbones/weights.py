"""Weights from a local file, checked tensor by tensor."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lp_core import ConfigError
from safetensors.torch import load_file as load_safetensors
from torch import Tensor, nn

State = dict[str, Tensor]
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "teacher", "module")
PREFIXES = ("module.", "_orig_mod.", "net.", "backbone.", "model.")
HEADS = {"head", "fc", "classifier", "head_dist", "keypoint_head"}  # besides the names timm gives for the network
FILTERS = ("checkpoint_filter_fn", "_filter_fn", "pretrained_filter_fn")  # timm's names for its converters
RENAMED = {"CspNext": (".norm.", ".bn.")}  # as DeepLabCut names a layer: as timm does
SHOWN = 3


def load_file(model: nn.Module, path: str, *, known: set[str], name: str) -> None:
    """Load a file into a timm network without its classifier, in place.

    The file may be of the full network; wrappers (`state_dict`, `model`), prefixes (`module.`, `backbone.`) and heads are
    removed. timm's converter for the family runs where there is one: it resamples patch and position embeddings.

    Args:
        model: the network after pruning.
        path: .safetensors, or anything `torch.load` reads.
        known: tensor names of the network before pruning; such tensors may be in the file.
        name: of the model, for errors.

    Raises:
        ConfigError: the file cannot be read, or tensors are missing, unexpected or of the wrong shape.
    """
    state = _stripped(_unwrapped(_read(path), path), known)
    try:
        state = _renamed(_converter(model)(state, model), model)
    except Exception as e:  # converters assume that the file is of their family
        raise ConfigError(f"backbone.weights={path} does not fit {name} ({type(e).__name__}: {e}).") from e
    if problems := _problems(model, state, known):
        raise ConfigError(
            f"backbone.weights={path} does not fit backbone.model={name}: {'; '.join(problems)}; "
            "give weights of this model, or leave backbone.weights out."
        )
    model.load_state_dict({key: state[key] for key in model.state_dict() if key in state}, strict=False)


def _read(path: str) -> Any:
    if not Path(path).is_file():
        raise ConfigError(f"backbone.weights={path} is not a file; give the path of a state dict or .safetensors file.")
    try:
        if path.endswith(".safetensors"):
            return load_safetensors(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # a damaged file makes torch raise anything, struct.error for instance
        raise ConfigError(
            f"backbone.weights={path} cannot be read as a state dict ({type(e).__name__}); save tensors only, as .safetensors."
        ) from e


def _unwrapped(checkpoint: Any, path: str) -> State:
    while isinstance(checkpoint, Mapping):
        inner = next((w for w in WRAPPERS if isinstance(checkpoint.get(w), Mapping)), None)
        if inner is None:
            break
        checkpoint = checkpoint[inner]
    tensors = {k: v for k, v in checkpoint.items() if isinstance(v, Tensor)} if isinstance(checkpoint, Mapping) else {}
    if not tensors:
        raise ConfigError(f"backbone.weights={path} holds no tensors; give a state dict.")
    return tensors


def _stripped(state: State, known: set[str]) -> State:
    """`module.backbone.conv1.weight` → `conv1.weight`; tensors beside the backbone go."""
    while not any(key in known for key in state):
        prefix = next((p for p in PREFIXES if any(key.startswith(p) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return state


def _converter(model: nn.Module) -> Callable[[State, nn.Module], State]:
    module: Any = sys.modules[type(model).__module__]
    found = next((name for name in FILTERS if hasattr(module, name)), None)
    return getattr(module, found) if found else lambda state, _: state


def _renamed(state: State, model: nn.Module) -> State:
    old, new = RENAMED.get(type(model).__name__, ("", ""))
    return {key.replace(old, new): value for key, value in state.items()} if old else state


def _problems(model: nn.Module, state: State, known: set[str]) -> list[str]:
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    heads = HEADS | _classifiers(model)
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    strange = [k for k in state if k not in wanted and k not in known and k.split(".")[0] not in heads]
    wrong = [
        f"{k} is {tuple(state[k].shape)}, not {shape}"
        for k, shape in wanted.items()
        if k in state and tuple(state[k].shape) != shape
    ]
    kinds = {"missing": missing, "unexpected": strange, "wrong shape": wrong}
    return [f"{kind} {_some(names)}" for kind, names in kinds.items() if names]


def _classifiers(model: Any) -> set[str]:
    names = model.pretrained_cfg.get("classifier") or ()
    return {n.split(".")[0] for n in ((names,) if isinstance(names, str) else names)}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
