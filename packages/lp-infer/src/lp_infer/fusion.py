"""Fold batch normalisation into the convolution before it.

W' = W · γ / √(σ² + ε), b' = (b − μ) · γ / √(σ² + ε) + β (Jacob et al. 2018, arXiv:1712.05877, section 3.2).
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Pairs = list[tuple[_ConvNd, _BatchNorm]]


class _Trace(TorchDispatchMode):
    """Watches which tensor every operation reads.

    A convolution is known by its weight tensor and a normalisation by its running mean, as the operations get them:
    what a module does to its weights first (weight standardisation), or to its output, therefore rules it out.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        modules = list(model.modules())
        self._convs = {id(m.weight): m for m in modules if isinstance(m, _ConvNd)}
        self._norms = {
            id(m.running_mean): m for m in modules if isinstance(m, _BatchNorm) and m.running_mean is not None
        }
        self._made: dict[int, _ConvNd] = {}
        self._fed: list[tuple[int, _ConvNd | None, _BatchNorm]] = []
        self._reads: Counter[int] = Counter()
        self._alive: list[Any] = []  # an id means something only while its tensor lives

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the default imports the compiler first, which takes seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        read = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        self._reads.update({id(x) for x in read})
        for x in read:
            if (norm := self._norms.get(id(x))) is not None:
                self._fed.append((id(args[0]), self._made.get(id(args[0])), norm))
        if len(args) > 1 and (conv := self._convs.get(id(args[1]))) is not None and isinstance(out, Tensor):
            self._made[id(out)] = conv
            self._reads[id(out)] = 0
            self._alive.append(out)
        return out

    def pairs(self) -> Pairs:
        """Convolutions whose one output goes to one normalisation and nowhere else, each used once."""
        used = Counter(map(id, self._made.values())) + Counter(id(norm) for *_, norm in self._fed)
        found: Pairs = []
        for tensor, conv, norm in self._fed:
            if conv is not None and self._reads[tensor] == 1 and used[id(conv)] == used[id(norm)] == 1:
                found.append((conv, norm))
        return found


def fuse_conv_bn(model: nn.Module, sample: Shaped[Tensor, "batch 3 height width"]) -> int:
    """Fuse, in place, every pair that a run of `model` on `sample` shows to be a convolution feeding a normalisation.

    Layers that combine normalisation and activation (timm's `BatchNormAct2d`) leave their activation in place.

    Returns:
        how many pairs were fused.
    """
    trace = _Trace(model)
    with torch.no_grad(), trace:
        model(sample)
    count = 0
    for conv, norm in trace.pairs():
        rest = _remainder(norm)
        if rest is not None and _foldable(conv):
            _fold(conv, norm)
            _replace(model, norm, rest)
            count += 1
    return count


def _remainder(norm: _BatchNorm) -> nn.Module | None:
    """What a normalisation layer does besides normalising; None if that is not known."""
    if type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm):
        return nn.Identity()
    if type(norm).__name__ == "BatchNormAct2d":
        return norm.act if isinstance(norm.act, nn.Module) else None  # its `drop` does nothing at inference
    return None


def _foldable(conv: _ConvNd) -> bool:
    return not (conv.transposed and conv.groups > 1)  # their weights are laid out by group


def _fold(conv: _ConvNd, norm: _BatchNorm) -> None:
    kind = conv.weight.dtype
    values = [conv.weight, conv.bias, norm.running_mean, norm.running_var]
    weight, bias, mean, var = (None if v is None else v.detach().double() for v in values)
    gamma, beta = (None if v is None else v.detach().double() for v in (norm.weight, norm.bias))
    assert weight is not None and mean is not None and var is not None
    fused = fuse_conv_bn_weights(weight, bias, mean, var, norm.eps, gamma, beta, transpose=conv.transposed)
    conv.weight, conv.bias = (nn.Parameter(p.to(kind), requires_grad=False) for p in fused)


def _replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if child is old:
                setattr(parent, name, new)
