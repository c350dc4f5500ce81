"""A graph in two halves gives what it gave in one. Neither MNN nor torch is needed."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from lp_infer.mnn_graph import halved  # noqa: E402

FLOAT, UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
FRAMES = np.random.default_rng(1).integers(0, 256, (2, 12, 16, 3), np.uint8)


def file(nodes, outputs, *more):
    """Frames become four channels, `a`, by a convolution; then come `nodes`."""
    helper, rng = onnx.helper, np.random.default_rng(0)
    weights = {"weight": rng.normal(size=(4, 3, 3, 3)) / 100, "mean": np.array(90.0)}
    first = [("Transpose", ["frames"], ["t"], {"perm": [0, 3, 1, 2]}), ("Cast", ["t"], ["x"], {"to": FLOAT}),
             ("Sub", ["x", "mean"], ["y"], {}), ("Conv", ["y", "weight"], ["a"], {"pads": [1, 1, 1, 1]})]  # fmt: skip
    inputs = [helper.make_tensor_value_info("frames", UINT8, ["batch", 12, 16, 3]), *more]
    made = [helper.make_tensor_value_info(name, FLOAT, [*"nchw"]) for name in outputs]
    constants = [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    parts = [helper.make_node(kind, reads, makes, **settings) for kind, reads, makes, settings in first + nodes]
    graph = helper.make_model(helper.make_graph(parts, "g", inputs, made, constants), ir_version=10,
                              opset_imports=[helper.make_opsetid("", 20)])  # fmt: skip
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def run(data, feeds):
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    return {o.name: value for o, value in zip(session.get_outputs(), session.run(None, feeds), strict=True)}


SOFT = ("Softmax", ["b"], ["keypoints"], {})
ALONE = {
    "one joint": ([("Relu", ["a"], ["b"], {}), SOFT], {"b"}),
    "two joints, one of them used in both halves": (
        [("Relu", ["a"], ["r"], {}), ("Mul", ["r", "a"], ["m"], {}), ("Exp", ["r"], ["e"], {}),
         ("Add", ["e", "m"], ["keypoints"], {})],
        {"r", "m"},
    ),
    "a known operation behind an unknown one": ([("Tanh", ["a"], ["h"], {}), ("Relu", ["h"], ["keypoints"], {})], {"a"}),
    "the result of a known operation": ([("Relu", ["a"], ["keypoints"], {})], {"a"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_two_halves_are_the_whole(name):
    nodes, joints = ALONE[name]
    data = file(nodes, ["keypoints"])
    halves = halved(data)
    assert set(halves.joints) == joints and halves.inputs == () and halves.convolutions == (1, 1)
    between = run(halves.front, {"frames": FRAMES})
    assert set(between) == joints
    np.testing.assert_array_equal(run(halves.back, between)["keypoints"], run(data, {"frames": FRAMES})["keypoints"])


def test_what_the_second_half_reads_of_the_inputs():
    """As networks that look around do: the number of frames, and what was handed on."""
    state = onnx.helper.make_tensor_value_info("state", FLOAT, [1, 4, 12, 16])
    nodes = [("Concat", ["state", "a"], ["rows"], {"axis": 0}), ("Shape", ["frames"], ["s"], {}),
             ("Cast", ["s"], ["n"], {"to": FLOAT}), ("ReduceSum", ["n"], ["total"], {"keepdims": 0}),
             ("Add", ["rows", "total"], ["keypoints"], {})]  # fmt: skip
    data, given = file(nodes, ["keypoints"], state), {"frames": FRAMES, "state": np.ones((1, 4, 12, 16), np.float32)}
    halves = halved(data)
    assert halves.joints == ("a",) and set(halves.inputs) == {"frames", "state"}
    found = run(halves.back, {**given, **run(halves.front, {"frames": FRAMES})})
    np.testing.assert_array_equal(found["keypoints"], run(data, given)["keypoints"])


def test_convolutions_behind_what_mnn_is_not_trusted_with_are_counted():
    nodes = [
        ("Tanh", ["a"], ["h"], {}),
        ("Transpose", ["weight"], ["w"], {"perm": [1, 0, 2, 3]}),
        ("Conv", ["h", "w"], ["keypoints"], {}),
    ]
    assert halved(file(nodes, ["keypoints"])).convolutions == (1, 2)
