"""Tensors out of a checkpoint that somebody else's software wrote, without running any of its code."""

from pathlib import Path
from typing import Any

import torch
from lp_core import ConfigError
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals


class Inert:
    """Stands for every object that is not a tensor or a plain value: takes anything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "Inert":
        """Whatever the arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        """Forgotten."""

    def __hash__(self) -> int:
        return id(self)


def read_state(path: Path, key: str) -> dict[str, Tensor]:
    """The tensors under `key` of a checkpoint.

    Hyper-parameters, metrics and the like are objects of other packages; none is imported, each is read as `Inert`.

    Raises:
        ConfigError: missing, damaged or not a checkpoint.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; give checkpoint=FILE of the run, or train it first.")
    try:
        strangers = get_unsafe_globals_in_checkpoint(path)
        with safe_globals([(Inert, name) for name in strangers]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # torch raises anything on a damaged file
        raise ConfigError(f"{path} cannot be read as a checkpoint ({type(e).__name__}); give another file.") from e
    state = content.get(key) if isinstance(content, dict) else None
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)} if isinstance(state, dict) else {}
    if not tensors:
        raise ConfigError(f"{path} holds no tensors under {key!r}; give a checkpoint as its software saved it.")
    return tensors
