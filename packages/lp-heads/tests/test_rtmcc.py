"""RTMPose's head against its contract, its sizes and closed forms."""

import math
from typing import ClassVar

import pytest
import torch
from lp_core import ConfigError
from lp_core.testing.head import HeadContract
from lp_heads.gated_attention import GatedAttention, ScaleNorm
from lp_heads.rtmcc import RTMCCConfig, label_smoothing
from torch import nn


class TestRTMCC(HeadContract):
    name = "rtmcc"
    tolerance = 0.25

    def as_outputs(self, targets):
        """A perfect classifier's logits are the logarithm of the target."""
        return {key.removesuffix("_targ") + "_pred": value.clamp_min(1e-30).log() for key, value in targets.items()}


class TestCoarseRTMCC(TestRTMCC):
    """One bin per pixel: still far below half a bin."""

    options: ClassVar[dict] = {"bins_per_pixel": 1.0}


def build(channels=512, side=256, keypoints=12):
    torch.manual_seed(0)
    return RTMCCConfig().build(channels=channels, stride=32, num_keypoints=keypoints, image_size=(side, side))


@pytest.mark.parametrize(("channels", "side", "millions"), [(512, 256, 1.00), (768, 256, 1.16), (1280, 384, 1.61)])
def test_the_size_is_rtmpose_s(channels, side, millions):
    """rtmpose_s, _m and _x less their backbones, 12 keypoints (spec 1.3), to 1 %."""
    count = sum(p.numel() for p in build(channels, side).parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("size", [(256, 256), (384, 384), (192, 256)])
def test_sizes_follow_the_image(size):
    head = RTMCCConfig().build(channels=8, stride=32, num_keypoints=3, image_size=size)
    outputs = head(torch.randn(2, 8, size[0] // 32, size[1] // 32))
    assert outputs["simcc_x_pred"].shape == (2, 3, 2 * size[1]) and outputs["simcc_y_pred"].shape == (2, 3, 2 * size[0])
    keypoints, _ = head.predictor(outputs)
    assert keypoints.shape == (2, 3, 2) and keypoints.isfinite().all()


@pytest.mark.parametrize(("side", "bins"), [(192, 4.9), (256, 5.66), (288, 6.0), (384, 6.93)])
def test_label_smoothing_is_rtmpose_s_table(side, bins):
    assert 2 * label_smoothing((side, side)) == pytest.approx(bins, abs=0.01)


def test_initialisation_is_rtmpose_s():
    """Measured standard deviations; DeepLabCut's are 3.6 times too large for the convolution, as it never gets there."""
    head = build()
    assert float(head.final_layer.weight.detach().std()) == pytest.approx(0.001, rel=0.02)
    assert not head.final_layer.bias.any()
    linear = [m for m in head.modules() if isinstance(m, nn.Linear)]
    assert len(linear) == 5 and all(m.bias is None for m in linear)
    assert all(float(m.weight.detach().std()) == pytest.approx(0.01, rel=0.03) for m in linear)
    assert all((m.scale == 1).all() for m in head.modules() if isinstance(m, ScaleNorm))
    outputs = head(torch.randn(2, 512, 8, 8))["simcc_x_pred"]
    assert 0 < outputs.std() < 1  # every bin about as likely as the next


def test_the_unit_is_its_definition():
    """Token by token: `shortcut x + out(gate · Σ relu(q·k / √s)² value)`."""
    torch.manual_seed(0)
    unit, x = GatedAttention(4, shared=3), torch.randn(1, 5, 4)
    inner = [unit.gate_value_base(4**0.5 * row / row.norm()) for row in x[0]]
    gate, value, base = zip(*(torch.split(row * torch.sigmoid(row), [8, 8, 3]) for row in inner), strict=True)
    for i in range(5):
        query, mixed = base[i] * unit.query_key_scale[0] + unit.query_key_shift[0], torch.zeros(8)
        for j in range(5):
            key = base[j] * unit.query_key_scale[1] + unit.query_key_shift[1]
            mixed = mixed + torch.relu(query @ key / math.sqrt(3)) ** 2 * value[j]
        torch.testing.assert_close(unit(x)[0, i], unit.shortcut * x[0, i] + unit.out(gate[i] * mixed))


def test_gradients_reach_every_parameter_and_it_learns():
    head, points = build(16, 128, 4), torch.rand(2, 4, 2) * 120
    features, targets = torch.randn(2, 16, 4, 4), head.target_generator(points, torch.full((2, 4), 2))

    def objective():
        outputs = head(features)
        return -sum(
            (targets[f"simcc_{a}_targ"] * outputs[f"simcc_{a}_pred"].log_softmax(-1)).sum(-1).mean() for a in "xy"
        )

    objective().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for _ in range(150):
        optimizer.zero_grad()
        objective().backward()
        optimizer.step()
    assert (head.predictor(head(features))[0] - points).norm(dim=-1).max() < 1


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(ConfigError, match=r"head\.sigma at least zero"):
        RTMCCConfig(sigma=-1)
