"""Convolutions and matrix products of an ONNX graph in int8, with ranges measured on real frames.

Each is put between QuantizeLinear and DequantizeLinear, which ONNX Runtime, TensorRT and OpenVINO all run in int8: weights
per channel in -127–127, activations per tensor in 0–255. What decides between neighbouring pixels stays in float: the
first convolution, which sees the frames themselves, and everything from the first layer of a submodule marked
`keep_float32` (the head) on.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from lp_core import ConfigError

PRODUCTS = ("Conv", "Gemm", "MatMul")
BETWEEN = ("Add", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Relu", "Clip")
BATCH = 8


def quantised(
    graph: Any, frames: UInt8[np.ndarray, "frames height width 3"], state: tuple[int, ...], kept: Sequence[str]
) -> Any:
    """An int8 `onnx.ModelProto` of a float one.

    Args:
        graph: of `lp_infer.to_onnx.to_onnx`, with its notes on where nodes come from.
        frames: what ranges are measured on.
        state: shape of the graph's second input, if it has one.
        kept: names of submodules that stay in float.

    Raises:
        ConfigError: ONNX Runtime is not installed, or there is nothing to quantise.
    """
    if not find_spec("onnxruntime"):
        raise ConfigError(
            "precision=int8 is made by ONNX Runtime, which is not installed; pip install 'lp-infer[onnx]'."
        )
    import onnx  # pyright: ignore[reportMissingImports]
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # pyright: ignore[reportMissingImports]

    nodes = _chosen(graph, kept)
    if not nodes:
        raise ConfigError("precision=int8: this network has no convolution to quantise; export it as float32.")
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it advises steps that the exporter has done
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantize_static(
                graph, path, _Frames(frames, state), quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8, per_channel=True, nodes_to_quantize=nodes,
                op_types_to_quantize=[*PRODUCTS, *BETWEEN],
            )  # fmt: skip
            return onnx.load(path)
    finally:
        logging.disable(before)


class _Frames:
    """What ONNX Runtime asks for inputs until there are none."""

    def __init__(self, frames: UInt8[np.ndarray, "frames height width 3"], state: tuple[int, ...]) -> None:
        self._batches: Iterator[np.ndarray] = iter(np.split(frames, range(BATCH, len(frames), BATCH)))
        self._more = {"state": np.zeros(state, np.float32)} if state else {}

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch."""
        batch = next(self._batches, None)
        return None if batch is None else {"frames": batch, **self._more}


def _chosen(graph: Any, kept: Sequence[str]) -> list[str]:
    """Names of the nodes: products before the kept modules, except the first, and what lies between two of them."""
    nodes = list(graph.graph.node)
    after = _reached(nodes, [n for n in nodes if _belongs(n, kept)])
    products = [n for n in nodes if n.op_type in PRODUCTS and n.name not in after]
    products = [n for n in products if not (n is products[0] and n.op_type == "Conv")]
    behind = _reached(nodes, products)
    before = _reached(_turned(nodes), _turned(products))
    between = [n for n in nodes if n.op_type in BETWEEN and n.name in behind and n.name in before]
    return [n.name for n in (*products, *between)]


def _belongs(node: Any, kept: Sequence[str]) -> bool:
    scope = next((p.value for p in node.metadata_props if p.key == "namespace"), "")
    names = [*node.input, *(part.partition(":")[0] for part in scope.split("/"))]
    return any(name == module or name.startswith(f"{module}.") for name in names for module in kept)


class _Turned:
    """A node with its inputs and outputs exchanged."""

    def __init__(self, node: Any) -> None:
        self.name, self.input, self.output = node.name, node.output, node.input


def _turned(nodes: Sequence[Any]) -> list[Any]:
    return [_Turned(node) for node in reversed(nodes)]


def _reached(nodes: Sequence[Any], sources: Sequence[Any]) -> set[str]:
    """Names of `sources` and of all that works on what they give; `nodes` in the order of computation."""
    names, values = {n.name for n in sources}, set[str]()
    for node in nodes:
        if node.name in names or values.intersection(node.input):
            names.add(node.name)
            values.update(node.output)
    return names
