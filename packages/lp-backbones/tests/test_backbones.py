import os
import time
from pathlib import Path

import pytest
import timm
import torch
from lp_backbones import TimmConfig, weights
from lp_core import ConfigError, backbones
from lp_core.testing.backbone import BackboneContract

WEIGHTS = Path(os.environ.get("LP_TEST_WEIGHTS", Path(__file__).parents[3] / "../shared/weights"))
FILE = WEIGHTS / "mobilenetv2_100_imagenet_dequantised.safetensors"
SMALL = ["resnet18", "efficientnet_b0", "mobilenetv2_100", "vits_dino", "vits_dinov2", "vits_dinov3", "hrnet_w18"]
FACTS = {  # channels, stride, million parameters of the feature extractor's published classifier
    "resnet18": (512, 32), "resnet34": (512, 32), "resnet50": (2048, 32), "resnet101": (2048, 32), "resnet152": (2048, 32),
    "efficientnet_b0": (320, 32), "efficientnet_b1": (320, 32), "efficientnet_b2": (352, 32), "mobilenetv2_100": (320, 32),
    "vits_dino": (384, 16), "vitb_dino": (768, 16), "vits_dinov2": (384, 16), "vitb_dinov2": (768, 16),
    "vits_dinov3": (384, 16), "vitb_dinov3": (768, 16), "vitb_imagenet": (768, 16),
    "hrnet_w18": (128, 4), "hrnet_w32": (128, 4), "hrnet_w48": (128, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
class TestContract(BackboneContract):
    @pytest.fixture(autouse=True)
    def _name(self, name):
        self.name, self.options = name, {"pretrained": False}


class TestAnyTimmModel(BackboneContract):
    name, options = "timm", {"model": "convnext_atto", "pretrained": False}  # noqa: RUF012


class TestChannelsLastModel(BackboneContract):
    """Swin gives NHWC maps and needs its image size."""

    name, options = "timm", {"model": "swin_tiny_patch4_window7_224", "pretrained": False}  # noqa: RUF012


@pytest.mark.parametrize("name", FACTS)
def test_every_preset_builds(name):
    with torch.device("meta"):
        net = backbones.make(name, pretrained=False).build((64, 64))
    assert (net.channels, net.stride) == FACTS[name]


def test_there_is_a_fact_for_every_preset():
    assert set(FACTS) | {"timm"} == {n for n in backbones if backbones[n].__module__.startswith("lp_backbones")}


def test_output_stride_dilates():
    net = backbones.make("resnet18", pretrained=False, output_stride=16).build((64, 64))
    assert net.stride == 16 and net(torch.zeros(1, 3, 64, 64)).shape == (1, 512, 4, 4)


def test_frozen_norms_stay_frozen():
    net = backbones.make("resnet18", pretrained=False, freeze_norm=True).build((64, 64)).train()
    before = net.model.bn1.running_mean.clone()
    net(torch.randn(2, 3, 64, 64))
    assert torch.equal(net.model.bn1.running_mean, before)
    assert not net.model.bn1.weight.requires_grad and net.model.conv1.weight.requires_grad


def test_checkpointing_gives_the_same_gradient():
    grads = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        net = backbones.make("resnet18", pretrained=False, checkpointing=checkpointing).build((64, 64))
        net(torch.ones(2, 3, 64, 64)).square().mean().backward()
        grads.append(net.model.conv1.weight.grad)
    torch.testing.assert_close(*grads)


@pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not there; set LP_TEST_WEIGHTS")
def test_a_local_file_gives_the_model_s_own_features():
    net = backbones.make("mobilenetv2_100", weights=str(FILE)).build((64, 64)).eval()
    full = timm.create_model("mobilenetv2_100", pretrained=False)
    full.load_state_dict(weights.read_state_dict(FILE))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = full.eval().forward_intermediates(images, indices=1, intermediates_only=True)[-1]
        torch.testing.assert_close(net(images), expected)


def test_a_state_dict_with_prefix_and_wrapper(tmp_path):
    torch.manual_seed(1)
    full = timm.create_model("resnet18", pretrained=False)
    torch.save({"state_dict": {f"module.{k}": v for k, v in full.state_dict().items()}}, tmp_path / "w.pth")
    net = TimmConfig(model="resnet18", weights=str(tmp_path / "w.pth")).build((64, 64))
    torch.testing.assert_close(net.model.layer4[1].conv2.weight, full.layer4[1].conv2.weight)


def test_a_transformer_s_weights_are_fitted_to_the_image(tmp_path):
    full = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    torch.save(full.state_dict(), tmp_path / "w.pth")
    net = TimmConfig(model="vit_tiny_patch16_224", weights=str(tmp_path / "w.pth")).build((64, 96))
    torch.testing.assert_close(net.model.blocks[3].attn.qkv.weight, full.blocks[3].attn.qkv.weight)
    assert net.model.pos_embed.shape[1] == 4 * 6 + 1


def test_what_is_wrong_is_one_sentence(tmp_path):
    torch.save(timm.create_model("resnet34", pretrained=False).state_dict(), tmp_path / "34.pth")
    torch.save(timm.create_model("resnet18", pretrained=False).state_dict(), tmp_path / "18.pth")
    (tmp_path / "junk.pth").write_text("junk")
    for options, size, words in (
        ({"model": "resnet81"}, (64, 64), r"resnet81 is not a timm model; did you mean 'resnet"),
        ({"model": "resnet18", "pretrained": False}, (100, 64), r"multiples of 32; the nearest is \[96,64\]"),
        ({"model": "resnet50", "weights": str(tmp_path / "34.pth")}, (64, 64), r"34\.pth lacks .* and \d+ more of resnet50"),
        ({"model": "resnet34", "weights": str(tmp_path / "18.pth")}, (64, 64), r"18\.pth lacks"),
        ({"model": "resnet18", "weights": str(tmp_path / "junk.pth")}, (64, 64), "not a state dict or safetensors"),
        ({"model": "resnet18", "weights": str(tmp_path / "none.pth")}, (64, 64), "does not exist"),
        ({"model": "resnet18", "pretrained": False, "stage": 9}, (64, 64), "has the stages 0 to 4"),
        ({"model": "vit_tiny_patch16_224", "pretrained": False, "output_stride": 8}, (64, 64), "cannot be used with these options"),
    ):
        with pytest.raises(ConfigError, match=words):
            TimmConfig(**options).build(size)


def test_wrong_shapes_are_named(tmp_path):
    state = timm.create_model("resnet18", pretrained=False).state_dict()
    state["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"conv1\.weight \(64, 1, 7, 7\) instead of \(64, 3, 7, 7\)"):
        TimmConfig(model="resnet18", weights=str(tmp_path / "w.pth")).build((64, 64))


def test_no_network_is_one_sentence_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "HUB", "host.invalid")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(ConfigError, match=r"backbone\.weights=FILE, or start from random ones with backbone\.pretrained=false"):
        TimmConfig(model="resnet26").build((64, 64))
    assert time.monotonic() - start < 10
