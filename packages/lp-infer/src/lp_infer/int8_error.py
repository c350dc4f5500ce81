"""Which layers make most of the error of an int8 graph, and the graph with these in float again."""

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

SHARE, TIMES = 0.1, 2  # a layer alone makes this much of the error, and so many times its part: it is left in float
TRIED = 4  # frames that errors are measured on


def without_worst(
    graph: Any, int8: Any, products: Sequence[str], after: Collection[str], feed: Mapping[str, np.ndarray]
) -> Any:
    """`int8` with those layers in float without which its features would be nearer to those of `graph` by far.

    Args:
        graph: the float `onnx.ModelProto`.
        int8: the same with what its products read rounded.
        products: names of these nodes.
        after: names of the nodes behind the features: features are what these read.
        feed: inputs to measure with.
    """
    features, few = _features(graph, after), {**feed, "frames": feed["frames"][:TRIED]}
    exact = _run(graph, features, few)
    whole = _error(exact, _run(int8, features, few))
    if not whole:
        return int8
    left = {name: _error(exact, _run(in_float(graph, int8, {name}), features, few)) for name in products}
    much = max(SHARE, TIMES / len(products)) * whole
    return in_float(graph, int8, {name for name, error in left.items() if whole - error > much})


def in_float(graph: Any, int8: Any, names: Collection[str]) -> Any:
    """`int8` with some nodes reading what they read in `graph`."""
    import onnx  # pyright: ignore[reportMissingImports]

    out = copy.deepcopy(int8)
    weights = {w.name: w for w in graph.graph.initializer}
    for same in {w.name for w in out.graph.initializer} & weights.keys():
        del weights[same]
    before = {n.name: n.input for n in graph.graph.node if n.name in names}
    for node in out.graph.node:
        for place, name in enumerate(before.get(node.name, ())):
            node.input[place] = name
            if name in weights:  # the name is that of the rounded ones now
                weight = onnx.TensorProto()
                weight.CopyFrom(weights[name])
                weight.name = node.input[place] = f"{name}_float"
                out.graph.initializer.append(weight)
    _prune(out.graph)
    return out


def _prune(graph: Any) -> None:
    """Remove what nothing reads."""
    while True:
        used = {name for n in graph.node for name in n.input} | {o.name for o in graph.output}
        unread = [n for n in graph.node if not used.intersection(n.output)]
        if not unread:
            break
        for node in unread:
            graph.node.remove(node)
    for weight in [w for w in graph.initializer if w.name not in used]:
        graph.initializer.remove(weight)


def _features(graph: Any, after: Collection[str]) -> list[str]:
    """Names of the values that go from the nodes before to those behind; of the outputs if there are none."""
    made = {name for n in graph.graph.node if n.name not in after for name in n.output}
    read = {name for n in graph.graph.node if n.name in after for name in n.input}
    return sorted(made & read) or [o.name for o in graph.graph.output]


def _run(graph: Any, names: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    import onnxruntime as ort  # pyright: ignore[reportMissingImports]
    from onnx import helper  # pyright: ignore[reportMissingImports]

    told = copy.deepcopy(graph)
    known = {o.name for o in told.graph.output}
    told.graph.output.extend(helper.make_tensor_value_info(n, 1, None) for n in names if n not in known)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(told.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(list(names), dict(feed))  # pyright: ignore[reportReturnType]


def _error(exact: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """Mean square of the difference as a share of that of the values."""
    pairs = [(a.astype(np.float64), b) for a, b in zip(exact, found, strict=True)]
    return sum(float(((a - b) ** 2).mean() / max((a**2).mean(), 1e-30)) for a, b in pairs)
