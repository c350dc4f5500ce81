"""TokenPose against its contract, its size and closed forms."""

import math
from typing import ClassVar

import pytest
import torch
from lp_core import ConfigError
from lp_core.testing.head import HeadContract
from lp_heads.token_pose import TokenPoseConfig
from lp_heads.token_pose_neck import EncoderLayer, TokenPoseNeck, TransformerShape, sine_positions
from torch import nn

SMALL = {"width": 32, "depth": 1, "attention_heads": 4}


class TestTokenPose(HeadContract):
    name = "token_pose"
    options: ClassVar[dict] = SMALL


class TestTokenPoseWithTwoLayers(HeadContract):
    name = "token_pose"
    options: ClassVar[dict] = {**SMALL, "hidden": 24, "downsample_factor": 3, "loss": "mse"}


def small(**options):
    torch.manual_seed(0)
    config = TokenPoseConfig(**{**SMALL, **options})
    return config.build(channels=8, stride=4, num_keypoints=3, image_size=(64, 96))


def test_the_size_is_animaltokenpose_s():
    """34.52 M less HRNet-w32's 29.31 M, 12 keypoints at 256 × 256 (spec 1.3); there positions count as parameters."""
    head = TokenPoseConfig(mlp=3).build(channels=32, stride=4, num_keypoints=12, image_size=(256, 256))
    count = sum(p.numel() for p in head.parameters())
    assert count / 1e6 == pytest.approx(34.52 - 29.31, rel=0.01)
    assert (count + 64 * head.neck.positions.shape[1] * 4) / 1e6 == pytest.approx(34.52 - 29.31, rel=0.002)


def test_positions_are_sines_and_cosines_of_row_and_column():
    """Closed form; places count from one, so that the last one of a side is at 2π."""
    positions = sine_positions((3, 5), 16).view(3, 5, 16)
    for row in range(3):
        for column in range(5):
            for i in range(4):
                for start, place, length in ((0, row, 3), (8, column, 5)):
                    angle = 2 * math.pi * (place + 1) / length / 10_000 ** (i / 4)
                    pair = positions[row, column, start + 2 * i : start + 2 * i + 2]
                    assert pair.tolist() == pytest.approx([math.sin(angle), math.cos(angle)], abs=1e-5)


def test_a_layer_is_that_of_torch():
    """Other code with the same weights."""
    torch.manual_seed(0)
    shape = TransformerShape(patch=1, width=16, depth=1, attention_heads=4, mlp=24)
    layer, tokens = EncoderLayer(shape), torch.randn(2, 7, 16)
    theirs = nn.TransformerEncoderLayer(16, 4, 24, 0.0, "gelu", batch_first=True, norm_first=True)
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(layer.qkv.weight)
        theirs.self_attn.in_proj_bias.zero_()
    theirs.self_attn.out_proj.load_state_dict(layer.out.state_dict())
    theirs.linear1.load_state_dict(layer.mlp[0].state_dict())
    theirs.linear2.load_state_dict(layer.mlp[2].state_dict())
    torch.testing.assert_close(layer(tokens), theirs(tokens), atol=1e-5, rtol=1e-5)


def test_a_patch_is_a_square_of_the_features():
    """With identity layers' weights zeroed only positions and patches remain: token p is patch p, row by row."""
    shape = TransformerShape(patch=2, width=16, depth=1, attention_heads=4, mlp=8)
    neck = TokenPoseNeck(4, (4, 6), 3, shape)
    features = torch.randn(1, 4, 4, 6)
    patches = neck.embed(features).flatten(2).transpose(1, 2)
    for row in range(2):
        for column in range(3):
            square = features[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten()
            expected = neck.embed.weight.flatten(1) @ square + neck.embed.bias
            torch.testing.assert_close(patches[0, 3 * row + column], expected)
    assert neck.positions.shape == (9, 16) and not neck.positions[:3].any()


def test_a_keypoint_sees_every_patch_and_where_it_is():
    """One changed cell changes every keypoint's map, and another one if the same cell is elsewhere."""
    head = small().eval()
    nn.init.normal_(head.neck.embed.weight, std=0.5)
    blank = torch.zeros(3, 8, 16, 24)
    blank[1, :, 2, 3], blank[2, :, 10, 15] = 5.0, 5.0
    maps = head(blank)["heatmaps_pred"]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (maps[a] - maps[b]).abs().flatten(1).max(1).values.min() > 1e-7


def test_initialisation():
    """A normal of 0.02 cut at two units is one of 0.02 for all that matters; norms are the identity."""
    torch.manual_seed(0)
    head = TokenPoseConfig().build(channels=32, stride=4, num_keypoints=12, image_size=(256, 256))
    layers = [m for m in head.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(layers) == 1 + 18 * 4 + 1
    assert all(float(m.weight.detach().std()) == pytest.approx(0.02, rel=0.03) for m in layers)
    assert not any(m.bias.any() for m in layers if m.bias is not None)
    assert float(head.neck.keypoints.detach().std()) == pytest.approx(0.02, rel=0.1)
    maps = head(torch.randn(1, 32, 64, 64))["heatmaps_pred"]
    assert (
        maps.shape == (1, 12, 64, 64) and 1.1 < float(maps.detach().max()) * 4096 < 20
    )  # near uniform, and not constant


def test_gradients_reach_every_parameter_and_it_learns():
    head, points = small(), torch.rand(2, 3, 2) * torch.tensor([95.0, 63.0])
    features, targets = torch.randn(2, 8, 16, 24), head.target_generator(points, torch.full((2, 3), 2))

    def objective():
        return -(targets["heatmaps_targ"] * (head(features)["heatmaps_pred"] + 1e-10).log()).sum((-1, -2)).mean()

    objective().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        objective().backward()
        optimizer.step()
    assert (head.predictor(head(features))[0] - points).norm(dim=-1).max() < 2


@pytest.mark.parametrize(("stride", "tokens"), [(4, 24), (8, 24), (16, 24), (32, 6)])
def test_a_patch_is_sixteen_pixels_where_features_allow(stride, tokens):
    head = TokenPoseConfig(**SMALL).build(channels=8, stride=stride, num_keypoints=3, image_size=(64, 96))
    assert len(head.neck.positions) == 3 + tokens
    assert head(torch.randn(1, 8, 64 // stride, 96 // stride))["heatmaps_pred"].shape == (1, 3, 16, 24)


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(ConfigError, match="multiple of 16"):
        TokenPoseConfig().build(channels=8, stride=4, num_keypoints=3, image_size=(72, 96))
    with pytest.raises(ConfigError, match="Choose mse, kl or js"):
        TokenPoseConfig(loss="kk")
    with pytest.raises(ConfigError, match=r"multiple of 4 and of head\.attention_heads"):
        TokenPoseConfig(width=190)
