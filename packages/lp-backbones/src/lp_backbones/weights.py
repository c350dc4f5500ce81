"""Weights: from a local file, or from timm's hub without hanging where there is no network."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from lp_core import ConfigError
from safetensors.torch import load_file
from torch import Tensor

HUB, TIMEOUT = "huggingface.co", 3.0  # seconds
WRAPPERS = ("state_dict", "model", "model_state_dict")
PREFIXES = ("module.", "backbone.", "model.")
RESAMPLED = ("pos_embed", "patch_embed.proj.weight")  # timm fits these to image and patch size
SHOWN = 3


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or a PyTorch state dict, unwrapped and without prefixes.

    Raises:
        ConfigError: missing, or not such a file. Nothing in it is executed.
    """
    if not path.is_file():
        raise ConfigError(f"backbone.weights={path} does not exist; give a state dict or safetensors file.")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # every library has its own errors for a damaged file
        raise ConfigError(f"backbone.weights={path} is not a state dict or safetensors file ({type(e).__name__}).") from e
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    state = {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not state:
        raise ConfigError(f"backbone.weights={path} holds no tensors.")
    for prefix in PREFIXES:
        if all(k.startswith(prefix) for k in state):
            state = {k.removeprefix(prefix): v for k, v in state.items()}
    return state


def check_fits(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: Path, model: str) -> None:
    """Compare with the tensors the model has; what it does not have (a classifier) does not matter.

    Raises:
        ConfigError: tensors are missing or of another shape; the first few are named.
    """
    missing = [k for k in expected if k not in state and not k.endswith("num_batches_tracked")]
    wrong = [
        f"{k} {tuple(state[k].shape)} instead of {tuple(v.shape)}"
        for k, v in expected.items()
        if k in state and state[k].shape != v.shape and k not in RESAMPLED
    ]
    for names, what in ((missing, "lacks"), (wrong, "has the wrong shape for")):
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            raise ConfigError(
                f"backbone.weights={source} {what} {', '.join(names[:SHOWN])}{more} of {model}; give weights of that model in timm's naming."
            )


def hub_reachable() -> bool:
    """Whether the hub answers within a few seconds."""
    try:
        socket.create_connection((HUB, 443), timeout=TIMEOUT).close()
    except OSError:
        return False
    return True


@contextmanager
def cached_only() -> Iterator[None]:
    """Within the block the hub's cache is used and the network is not, so that a missing file fails at once."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
