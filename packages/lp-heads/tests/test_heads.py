"""Heads against their contract and against closed forms."""

import math
from typing import ClassVar

import numpy as np
import pytest
import torch
from lp_core import ConfigError, heads, predictors, target_generators
from lp_core.testing.head import HeadContract
from lp_heads.peak import fit_peak


@pytest.mark.parametrize(
    "options", [{}, {"hidden": 8}, {"downsample_factor": 1}, {"downsample_factor": 3}, {"downsample_factor": 4}]
)
class TestHeatmap(HeadContract):
    name = "heatmap"

    @pytest.fixture(autouse=True)
    def _options(self, options):
        self.options = options


class TestContext(HeadContract):
    name = "heatmap_mhcrnn"
    options: ClassVar[dict] = {"downsample_factor": 2}

    def as_outputs(self, targets):
        """Both maps are trained on the same target."""
        return {"heatmaps_pred": targets["heatmaps_targ"], "heatmaps_context_pred": targets["heatmaps_targ"]}


class TestRegression(HeadContract):
    name = "regression"


class TestSimCC(HeadContract):
    name = "simcc"

    def as_outputs(self, targets):
        """A perfect classifier's logits are the logarithm of the target."""
        return {key.removesuffix("_targ") + "_pred": value.clamp_min(1e-30).log() for key, value in targets.items()}


def test_targets_are_gaussians_at_the_exact_position():
    """Closed form: stride 4, so input pixel x is cell (x + 0.5) / 4 - 0.5."""
    generator = target_generators.make("gaussian_heatmap").build(image_size=(64, 64), stride=4)
    maps = generator(torch.tensor([[[30.0, 17.5]]]), torch.tensor([[2]]))["heatmaps_targ"][0, 0].double().numpy()
    y, x = np.indices((16, 16))
    expected = np.exp(-((x - 7.125) ** 2 + (y - 4.0) ** 2) / (2 * 1.25**2))
    np.testing.assert_allclose(maps, expected / expected.sum(), atol=1e-7)


def test_unlabeled_occluded_and_outside():
    keypoints = torch.tensor([[[math.nan, math.nan], [5.0, 5.0], [70.0, 5.0], [5.0, 5.0]]])
    flags = torch.tensor([[0, 1, 2, 2]])
    uniform = torch.full((8, 8), 1 / 64)
    teach = target_generators.make("gaussian_heatmap").build(image_size=(32, 32), stride=4)(keypoints, flags)[
        "heatmaps_targ"
    ][0]
    ignore = target_generators.make("gaussian_heatmap", uniform_for_unlabeled=False).build(
        image_size=(32, 32), stride=4
    )
    ignored = ignore(keypoints, flags)["heatmaps_targ"][0]
    assert all(torch.equal(m, uniform) for m in teach[:3]) and teach[3].max() > 0.05
    assert not ignored[0].any() and torch.equal(ignored[1], uniform) and not ignored[2].any()
    torch.testing.assert_close(teach.sum((-1, -2)), torch.ones(4))


def test_a_peak_of_any_width_is_found():
    """The fit does not know the width: a Gaussian of any sigma gives its centre."""
    cells = torch.arange(5.0, dtype=torch.float64)
    for sigma in (0.6, 1.25, 3.0, 8.0):
        for centre in (1.6, 2.0, 2.49):
            values = torch.exp(-0.5 * ((cells - centre) / sigma) ** 2)
            assert float(fit_peak(values, values.argmax().double())) == pytest.approx(centre, abs=1e-9)


def test_gradient_of_the_decoder_matches_finite_differences():
    generator = target_generators.make("gaussian_heatmap").build(image_size=(32, 32), stride=4)
    maps = generator(torch.tensor([[[11.3, 20.1]]], dtype=torch.float64), torch.tensor([[2]]))["heatmaps_targ"]
    decoder = predictors.make("soft_argmax").build(image_size=(32, 32), stride=4)
    shift = torch.zeros(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    keypoints = decoder({"heatmaps_pred": maps * (1 + shift)})[0]
    keypoints[0, 0, 0].backward()
    # a perfect Gaussian fits exactly whatever the weights, so holding them fixed leaves the derivative exact
    numeric = torch.zeros(8, 8, dtype=torch.float64)
    step = 1e-6
    for i in range(8):
        for j in range(8):
            moved = maps.clone()
            moved[0, 0, i, j] *= 1 + step
            numeric[i, j] = (decoder({"heatmaps_pred": moved})[0] - keypoints.detach())[0, 0, 0] / step
    torch.testing.assert_close(shift.grad[0, 0], numeric, atol=1e-4, rtol=1e-3)


def test_a_uniform_map_is_finite_and_not_confident():
    decoder = predictors.make("soft_argmax").build(image_size=(64, 64), stride=4)
    keypoints, confidence = decoder({"heatmaps_pred": torch.full((1, 1, 16, 16), 1 / 256)})
    assert keypoints.isfinite().all() and confidence < 0.15


def test_noise_hurts_the_fit_no_more_than_the_window_mean():
    """On maps disturbed as a network disturbs them, the fit is closer than the expectation in the same window."""
    g = torch.Generator().manual_seed(0)
    generator = target_generators.make("gaussian_heatmap").build(image_size=(256, 256), stride=4)
    points = torch.rand(200, 1, 2, generator=g) * 256 - 0.5
    maps = generator(points, torch.full((200, 1), 2))["heatmaps_targ"]
    noisy = (maps + 0.002 * torch.randn(maps.shape, generator=g)).clamp_min(0)
    noisy = noisy / noisy.sum((-1, -2), keepdim=True)
    fitted = predictors.make("soft_argmax").build(image_size=(256, 256), stride=4)({"heatmaps_pred": noisy})[0]
    best = noisy.flatten(-2).argmax(-1)
    total, moment = torch.zeros(200, 1), torch.zeros(200, 1, 2)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            y, x = (best // 64 + dy).clamp(0, 63), (best % 64 + dx).clamp(0, 63)
            value = noisy.flatten(-2).gather(-1, (y * 64 + x)[..., None])[..., 0]
            total, moment = total + value, moment + value[..., None] * torch.stack([x, y], -1)
    mean = (moment / total[..., None] + 0.5) * 4 - 0.5
    assert (fitted - points).norm(dim=-1).mean() < (mean - points).norm(dim=-1).mean()


@pytest.mark.parametrize(
    ("true", "found"), [(0.5, 1.65), (2, 2.50), (4, 4.09), (8, 8.01), (128, 128.0), (250, 249.5), (255.5, 251.45)]
)
def test_the_lightning_pose_decoder_reproduces_its_numbers(true, found):
    """Measured on Lightning Pose 2.4.3 at 256 px, downsample factor 2; its targets have no half-pixel shift."""
    y, x = np.indices((64, 64))
    target = np.exp(-((x - true / 4) ** 2 + (y - 32) ** 2) / (2 * 1.25**2))
    maps = torch.tensor(target / target.sum(), dtype=torch.float32)[None, None]
    decoder = predictors.make("lightning_pose").build(image_size=(256, 256), stride=4)
    assert float(decoder({"heatmaps_pred": maps})[0][0, 0, 0]) == pytest.approx(found, abs=0.02)


def test_the_lightning_pose_decoder_on_a_uniform_map():
    decoder = predictors.make("lightning_pose").build(image_size=(256, 256), stride=4)
    keypoints, confidence = decoder({"heatmaps_pred": torch.full((1, 1, 64, 64), 1 / 4096)})
    torch.testing.assert_close(keypoints, torch.tensor([[[126.0, 126.0]]]), atol=0.02, rtol=0)
    assert float(confidence) == pytest.approx(3.8e-4, rel=0.05)


def test_the_plain_head_has_the_reference_s_parameters():
    """Lightning Pose: 80,971 for ResNet-50, 22,219 for ResNet-18, 17 keypoints; names upsampling_layers.N."""
    for channels, count in ((2048, 80_971), (512, 22_219)):
        head = heads["heatmap"]().build(channels=channels, stride=32, num_keypoints=17, image_size=(256, 256))
        assert sum(p.numel() for p in head.parameters()) == count
    assert list(head.state_dict()) == [f"upsampling_layers.{i}.{n}" for i in (1, 2) for n in ("weight", "bias")]


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(ConfigError, match="the largest that does is 2"):
        heads["heatmap"](downsample_factor=3).build(channels=64, stride=4, num_keypoints=2, image_size=(64, 64))
    with pytest.raises(ConfigError, match="Choose mse, kl or js"):
        heads["heatmap"](loss="msee")
    with pytest.raises(ConfigError, match="strides 1, 2, 4 and 8"):
        predictors.make("lightning_pose").build(image_size=(64, 64), stride=16)
    with pytest.raises(ConfigError, match="multiple of 4"):
        heads["heatmap"]().build(channels=30, stride=32, num_keypoints=2, image_size=(64, 64))


def context_head(**options):
    torch.manual_seed(0)
    return heads.make("heatmap_mhcrnn", **options).build(channels=64, stride=32, num_keypoints=3, image_size=(64, 96))


def test_the_context_head_has_the_reference_s_size():
    """88,519 parameters beside the single-frame head, for ResNet-50 and 17 keypoints (spec 3.4)."""
    head = heads.make("heatmap_mhcrnn").build(channels=2048, stride=32, num_keypoints=17, image_size=(256, 256))
    count = lambda m: sum(p.numel() for p in m.parameters())  # noqa: E731
    assert count(head) - count(head.single) == 88519


def test_the_recurrences_run_through_the_window_in_both_directions():
    """The definition, frame by frame: h = W x + H h, from the first to the last frame and from the last to the first."""
    head, features = context_head(frames=1), torch.randn(6, 64, 2, 3)
    windows = torch.tensor([[0, 1, 2], [3, 4, 5], [1, 1, 2]])
    maps = head(features, windows)["heatmaps_context_pred"]
    for row, window in enumerate(windows.tolist()):
        states = []
        for cell, order in ((head.onward, window), (head.backward_, window[::-1])):
            state = None
            for frame in order:
                encoded = cell.encode(head.shared(features[frame : frame + 1]))
                state = encoded if state is None else encoded + cell.up(cell.down(state))
            states.append(state)
        expected = torch.softmax(((states[0] + states[1]) / 2).flatten(-2), -1).view_as(maps[row : row + 1])
        torch.testing.assert_close(maps[row : row + 1], expected)


def test_consecutive_frames_are_padded_at_both_ends():
    head, features = context_head(), torch.randn(4, 64, 2, 3)
    windows = torch.tensor([[0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 2, 3, 3, 3]])
    given, implied = head(features, windows), head(features)
    assert all(torch.equal(given[key], implied[key]) for key in given)


def test_the_surer_map_is_the_prediction():
    head = context_head()
    sharp, flat = torch.zeros(1, 3, 16, 24), torch.full((1, 3, 16, 24), 1 / 384)
    sharp[..., 5, 7] = 1
    for one, two in ((sharp, flat), (flat, sharp)):
        points, confidence = head.predictor({"heatmaps_pred": one, "heatmaps_context_pred": two})
        torch.testing.assert_close(points[0, 0], torch.tensor([7.5 * 4 - 0.5, 5.5 * 4 - 0.5]))
        assert (confidence > 0.9).all()


def test_a_context_that_cannot_be():
    with pytest.raises(ConfigError, match=r"head\.frames=0 must be at least 1"):
        heads.make("heatmap_mhcrnn", frames=0)
    with pytest.raises(ConfigError, match="needs a backbone of stride 16 or more, not 8"):
        heads.make("heatmap_mhcrnn").build(channels=64, stride=8, num_keypoints=3, image_size=(64, 64))
