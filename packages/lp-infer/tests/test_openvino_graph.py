"""What is rewritten for OpenVINO gives what torch gives in float64; the rest is left alone."""

import io
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

ov = pytest.importorskip("openvino", reason="openvino is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

from lp_infer.openvino_graph import rewritten  # noqa: E402


def translated(module, images):
    """`module` in OpenVINO, from the operators that an export writes; any number of images."""
    program = torch.onnx.export(
        module.eval(), (images,), dynamo=True, opset_version=20, verbose=False,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )  # fmt: skip
    data = io.BytesIO(program.model_proto.SerializeToString())
    return ov.Core().read_model(data)


def run(graph, images):
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}
    return ov.Core().compile_model(graph, "CPU", settings)(images.numpy())[0]


def exactly(module, images):
    with torch.no_grad():
        return module.double()(images.double()).numpy()


def kinds(graph):
    return Counter(node.get_type_name() for node in graph.get_ops())


def normalising(groups, channels):
    torch.manual_seed(groups)
    norm = nn.GroupNorm(groups, channels, eps=1e-3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return nn.Sequential(nn.Conv2d(3, channels, 3), norm, nn.ReLU())


@pytest.mark.parametrize(("groups", "channels"), [(4, 12), (1, 6), (5, 5)])
def test_group_norm(groups, channels):
    module, images = normalising(groups, channels), torch.rand(3, 3, 9, 14)
    graph = translated(module, images)
    before = kinds(graph)["MVN"]
    assert rewritten(graph) == before == 1 and not kinds(graph)["MVN"]
    fewer = images[:2]
    np.testing.assert_allclose(run(graph, fewer), exactly(module, fewer), atol=2e-6, rtol=1e-5)


def test_group_norm_far_from_zero_loses_no_more_than_the_values_themselves():
    module, images = normalising(4, 12), torch.rand(2, 3, 9, 14)
    nn.init.constant_(module[0].bias, 300.0)  # squares of 9e4, a variance of 0.1
    graph = translated(module, images)
    rewritten(graph)
    np.testing.assert_allclose(run(graph, images), exactly(module, images), atol=2e-3)


DECONVOLUTIONS = [
    {"kernel_size": 3, "stride": 2}, {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
    {"kernel_size": 4, "stride": 2, "padding": 1}, {"kernel_size": 4, "stride": 4}, {"kernel_size": 5, "stride": 2},
    {"kernel_size": (2, 5), "stride": (1, 3), "padding": (0, 1)}, {"kernel_size": 7, "stride": 3, "bias": False},
    {"kernel_size": 2, "stride": 2, "padding": 1, "output_padding": 1},
]  # fmt: skip


@pytest.mark.parametrize("settings", DECONVOLUTIONS, ids=str)
def test_transposed_convolution(settings):
    torch.manual_seed(0)
    module, images = nn.ConvTranspose2d(256, 3, **settings), torch.rand(3, 256, 4, 5)
    graph = translated(module, images)
    assert rewritten(graph) == 1 and not kinds(graph)["ConvolutionBackpropData"]
    fewer = images[:2]
    expected = exactly(module, fewer)
    found = run(graph, fewer)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=3e-6)


class Softened(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ConvTranspose2d(256, 3, 3, stride=2)

    def forward(self, images):
        return self.layer(images).flatten(2).softmax(-1)


class Places(nn.Module):
    def forward(self, maps):
        return maps.flatten(-2).argmax(-1)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_place_of_the_maximum_is_that_of_the_first(precision):
    maps = torch.randint(0, 9, (3, 5, 40, 30), generator=torch.Generator().manual_seed(0)) / 8 + 1000.0
    maps[0, 0], maps[1, 1, 30] = 0.0, torch.inf
    graph = translated(Places(), maps)
    assert kinds(graph)["TopK"] == 1
    assert rewritten(graph) == 0 and not kinds(graph)["TopK"]  # nothing is rounded otherwise
    found = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": precision})(maps[:2].numpy())[0]
    np.testing.assert_array_equal(found, maps[:2].flatten(-2).numpy().argmax(-1))


def test_maximum_of_nothing_but_nan_is_within_the_map():
    maps = torch.full((1, 2, 8, 8), torch.nan)
    graph = translated(Places(), maps)
    rewritten(graph)
    found = run(graph, maps)
    assert ((found >= 0) & (found < 64)).all()


@pytest.mark.parametrize(
    "module",
    [
        nn.ConvTranspose2d(256, 3, 3, stride=2, dilation=2), nn.ConvTranspose2d(256, 4, 3, stride=2, groups=2),
        nn.ConvTranspose2d(256, 3, 1, stride=2), Softened(), nn.InstanceNorm2d(256), nn.LayerNorm([4, 5]),
    ],
    ids=lambda module: type(module).__name__,
)  # fmt: skip
def test_other_layers_stay_as_they_are(module):
    images = torch.rand(2, 256, 4, 5)
    graph = translated(module, images)
    before = kinds(graph)
    assert rewritten(graph) == 0 and kinds(graph) == before
