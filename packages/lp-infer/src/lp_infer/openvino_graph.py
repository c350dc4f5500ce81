"""The same graph in operations that OpenVINO's CPU plugin runs well; found with its times per layer. No torch.

Its convolutions lay channels innermost. Group normalisation, an MVN between two reshapes, wants them outermost: moving
the values there and back takes several times as long as normalising. Transposed convolutions run at half the speed of
products. The place of a map's maximum is looked for by sorting, which takes ten times as long as comparing with the maximum.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov  # pyright: ignore[reportMissingImports]
from openvino import opset13 as op  # pyright: ignore[reportMissingImports]

WIDE = 256  # channels from which a transposed convolution is worth rewriting
SPATIAL = (2, 3)


def rewritten(model: ov.Model) -> int:
    """Rewrite `model` in place, which changes results by rounding only.

    Returns:
        how many operations were rewritten that now round otherwise.
    """
    nodes = model.get_ordered_ops()
    compared = sum(_compare_with_maximum(node) for node in nodes if node.get_type_name() == "TopK")
    count = sum(_normalise_groups(node) for node in nodes if node.get_type_name() == "MVN")
    if not any(node.get_type_name() == "Softmax" for node in nodes):  # such a head is to stay in float32, as this is
        transposed = [node for node in nodes if node.get_type_name() == "ConvolutionBackpropData"]
        count += sum(_multiply_then_add(node) for node in transposed)
    if count or compared:
        model.validate_nodes_and_infer_types()
    return count


def _compare_with_maximum(top: Any) -> bool:
    """The place of the first of the largest values along the last axis, in whole numbers, which no precision rounds; the last
    place where all values are NaN or minus infinity.
    """
    values, settings = top.input_value(0), top.get_attributes()
    rank = values.get_partial_shape().rank
    count = _length(values, rank.get_length() - 1) if rank.is_static else 0
    one = _constant(top, 1)
    last = rank.is_static and int(settings["axis"]) in (-1, rank.get_length() - 1)
    usual = str(settings["mode"]).lower() == "max" and values.get_element_type() == ov.Type.f32
    if not (count and last and usual) or one is None or one.item() != 1 or top.output(0).get_target_inputs():
        return False
    places = np.arange(count, dtype=np.int32)
    first = op.equal(values, op.reduce_max(values, [-1], keep_dims=True))
    place = op.reduce_min(op.select(first, places, np.int32(count - 1)), [-1], keep_dims=True)
    top.output(1).replace(op.convert(place, settings["index_element_type"]).output(0))
    return True


def _normalise_groups(mvn: Any) -> bool:
    """Group normalisation: means of channels, put together per group, are taken off; then the same with squares.

    Squares are those of centred values, so that nothing cancels.
    """
    last, parts = _end(mvn), _length(mvn.output(0), 1)
    if last is None or not parts:
        return False
    values = _source(mvn).input_value(0)
    channels, *sides = (_length(last.output(0), axis) for axis in (1, *SPATIAL))
    same = values.get_partial_shape() == last.get_output_partial_shape(0)
    if not (same and channels and all(sides)) or channels % parts:
        return False
    grouped, spread = [0, parts, channels // parts], np.ones((1, parts, channels // parts), np.float32)

    def per_group(of_channels: Any) -> Any:
        return op.reduce_mean(op.reshape(of_channels, grouped, special_zero=True), [2], keep_dims=True)

    def per_channel(of_groups: Any) -> Any:
        return op.reshape(op.multiply(of_groups, spread), [0, channels, 1, 1], special_zero=True)

    centred = op.subtract(values, per_channel(per_group(op.reduce_mean(values, list(SPATIAL), keep_dims=True))))
    norms = op.reduce_l2(centred, list(SPATIAL), keep_dims=True)
    variance = op.divide(per_group(op.multiply(norms, norms)), np.float32(np.prod(sides)))
    deviation = op.sqrt(op.add(variance, np.float32(mvn.get_attributes()["eps"])))
    last.output(0).replace(op.multiply(centred, per_channel(op.divide(np.float32(1), deviation))).output(0))
    return True


def _end(mvn: Any) -> Any:
    """The reshape behind an MVN that one stands before too, over all but groups, if nothing changes the values between."""
    settings, axes = mvn.get_attributes(), _constant(mvn, 1)
    usual = settings["normalize_variance"] and str(settings["eps_mode"]).upper() == "INSIDE_SQRT"
    if not usual or axes is None or axes.tolist() not in ([2], [-1]) or _source(mvn).get_type_name() != "Reshape":
        return None
    if _length(mvn.output(0), 3) or not _length(mvn.output(0), 2):
        return None
    node = mvn
    while len(readers := _readers(node)) == 1:
        node = readers[0]
        if node.get_type_name() == "Reshape":
            return node if _length(node.output(0), 3) else None
        neutral = {"Multiply": 1, "Add": 0}.get(node.get_type_name())
        values = _constant(node, 1)
        if neutral is None or values is None or np.any(values != neutral):
            return None
    return None


def _multiply_then_add(node: Any) -> bool:
    """A transposed convolution: one product per cell of its kernel, each added where it belongs."""
    weights, sides = _constant(node, 1), [_length(node.input_value(0), axis) for axis in SPATIAL]
    settings = node.get_attributes()
    if weights is None or weights.ndim != 4 or len(weights) < WIDE or len(node.inputs()) > 2 or not all(sides):
        return False
    steps = zip(settings["dilations"], settings["strides"], weights.shape[2:], strict=True)
    if any(dilation != 1 or stride > size for dilation, stride, size in steps):
        return False
    inward, _, *kernel = weights.shape
    taps = np.ascontiguousarray(weights.transpose(2, 3, 1, 0)).reshape(-1, inward, 1, 1)
    out: Any = op.convolution(node.input_value(0), taps, [1, 1], [0, 0], [0, 0], [1, 1])
    shape = [0, len(taps), *sides]
    for axis, size, stride in zip(SPATIAL, kernel, settings["strides"], strict=True):
        shape[1] //= size
        out, shape[axis] = _woven(op.split(out, 1, size).outputs(), axis, stride, shape)
    starts = [int(start) for start in settings["pads_begin"]]
    stops = [start + _length(node.output(0), axis) for start, axis in zip(starts, SPATIAL, strict=True)]
    lacking = [max(0, stop - shape[axis]) for stop, axis in zip(stops, SPATIAL, strict=True)]
    out = _padded(out, [0, 0, 0, 0], [0, 0, *lacking])
    node.output(0).replace(op.slice(out, starts, stops, [1, 1], list(SPATIAL)).output(0))
    return True


def _woven(taps: Sequence[Any], axis: int, stride: int, shape: Sequence[int]) -> tuple[Any, int]:
    """The sum in which tap t of cell i stands at place `stride * i + t` along `axis`, and its length.

    Args:
        shape: of each tap; 0 = whatever it is.
    """
    rounds, phases = -(-len(taps) // stride), []
    for phase in range(stride):
        sums: Any = None
        for shift, tap in enumerate(taps[phase::stride]):
            before, after = [0, 0, 0, 0], [0, 0, 0, 0]
            before[axis], after[axis] = shift, rounds - 1 - shift
            moved = _padded(tap, before, after)
            sums = op.add(sums, moved) if shift else moved
        phases.append(op.unsqueeze(sums, [axis + 1]))
    length = stride * (shape[axis] + rounds - 1)
    woven = [*shape[:axis], length, *shape[axis + 1 :]]
    return op.reshape(op.concat(phases, axis + 1), woven, special_zero=True), length


def _padded(values: Any, before: list[int], after: list[int]) -> Any:
    return op.pad(values, before, after, "constant", np.float32(0)) if any(before) or any(after) else values


def _length(output: Any, axis: int) -> int:
    """Along an axis; 0 = it varies, or there is no such axis."""
    shape = output.get_partial_shape()
    there = shape.rank.is_static and shape.rank.get_length() > axis and shape[axis].is_static
    return shape[axis].get_length() if there else 0


def _readers(node: Any) -> list[Any]:
    """The nodes that read the values of `node`; not those that ask for their shape."""
    readers = [reader.get_node() for reader in node.output(0).get_target_inputs()]
    return [reader for reader in readers if reader.get_type_name() != "ShapeOf"]


def _source(node: Any, place: int = 0) -> Any:
    return node.input_value(place).get_node()


def _constant(node: Any, place: int) -> np.ndarray | None:
    """Of an input, as it was before it was given another shape."""
    found = _source(node, place)
    while found.get_type_name() == "Reshape":
        found = _source(found)
    return found.get_data() if found.get_type_name() == "Constant" else None
