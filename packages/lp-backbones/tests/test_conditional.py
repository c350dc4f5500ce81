"""Backbones that see a first guess of the pose: maps, attention and pre-network against float64 NumPy."""

import colorsys

import numpy as np
import pytest
import timm
import torch
from lp_backbones.coam import Attention, ChannelAttention, CoAM, PixelAttention
from lp_backbones.keypoint_maps import coloured, rainbow, stacked
from lp_core import ConfigError, backbones
from lp_core.testing.backbone import BackboneContract
from torch import nn

SMALL = "hrnet_w18_small"
CONTRACTS = [
    ("hrnet_coam", {"model": SMALL, "keypoints": 4}),
    ("hrnet_coam", {"model": SMALL, "encoding": "coloured", "coam_stages": [1, 4], "self_attention_stages": [3]}),
    ("cond_prenet", {"model": SMALL, "keypoints": 4}),
    ("cond_prenet", {"model": "cspnext_s", "encoding": "coloured"}),
]
PARAMETERS = [  # millions, of the whole network with 12 keypoints, from the table of spec/deeplabcut.md 1.3
    ("hrnet_coam", "hrnet_w32", (256, 256), 47.69),
    ("hrnet_coam", "hrnet_w48", (256, 256), 84.29),
    ("hrnet_coam", "hrnet_w48", (384, 288), 117.35),
    ("cond_prenet", "hrnet_w32", (256, 256), 29.32),
]
OVERHEAD = {"cspnext_s": 5.40 - 5.38, "cspnext_m": 13.45 - 13.44}  # of the pre-network, RTMPose with it less RTMPose


def build(name="hrnet_coam", size=(64, 96), **options):
    torch.manual_seed(0)
    return backbones.make(name, **{"pretrained": False, "model": SMALL, "keypoints": 4, **options}).build(size)


def images(height=64, width=96):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def points(count=4, dtype=torch.float32):
    drawn = torch.rand(2, count, 2, generator=torch.Generator().manual_seed(3), dtype=dtype)
    drawn = drawn * torch.tensor([95, 63], dtype=dtype)
    drawn[0, 1] = torch.nan
    drawn[1, 2, 0] = torch.nan
    return drawn


def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


def numpy_maps(keypoints, size, sigma):
    """A pixel at a time, in float64."""
    maps = np.zeros((*keypoints.shape[:2], *size))
    for b, animal in enumerate(keypoints):
        for k, (x, y) in enumerate(animal):
            for row in range(size[0]) if np.isfinite([x, y]).all() else ():
                for column in range(size[1]):
                    maps[b, k, row, column] = np.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * sigma**2))
    return maps


@pytest.mark.parametrize(("name", "options"), CONTRACTS)
class TestContracts(BackboneContract):
    @pytest.fixture(autouse=True)
    def _name(self, name, options):
        self.name, self.options = name, {"pretrained": False, **options}


@pytest.mark.parametrize(("name", "model", "size", "expected"), PARAMETERS)
def test_there_are_as_many_parameters_as_in_deeplabcut(name, model, size, expected):
    with torch.device("meta"):
        net = build(name, size, model=model, keypoints=12)
        unread = millions(timm.create_model(model).stage4[-1].fuse_layers[1:])  # that DeepLabCut keeps
    assert millions(net) + unread == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("model", OVERHEAD)
def test_the_pre_network_is_as_small_as_in_deeplabcut(model):
    with torch.device("meta"):
        net, alone = build("cond_prenet", model=model, keypoints=12), timm.create_model(model, num_classes=0)
    assert millions(net) - millions(alone) == pytest.approx(OVERHEAD[model], abs=0.01)


def test_stacked_maps_are_gaussians_at_the_keypoints():
    keypoints = points(dtype=torch.float64)
    maps = stacked(keypoints, (64, 96), 2.6)
    np.testing.assert_allclose(maps, numpy_maps(keypoints.numpy(), (64, 96), 2.6), atol=1e-12)
    assert (maps[0, 1] == 0).all() and (maps[1, 2] == 0).all()


def test_a_keypoint_on_a_pixel_peaks_there():
    keypoints = torch.tensor([[[0.0, 0.0], [30.0, 7.0], [95.0, 63.0]]])
    maps = stacked(keypoints, (64, 96), 2.6)
    assert maps.flatten(2).argmax(2).tolist() == [[0, 7 * 96 + 30, 64 * 96 - 1]]
    assert maps.amax((2, 3)).tolist() == [[1, 1, 1]]


def test_coloured_maps_are_the_stacked_ones_in_their_colours():
    keypoints = points(7, dtype=torch.float64)
    colours = np.array([colorsys.hsv_to_rgb(k * 5 / 7 / 6, 1, 1) for k in range(7)])
    expected = np.einsum("bkyx,kc->bcyx", numpy_maps(keypoints.numpy(), (64, 96), 5), colours).clip(max=1)
    np.testing.assert_allclose(coloured(keypoints, (64, 96), 5), expected, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 17, 40])
def test_every_keypoint_has_its_colour(count):
    colours = rainbow(count, torch.zeros(()))
    assert len({tuple(c) for c in colours.tolist()}) == count
    assert (colours.amax(1) == 1).all() and (colours.amin(1) == 0).all()


@pytest.mark.parametrize("paint", [stacked, coloured])
def test_gradients_reach_keypoints_and_never_become_nan(paint):
    keypoints = points().requires_grad_()
    (paint(keypoints, (64, 96), 2.6) * torch.randn(64, 96)).sum().backward()
    missing = keypoints.detach().isnan().any(-1)
    assert keypoints.grad.isfinite().all() and (keypoints.grad[missing] == 0).all()
    assert (keypoints.grad[~missing] != 0).all()


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gather(query, key, value, heads):
    """Attention, one head after the other."""
    parts = [np.split(t, heads, axis=-1) for t in (query, key, value)]
    return np.concatenate(
        [softmax(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])) @ v for q, k, v in zip(*parts, strict=True)], axis=-1
    )


def linear(layer, x):
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def loud(module):
    """In float64, with last layers whose output counts."""
    module = module.double().eval()
    nn.init.normal_(module.output.weight)
    return module


@pytest.mark.parametrize(("heads", "conditions"), [(1, 3), (2, 3), (2, 0)])
@torch.no_grad()
def test_attention_between_pixels_is_its_formula(heads, conditions):
    layer = loud(PixelAttention(4, conditions, Attention(heads)))
    x, maps = torch.randn(2, 4, 5, 6).double(), torch.randn(2, 3, 5, 6).double()
    own = layer.features(x).flatten(2).transpose(1, 2).numpy()
    asking = layer.condition(maps).flatten(2).transpose(1, 2).numpy() if conditions else own
    query, key, value = linear(layer.query, asking), linear(layer.key, own), linear(layer.value, own)
    expected = linear(layer.output, gather(query, key, value, heads)).swapaxes(1, 2).reshape(2, 4, 5, 6)
    np.testing.assert_allclose(layer(x, maps), expected, atol=1e-10)


@pytest.mark.parametrize(("heads", "conditions"), [(1, 3), (5, 3), (2, 0)])
@torch.no_grad()
def test_attention_between_channels_is_its_formula(heads, conditions):
    layer = loud(ChannelAttention(4, conditions, 30, Attention(heads)))
    x, maps = torch.randn(2, 4, 5, 6).double(), torch.randn(2, 3, 5, 6).double()
    own = layer.features(x).flatten(2).numpy()
    query = layer.condition(maps).flatten(2).numpy() if conditions else own
    expected = linear(layer.output, gather(query, own, own, heads)).reshape(2, 4, 5, 6)
    np.testing.assert_allclose(layer(x, maps), expected, atol=1e-10)


@torch.no_grad()
def test_attention_is_added_to_the_features():
    x, maps = torch.randn(2, 4, 5, 6), torch.randn(2, 3, 5, 6)
    for only, kinds in ((False, [ChannelAttention, PixelAttention]), (True, [ChannelAttention])):
        block = CoAM(4, 3, 30, Attention(channels_only=only)).eval()
        assert [type(part) for part in block.parts] == kinds
        torch.testing.assert_close(block(x, maps), x + sum(part(x, maps) for part in block.parts))


@torch.no_grad()
def test_attention_that_adds_nothing_leaves_hrnet():
    net = build(coam_stages=[2, 4], self_attention_stages=[1]).eval()
    plain = backbones.make("hrnet_w18", model=SMALL, pretrained=False, branches="highest").build((64, 96)).eval()
    plain.model.load_state_dict(net.model.state_dict())
    expected = plain(images())
    close = (net(images(), points()) - expected).abs().max() / expected.abs().max()
    assert 0 < close < 0.1  # it starts near it
    for block in net.attention.modules():
        if hasattr(block, "output"):
            nn.init.zeros_(block.output.weight)
    torch.testing.assert_close(net(images(), points()), expected)


@pytest.mark.parametrize(("stage", "branches"), [(1, 2), (2, 3), (3, 4), (4, 1)])
def test_each_branch_attends_on_its_own_grid(stage, branches):
    net = build(coam_stages=[stage]).eval()
    seen = []
    for block in net.attention[str(stage)]:
        block.register_forward_pre_hook(lambda _, inputs: seen.append([tuple(i.shape) for i in inputs]))
    net(images(), points())
    grids = [(16, 24), (8, 12), (4, 6), (2, 3)][:branches]
    assert seen == [[(2, 16 * 2**i, *grid), (2, 4, *grid)] for i, grid in enumerate(grids)]


@torch.no_grad()
def test_maps_on_a_branch_s_grid_are_means_of_its_cells():
    net = build().eval()
    seen = []
    net.attention["2"][1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    net(images(), points())
    exact = numpy_maps(points().double().numpy(), (64, 96), 2.6).reshape(2, 4, 8, 8, 12, 8).mean((3, 5))
    np.testing.assert_allclose(seen[0], exact, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), CONTRACTS)
@torch.no_grad()
def test_conditions_matter_and_each_image_has_its_own(name, options):
    net = build(name, **options).eval()
    assert net.conditional
    for block in net.modules():
        if hasattr(block, "output"):
            nn.init.normal_(block.output.weight, std=0.1)  # attention adds next to nothing at first
    together, none = net(images(), points()), net(images())
    small = 1e-4 * none.abs().max().item()  # an untrained CSPNeXt gives next to nothing
    assert (together - none).abs().amax((1, 2, 3)).min() > 3 * small
    alone = torch.cat([net(images()[i : i + 1], points()[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(together, alone, atol=small, rtol=0)
    torch.testing.assert_close(net(images(), torch.full((2, 4, 2), torch.nan)), none, atol=small, rtol=0)


@pytest.mark.parametrize("model", [SMALL, "cspnext_s"])
@torch.no_grad()
def test_without_conditions_the_pre_network_starts_as_the_identity(model):
    net = build("cond_prenet", model=model).eval()
    expected = net.backbone(images())
    torch.testing.assert_close(net(images()), expected, atol=1e-3 * expected.abs().max().item(), rtol=0)
    torch.testing.assert_close(net.image(images()), images(), atol=1e-4, rtol=1e-4)


def test_the_pre_network_learns_from_its_first_step():
    net = build("cond_prenet")
    net(images(), points()).square().mean().backward()
    assert all(net.get_parameter(f"{n}.weight").grad.abs().sum() > 0 for n in ("image.3", "condition.0", "condition.1"))
    assert net.image[3].weight.grad[:, 6:].abs().sum() > 0


def test_the_timm_network_inside_takes_a_file_and_freezes(tmp_path):
    torch.manual_seed(7)
    full = timm.create_model(SMALL)
    torch.save(full.state_dict(), tmp_path / "w.pth")
    for name in ("hrnet_coam", "cond_prenet"):
        net = build(name, weights=str(tmp_path / "w.pth"), freeze_norm=True).train()
        inner = net.model if name == "hrnet_coam" else net.backbone.model
        assert torch.equal(inner.conv1.weight, full.conv1.weight) and not inner.bn1.training
    assert net.image[1].training


def test_half_precision_paints_in_full():
    """Positions beyond 256 are not exact in bfloat16."""
    net = build("cond_prenet", (64, 288)).to(torch.bfloat16)
    conditions = torch.tensor([[[275.0, 31.0]] * 4])
    maps = net.maps(conditions, torch.zeros(1, 3, 64, 288, dtype=torch.bfloat16))
    assert maps.dtype == torch.bfloat16 and maps[0, 0].flatten().argmax() == 31 * 288 + 275


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("hrnet_coam", {"keypoints": None}, "encoding=stacked needs backbone.keypoints"),
        ("cond_prenet", {"keypoints": None}, "encoding=stacked needs backbone.keypoints"),
        ("cond_prenet", {"keypoints": 0}, "keypoints=0 must be at least 1"),
        ("cond_prenet", {"encoding": "gray"}, "encoding=gray must be one of stacked, coloured"),
        ("cond_prenet", {"sigma": 0.0}, r"sigma=0\.0 must be above 0"),
        ("cond_prenet", {"branches": "two"}, "branches=two must be one of"),
        ("cond_prenet", {"branches": "all", "model": "cspnext_s"}, "branches is for HRNet"),
        ("hrnet_coam", {"model": "cspnext_s"}, r"cspnext_s gives no feature maps \(not an HRNet\)"),
        ("hrnet_coam", {"coam_stages": []}, "at least one of them in coam_stages"),
        ("hrnet_coam", {"coam_stages": [2], "self_attention_stages": [2]}, "must be different stages"),
        ("hrnet_coam", {"coam_stages": [5]}, "among 1, 2, 3, 4"),
        ("hrnet_coam", {"attention_heads": 0}, "attention_heads=0 must be at least 1"),
        ("hrnet_coam", {"attention_heads": 16}, r"attention_heads=16 must divide 24, .* data.image_size=\[64,96\]"),
        ("hrnet_coam", {"attention_dropout": 1.0}, r"attention_dropout=1\.0 must be at least 0 and below 1"),
    ],
)
def test_what_is_wrong_is_one_sentence(name, options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        build(name, **options)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_another_number_of_conditions_is_an_error():
    with pytest.raises(ConfigError, match="keypoints=4, but there are 5 conditions"):
        build("cond_prenet")(images(), points(5))
    assert build("cond_prenet", encoding="coloured")(images(), points(5)).shape == (2, 16, 16, 24)
