"""A copy of a network made for running, not for training."""

import copy
from typing import cast

import torch
from lp_core import ConfigError, Size
from lp_core.tensors import PoseModel
from torch import nn

from lp_infer.fusion import fuse_conv_bn

LOWERED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)  # exactly these classes: their weights are used as they are


def optimize(model: nn.Module, dtype: torch.dtype = torch.float32, compile: bool = False) -> nn.Module:
    """A copy of pose network `model` that gives the same keypoints sooner; `model` is not changed.

    Normalisation is folded into the convolutions, weights lie channels-last.

    Args:
        model: any `PoseModel` that is a module.
        dtype: of the weights of convolutions and linear layers; if not float32, run the copy under
            `torch.autocast` of the same type. A submodule with a true attribute `keep_float32` is left alone.
        compile: hand it to torch.compile too, with its weights frozen into the program.
    """
    fast = copied(model)
    device = next((p.device for p in fast.parameters()), torch.device("cpu"))
    fuse_conv_bn(fast, torch.zeros(1, 3, *cast(PoseModel, fast).image_size, dtype=torch.uint8, device=device))
    fast = fast.to(memory_format=torch.channels_last)
    _lower(fast, dtype)
    return compiled(fast) if compile else fast


def copied(model: nn.Module) -> nn.Module:
    """A copy that only infers."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def at_size(model: nn.Module, size: Size) -> nn.Module:
    """A copy of a network that takes frames as large as they are, for frames of (height, width) alone: it can be exported."""
    fixed = copied(model)
    fixed.any_size, fixed.image_size = False, size  # pyright: ignore[reportAttributeAccessIssue]
    return fixed


def _lower(model: nn.Module, dtype: torch.dtype) -> None:
    if getattr(model, "keep_float32", False):
        return
    if type(model) in LOWERED:
        model.to(dtype)
    for child in model.children():
        _lower(child, dtype)


def compiled(model: nn.Module) -> nn.Module:
    """`model` through torch.compile for batches of one size.

    Raises:
        ConfigError: torch.compile does not work in this Python.
    """
    try:
        return torch.compile(model, dynamic=False, options={"freezing": True})  # pyright: ignore[reportReturnType]
    except RuntimeError as e:
        raise ConfigError(f"compile=true cannot be had here ({e}); leave it off.") from e
