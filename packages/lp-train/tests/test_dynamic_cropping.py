"""Networks that can be shown a part of a frame, and those that cannot."""

from pathlib import Path

import pytest
import torch
from lp_core import ConfigError
from lp_train import build_network, compose, dynamic

WORDS = ["backbone=timm", "backbone.model=resnet10t", "backbone.pretrained=false", "data.image_size=[128,192]"]


def network(*words):
    return build_network(compose([*WORDS, *words]), ("red", "blue")).eval()


@pytest.mark.parametrize("words", [["head=heatmap"], ["head=heatmap_locref", "head.downsample_factor=3"]])
def test_a_network_of_maps_sees_a_part_as_it_sees_a_picture_of_that_size(words):
    net = network(*words)
    images = torch.randint(0, 256, (2, 3, 128, 192), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        first, _ = net(images[:1])
        looking = dynamic(net, {"threshold": 0.0, "margin": 8.0, "every": 0})
        keypoints, confidence = looking(images)
        _, _, state = looking.walk(images[:1], None)
        assert state.window is not None
        left, top, right, bottom = state.window
        alone, sure = net(images[1:, :, top:bottom, left:right])
    assert (right - left) * (bottom - top) < 128 * 192 and torch.equal(keypoints[:1], first)
    torch.testing.assert_close(keypoints[1:], alone + torch.tensor([left, top]))
    torch.testing.assert_close(confidence[1:], sure)
    inside = (first[0] >= torch.tensor([left, top])) & (first[0] < torch.tensor([right, bottom]))
    assert inside.all()


@pytest.mark.parametrize(
    "words",
    [["head=regression"], ["head=simcc"], ["head=rtmcc"], ["head=heatmap", "backbone.model=vit_tiny_patch16_224"]],
    ids=["regression", "simcc", "rtmcc", "transformer"],
)
def test_what_needs_one_size_is_refused_in_one_sentence(words):
    with pytest.raises(ConfigError, match="takes frames of any size and gives maps of them"):
        dynamic(network(*words), {})


def test_options_that_there_are_not_and_files():
    with pytest.raises(
        ConfigError, match=r"the options dynamic\.threshold, dynamic\.margin, dynamic\.every; .*treshold"
    ):
        dynamic(network(), {"treshold": 0.1})
    with pytest.raises(ConfigError, match="needs the folder of a training"):
        dynamic(Path("net.onnx"), {})
