"""From the tensor names of other software to ours."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from lp_core import ConfigError
from torch import Tensor, nn

State = dict[str, Tensor]
Rules = tuple[tuple[str, str | None], ...]  # pattern of the whole name, what it becomes; None: the tensor is not needed
SHOWN = 3


def renamed(state: Mapping[str, Tensor], rules: Rules) -> State:
    """Each name rewritten by the first rule whose pattern is the whole name; names without a rule stay as they are."""
    compiled = [(re.compile(pattern), target) for pattern, target in rules]
    found = {}
    for name, tensor in state.items():
        hits = ((match, target) for pattern, target in compiled if (match := pattern.fullmatch(name)))
        match, target = next(hits, (None, name))
        if target is not None:
            found[match.expand(target) if match else name] = tensor
    return found


def joined_qkv(state: State) -> State:
    """`….attn.q.weight`, `….attn.k.weight`, `….attn.v.weight` → `….attn.qkv.weight`, likewise for biases."""
    names = [name for name in state if re.search(r"\.attn\.q\.(weight|bias)$", name)]
    joined = dict(state)
    for name in names:
        parts = [name.replace(".attn.q.", f".attn.{part}.") for part in "qkv"]
        if all(part in joined for part in parts):
            joined[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat([joined.pop(part) for part in parts])
    return joined


def load_into(net: nn.Module, state: State, path: Path) -> None:
    """Load `state`, which must be exactly the tensors of `net`.

    Raises:
        ConfigError: tensors are missing, left over, or of another shape.
    """
    wanted = net.state_dict()
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    strange = [k for k in state if k not in wanted]
    wrong = [
        f"{k} is {list(v.shape)}, not {list(wanted[k].shape)}"
        for k, v in state.items()
        if k in wanted and v.shape != wanted[k].shape
    ]
    problems = {"missing": missing, "unexpected": strange, "wrong shape": wrong}
    if any(problems.values()):
        listed = "; ".join(f"{kind} {_some(names)}" for kind, names in problems.items() if names)
        raise ConfigError(f"{path} does not fit its configuration: {listed}.")
    net.load_state_dict(state, strict=False)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
