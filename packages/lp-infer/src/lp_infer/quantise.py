"""Convolutions and matrix products of an ONNX graph in int8, with ranges measured on real frames.

What each of them reads is put between QuantizeLinear and DequantizeLinear, which ONNX Runtime, TensorRT and OpenVINO all
run in int8: weights per channel in -127–127, activations per tensor in 0–255. Their results, and sums of these, stay
float: a residual network would round the same values again and again. So do the first convolution, which sees the frames
themselves, everything from the first layer of a submodule marked `keep_float32` (the head) on, and the few layers that
turn out to make much of the error (`lp_infer.int8_error`).
"""

import copy
import logging
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import UInt8
from lp_core import ConfigError

from lp_infer.int8_error import in_float, without_worst

PRODUCTS = ("Conv", "Gemm", "MatMul")
BOUNDS = ("Relu", "Clip")
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
    after = _after(graph, kept)
    products = _chosen(graph, after)
    if not products:
        raise ConfigError("precision=int8: this network has no convolution to quantise; export it as float32.")
    feeds = list(_feeds(frames, state))
    others = {n.name for n in graph.graph.node} - set(products)  # also what else reads what a product reads
    everything = in_float(graph, _quantised(graph, feeds, products), others)
    return _unbounded(without_worst(graph, everything, products, after, feeds[0]))


def _quantised(graph: Any, feeds: Sequence[dict[str, np.ndarray]], products: Sequence[str]) -> Any:
    import onnx  # pyright: ignore[reportMissingImports]
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # pyright: ignore[reportMissingImports]

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it advises steps that the exporter has done
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantize_static(
                copy.deepcopy(graph), path, cast(Any, _Feeds(feeds)), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_quantize=list(products),
                op_types_to_quantize=list(PRODUCTS),
                extra_options={"OpTypesToExcludeOutputQuantization": list(PRODUCTS), "QDQKeepRemovableActivations": True},
            )  # fmt: skip
            return onnx.load(path)
    finally:
        logging.disable(before)


class _Feeds:
    """What ONNX Runtime asks for inputs until there are none."""

    def __init__(self, feeds: Sequence[dict[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch."""
        return next(self._feeds, None)


def _feeds(frames: UInt8[np.ndarray, "frames height width 3"], state: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    more = {"state": np.zeros(state, np.float32)} if state else {}
    for start in range(0, len(frames), BATCH):
        yield {"frames": frames[start : start + BATCH], **more}


def _after(graph: Any, kept: Sequence[str]) -> set[str]:
    """Names of the nodes of the kept submodules and of all behind them."""
    nodes = list(graph.graph.node)
    names, values = {n.name for n in nodes if _belongs(n, kept)}, set[str]()
    for node in nodes:
        if node.name in names or values.intersection(node.input):
            names.add(node.name)
            values.update(node.output)
    return names


def _chosen(graph: Any, after: set[str]) -> list[str]:
    """Names of the products before the kept modules, except the first convolution."""
    products = [n for n in graph.graph.node if n.op_type in PRODUCTS and n.name not in after]
    return [n.name for n in products if not (n is products[0] and n.op_type == "Conv")]


def _belongs(node: Any, kept: Sequence[str]) -> bool:
    scope = next((p.value for p in node.metadata_props if p.key == "namespace"), "")
    names = [*node.input, *(part.partition(":")[0] for part in scope.split("/"))]
    return any(name == module or name.startswith(f"{module}.") for name in names for module in kept)


def _unbounded(graph: Any) -> Any:
    """Without Relu and Clip that a rounding to 0–255 follows: it cuts there already, and runtimes know the pair."""
    from onnx import numpy_helper  # pyright: ignore[reportMissingImports]

    nodes = graph.graph.node
    zeros = {w.name: int(numpy_helper.to_array(w)) for w in graph.graph.initializer if w.name.endswith("zero_point")
             and not w.dims}  # fmt: skip
    for node in [n for n in nodes if n.op_type in BOUNDS]:
        readers = [n for n in nodes if node.output[0] in n.input]
        if readers and all(n.op_type == "QuantizeLinear" and zeros.get(n.input[2]) == 0 for n in readers):
            for reader in readers:
                reader.input[0] = node.input[0]
            nodes.remove(node)
    return graph
