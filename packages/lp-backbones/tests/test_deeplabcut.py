"""The backbones of DeepLabCut's networks: sizes as measured there, features against timm and against arithmetic."""

import re

import numpy as np
import pytest
import timm
import torch
from lp_backbones.dlcrnet import reduction
from lp_core import ConfigError, backbones
from lp_core.testing.backbone import BackboneContract
from torch import nn

CONTRACTS = {
    "cspnext_s": {},
    "dlcrnet": {"model": "resnet18"},
    "hrnet_w18": {"model": "hrnet_w18_small", "branches": "highest"},
    "hrnet_w32": {"model": "hrnet_w18_small", "branches": "all"},
    "resnet50_gn": {"output_stride": 16},
}
PARAMETERS = [  # millions, from the table of spec/deeplabcut.md 1.3, column "backbone"
    ("resnet50_gn", {"output_stride": 16}, 23.51),
    ("resnet101", {"output_stride": 16}, 42.50),
    ("hrnet_w32", {"branches": "highest"}, 29.31),
    ("hrnet_w18", {"branches": "all"}, 9.56),
    ("hrnet_w32", {"branches": "all"}, 29.31),
    ("hrnet_w48", {"branches": "all"}, 65.33),
    ("cspnext_s", {}, 4.38),
    ("cspnext_m", {}, 12.28),
    ("cspnext_x", {}, 47.57),
    ("dlcrnet", {"output_stride": 16}, 27.15),
    ("dlcrnet", {"output_stride": 32}, 27.15),
]


def build(name, size=(64, 96), **options):
    torch.manual_seed(0)
    return backbones.make(name, pretrained=False, **options).build(size)


def images(height=64, width=96):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


def removed(name, options):
    """HRNet's last fusion into the branches that nobody reads, which DeepLabCut keeps and never trains, in millions."""
    if "hrnet" not in name or options.get("branches") == "all":
        return 0.0
    with torch.device("meta"):
        return millions(timm.create_model(name).stage4[-1].fuse_layers[1:])


@pytest.mark.parametrize("name", CONTRACTS)
class TestContracts(BackboneContract):
    @pytest.fixture(autouse=True)
    def _name(self, name):
        self.name, self.options = name, {"pretrained": False, **CONTRACTS[name]}


@pytest.mark.parametrize(("name", "options", "expected"), PARAMETERS)
def test_there_are_as_many_parameters_as_in_deeplabcut(name, options, expected):
    with torch.device("meta"):
        net = build(name, (256, 256), **options)
    assert millions(net) + removed(name, options) == pytest.approx(expected, abs=0.006)


def test_group_norm_resnet_is_timm_s_at_every_output_stride():
    for stride in (8, 16, 32):
        net = build("resnet50_gn", output_stride=stride).eval()
        whole = timm.create_model("resnet50_gn", output_stride=stride).eval()
        whole.load_state_dict(net.model.state_dict(), strict=False)
        assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())
        with torch.no_grad():
            features = net(images())
            torch.testing.assert_close(features, whole.forward_features(images()))
        assert features.shape == (2, 2048, 64 // stride, 96 // stride) and net.stride == stride


def hrnet_pair(branches):
    """Ours and timm's own four branches, with the same weights that no initialisation gave."""
    net = build("hrnet_w32", model="hrnet_w18_small", branches=branches).eval()
    four = timm.create_model(
        "hrnet_w18_small", features_only=True, feature_location="", out_indices=(1, 2, 3, 4)
    ).eval()
    torch.manual_seed(1)
    state = {k: torch.randn_like(v) * 0.1 if v.ndim > 1 else v for k, v in four.state_dict().items()}
    four.load_state_dict(state)
    net.model.load_state_dict({k: state[k] for k in net.model.state_dict()})
    return net, four


def resampling(coarse, fine):
    """Weights of linear interpolation between cell centres, ends held: row per fine cell."""
    at = np.clip((np.arange(fine) + 0.5) * coarse / fine - 0.5, 0, coarse - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(coarse)))


@torch.no_grad()
def test_hrnet_s_highest_branch_is_timm_s():
    net, four = hrnet_pair("highest")
    assert net.channels == 16
    torch.testing.assert_close(net(images()), four(images())[0])


@torch.no_grad()
def test_all_of_hrnet_s_branches_lie_on_the_finest_grid():
    net, four = hrnet_pair("all")
    features, branches = net(images()).double().numpy(), [b.double().numpy() for b in four(images())]
    expected = [
        np.einsum("yi,bcij,xj->bcyx", resampling(b.shape[2], 16), b, resampling(b.shape[3], 24)) for b in branches
    ]
    assert net.channels == 16 + 32 + 64 + 128
    np.testing.assert_allclose(features, np.concatenate(expected, axis=1), atol=1e-4 * np.abs(features).max())


@pytest.mark.parametrize(("width", "channels"), [(18, 270), (32, 480), (48, 720)])
def test_all_branches_have_fifteen_times_the_width(width, channels):
    with torch.device("meta"):
        assert build(f"hrnet_w{width}", branches="all").channels == channels


@torch.no_grad()
def test_cspnext_attention_is_a_hard_sigmoid_of_the_mean():
    layer = build("cspnext_s").model.stages[0][-1].attention
    features = torch.randn(2, layer.fc.in_channels, 5, 7, generator=torch.Generator().manual_seed(2)) * 4
    weight, bias = layer.fc.weight.double().numpy()[:, :, 0, 0] * 20, layer.fc.bias.double().numpy()
    layer.fc.weight.mul_(20)  # so that some gates are shut, some open and some between
    x = features.double().numpy()
    gate = np.clip((x.mean((2, 3)) @ weight.T + bias + 3) / 6, 0, 1)
    assert (gate == 0).any() and (gate == 1).any() and ((gate > 0) & (gate < 1)).any()
    np.testing.assert_allclose(layer(features), x * gate[:, :, None, None], atol=1e-5)


def test_cspnext_has_rtmdet_s_stages():
    """Facts of the paper (arXiv 2212.07784) for the small one: 1, 2, 2, 1 blocks, 5 x 5 depth-wise, pooled at 5, 9, 13."""
    stages = build("cspnext_s").model.stages
    assert [len(stage[-1].blocks) for stage in stages] == [1, 2, 2, 1]
    wide = [m for m in stages.modules() if isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1]
    assert len(wide) == 6 and all(m.kernel_size == (5, 5) for m in wide)
    assert [m.kernel_size for m in stages[3].modules() if isinstance(m, nn.MaxPool2d)] == [5, 9, 13]


def openmmlab(state):
    """Names as OpenMMLab's files have them."""
    return {re.sub(r"^stages\.(\d)", lambda m: f"backbone.stage{int(m[1]) + 1}", k): v for k, v in state.items()}


def deeplabcut(state):
    """Names as DeepLabCut's files have them."""
    return {re.sub(r"\.bn\.", ".norm.", k.removeprefix("backbone.")): v for k, v in openmmlab(state).items()}


@pytest.mark.parametrize("renamed", [dict, openmmlab, deeplabcut])
def test_cspnext_reads_files_of_timm_openmmlab_and_deeplabcut(tmp_path, renamed):
    torch.manual_seed(5)
    full = timm.create_model("cspnext_s").eval()
    full.stages[1][0].bn.weight.data.uniform_()  # so that the norms matter
    state = {k: v for k, v in full.state_dict().items() if renamed is dict or not k.startswith("head")}
    if renamed is openmmlab:
        state = {k if k.startswith("stages") else f"backbone.{k}": v for k, v in state.items()}
    torch.save({"state_dict": renamed(state)}, tmp_path / "w.pth")
    net = build("cspnext_s", weights=str(tmp_path / "w.pth")).eval()
    with torch.no_grad():
        torch.testing.assert_close(net(images()), full.forward_features(images()))


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_dlcrnet_s_features_look_at_the_same_place(stride):
    """With even, positive weights and no maximum the network is linear; a feature sees pixel i * stride and evenly round it."""
    size, cell = 512, 256 // stride  # as far from the border as the largest field reaches
    net = build("dlcrnet", (size, size), model="resnet18", output_stride=stride).eval()
    net.model.maxpool = nn.AvgPool2d(3, 2, 1)
    for p in net.parameters():
        p.data = torch.full_like(p, p.shape[0] / p.numel() if p.ndim > 1 else 1)
    x = torch.zeros(1, 3, size, size, requires_grad=True)
    features = net(x)
    for part in features.split([128, 128, 512], dim=1):
        (seen,) = torch.autograd.grad(part[0, 0, cell, cell], x, retain_graph=True)
        weights = seen.sum((0, 1)).double()
        assert weights[0].sum() == weights[:, 0].sum() == 0  # the border is out of sight
        centre = [(weights.sum(axis) @ torch.arange(size).double() / weights.sum()).item() for axis in (0, 1)]
        assert centre == pytest.approx([256, 256], abs=1e-3)


def test_dlcrnet_is_timm_s_resnet_and_two_taps():
    net = build("dlcrnet", output_stride=16).eval()
    for norm in (m for m in net.model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.ones_(norm.weight)  # timm starts blocks as the identity
    whole = timm.create_model("resnet50", output_stride=16).eval()
    whole.load_state_dict(net.model.state_dict(), strict=False)
    seen = {}
    whole.layer1[2].register_forward_hook(lambda *a: seen.update(fine=a[2]))
    whole.layer2[2].register_forward_hook(lambda *a: seen.update(middle=a[2]))
    with torch.no_grad():
        features, deep = net(images()), whole.forward_features(images())
        torch.testing.assert_close(features[:, 256:], deep)
        torch.testing.assert_close(features[:, :128], net.fine(seen["fine"]))
        torch.testing.assert_close(features[:, 128:256], net.middle(seen["middle"]))


def test_gradients_of_dlcrnet_s_early_features_reach_the_image():
    net = build("dlcrnet", model="resnet18")
    net(images())[:, :256].square().mean().backward()
    for layer in (net.model.conv1, net.model.layer1[-1].bn2, net.model.layer2[0].bn2):
        assert layer.weight.grad.abs().sum() > 0
    assert net.model.layer3[0].conv1.weight.grad.abs().sum() == 0


def test_checkpointing_dlcrnet_gives_the_same_gradient():
    grads = []
    for checkpointing in (False, True):
        net = build("dlcrnet", model="resnet18", checkpointing=checkpointing).eval()
        net(images()).square().mean().backward()
        grads.append([p.grad for p in net.parameters()])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_freezing_norms_leaves_the_untrained_layers_alone():
    net = build("dlcrnet", model="resnet18", freeze_norm=True).train()
    assert net.fine[1].training and not net.model.bn1.training
    assert net.fine[1].weight.requires_grad and "model.bn1.weight" not in dict(net.named_parameters())


def test_pooling_takes_what_convolutions_leave_of_the_factor():
    steps = [m.stride for m in reduction(8, convolutions=2, factor=8) if isinstance(m, nn.Conv2d | nn.AvgPool2d)]
    assert steps == [(2, 2), (2, 2), 2, (1, 1)]
    steps = [m.stride for m in reduction(8, convolutions=2, factor=2) if isinstance(m, nn.Conv2d)]
    assert steps == [(2, 2), (1, 1), (1, 1)]


@pytest.mark.parametrize(
    ("name", "options", "size", "words"),
    [
        ("hrnet_w18", {"branches": "both"}, (64, 64), "branches=both must be one of increased, highest, all"),
        ("hrnet_w18", {"model": "resnet18"}, (64, 64), r"resnet18 gives no feature maps \(not an HRNet\)"),
        ("hrnet_w18", {}, (48, 64), r"\[48,64\] must be multiples of 32 for hrnet_w18.*; try \[32,64\] or \[64,64\]"),
        ("dlcrnet", {"model": "convnext_atto"}, (64, 64), r"convnext_atto gives no feature maps \(not a ResNet\)"),
        ("cspnext_s", {"output_stride": 4}, (64, 64), "must be 8, 16 or 32"),
    ],
)
def test_what_is_wrong_is_one_sentence(name, options, size, words):
    with pytest.raises(ConfigError, match=words) as caught:
        build(name, size, **options)
    assert "\n" not in str(caught.value)
