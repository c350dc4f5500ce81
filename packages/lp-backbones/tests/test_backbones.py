"""Backbones against their contract, timm's own outputs and closed facts of the architectures."""

import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import timm
import torch
from lp_backbones import TimmConfig, download
from lp_core import ConfigError, backbones
from lp_core.testing.backbone import BackboneContract
from safetensors.torch import save_file

WEIGHTS = Path(os.environ.get("LP_TEST_WEIGHTS", Path(__file__).parents[3] / "../shared/weights"))
FILE = WEIGHTS / "mobilenetv2_100_imagenet_dequantised.safetensors"
SMALL = ["resnet18", "efficientnet_b0", "mobilenetv2_100", "vits_dino", "vits_dinov2", "vits_dinov3"]
FACTS = {  # channels and stride, from the papers and spec/lightning-pose.md 3.1
    "resnet18": (512, 32), "resnet34": (512, 32), "resnet50": (2048, 32), "resnet101": (2048, 32), "resnet152": (2048, 32),
    "efficientnet_b0": (1280, 32), "efficientnet_b1": (1280, 32), "efficientnet_b2": (1408, 32),
    "mobilenetv2_100": (1280, 32), "vits_dino": (384, 16), "vitb_dino": (768, 16), "vits_dinov2": (384, 16),
    "vitb_dinov2": (768, 16), "vits_dinov3": (384, 16), "vitb_dinov3": (768, 16), "vitb_imagenet": (768, 16),
    "hrnet_w18": (128, 4), "hrnet_w32": (128, 4), "hrnet_w48": (128, 4),
    # from spec/deeplabcut.md 1.5
    "resnet50_gn": (2048, 32), "cspnext_s": (512, 32), "cspnext_m": (768, 32), "cspnext_x": (1280, 32),
    "dlcrnet": (2304, 16), "hrnet_coam": (32, 4), "cond_prenet": (32, 4),
}  # fmt: skip
NEEDED = {"hrnet_coam": {"keypoints": 3}, "cond_prenet": {"keypoints": 3}}


def build(model="resnet18", size=(64, 64), **options):
    torch.manual_seed(0)
    options = {"pretrained": False, **options}
    return TimmConfig(model=model, **options).build(size)


def images(height=64, width=64):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SMALL)
class TestPresets(BackboneContract):
    @pytest.fixture(autouse=True)
    def _name(self, name):
        self.name, self.options = name, {"pretrained": False}


@pytest.mark.parametrize("model", ["convnext_atto", "swin_tiny_patch4_window7_224", "hardcorenas_a", "hrnet_w18_small"])
class TestAnyTimmModel(BackboneContract):
    @pytest.fixture(autouse=True)
    def _model(self, model):
        self.name, self.options = "timm", {"model": model, "pretrained": False}


@pytest.mark.parametrize("name", FACTS)
def test_every_preset_gives_the_stated_features(name):
    with torch.device("meta"):
        net = backbones.make(name, pretrained=False, **NEEDED.get(name, {})).build((64, 96))
        features = net(torch.empty(1, 3, 64, 96))
    channels, stride = FACTS[name]
    assert (net.channels, net.stride) == (channels, stride)
    assert features.shape == (1, channels, 64 // stride, 96 // stride)
    assert timm.get_pretrained_cfg(backbones[name]().model).has_weights


def test_there_is_a_fact_for_every_preset():
    assert set(FACTS) | {"timm"} == {n for n in backbones if backbones[n].__module__.startswith("lp_backbones")}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {}),
        ("efficientnet_b0", {}),
        ("hrnet_w18", {}),
        ("hrnet_w18", {"branches": "highest"}),
        ("hrnet_w18", {"branches": "all"}),
        ("vits_dino", {}),
        ("cspnext_s", {}),
        ("dlcrnet", {"model": "resnet18"}),
        ("hrnet_coam", {"model": "hrnet_w18_small", "keypoints": 3, "self_attention_stages": [3, 4]}),
        ("cond_prenet", {"model": "cspnext_s", "keypoints": 3}),
    ],
)
def test_no_parameter_is_dead(name, options):
    net = backbones.make(name, pretrained=False, **options).build((64, 64))
    net(images()).square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_importing_the_package_is_light():
    modules = "lp_backbones.presets, lp_backbones.conditional"
    code = f"import sys, {modules}; sys.exit(any(m in sys.modules for m in ('torch', 'timm', 'huggingface_hub')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_hrnet_is_timm_s_own_branch_of_stride_4():
    net = build("hrnet_w18_small").eval()
    whole = timm.create_model("hrnet_w18_small", features_only=True, out_indices=(1,)).eval()
    torch.manual_seed(0)
    state = {
        k: torch.randn_like(v) * 0.1 if v.dtype.is_floating_point and v.ndim > 1 else v
        for k, v in whole.state_dict().items()
    }
    whole.load_state_dict(state)
    net.model.load_state_dict({k: state[k] for k in net.model.state_dict()})
    with torch.no_grad():
        torch.testing.assert_close(net(images()), whole(images())[0])


@pytest.mark.parametrize("stride", [8, 16])
def test_output_stride_dilates_and_keeps_the_parameters(stride):
    plain, net = build(), build(output_stride=stride)
    assert net.stride == stride and net(images(64, 96)).shape == (2, 512, 64 // stride, 96 // stride)
    assert {k: v.shape for k, v in net.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}


@pytest.mark.parametrize("kept", ["statistics", "weights"])
def test_statistics_and_weights_of_norms_are_frozen_apart(kept):
    net = build(**{f"freeze_norm_{kept}": True})
    net.requires_grad_(True).eval().train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(images()).square().mean().backward()
    optimizer.step()
    changed = {k for k, v in net.state_dict().items() if not torch.equal(before[k], v)}
    assert ("model.bn1.running_mean" in changed) == (kept == "weights")
    assert ("model.bn1.weight" in changed) == ("model.bn1.bias" in changed) == (kept == "statistics")
    assert "model.conv1.weight" in changed and build().state_dict().keys() == net.state_dict().keys()


def test_frozen_norms_stay_frozen_whatever_the_trainer_does():
    net = build(freeze_norm=True)
    net.requires_grad_(False).train(False)
    net.requires_grad_(True).train()
    before = {k: v.clone() for k, v in net.state_dict().items() if "bn" in k}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(images()).square().mean().backward()
    optimizer.step()
    assert before and all(torch.equal(net.state_dict()[k], v) for k, v in before.items())
    assert net.model.conv1.weight.grad.abs().sum() > 0
    assert build().state_dict().keys() == net.state_dict().keys()


@pytest.mark.parametrize("model", ["resnet18", "mobilenetv2_100", "test_vit"])
def test_checkpointing_recomputes_and_gives_the_same_gradient(model):
    grads, calls = [], []
    for checkpointing in (False, True):
        net, count = build(model, checkpointing=checkpointing), []
        block = net.model.layer3[0] if model == "resnet18" else net.model.blocks[2]
        block = block if model != "mobilenetv2_100" else block[0]
        block.register_forward_pre_hook(lambda *_, count=count: count.append(1))
        net(images(64, 64)).square().mean().backward()
        grads.append([p.grad for p in net.parameters()])
        calls.append(len(count))
    assert calls == [1, 2]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_drop_path_drops_in_training_only():
    net = build("test_vit", drop_path=0.9)
    assert not torch.equal(net(images()), net(images()))
    net.eval()
    assert torch.equal(net(images()), net(images()))


@pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is absent; set LP_TEST_WEIGHTS to its folder")
@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_a_local_file_gives_the_full_model_s_features(size):
    net = backbones.make("mobilenetv2_100", weights=str(FILE)).build(size).eval()
    full = timm.create_model("mobilenetv2_100", checkpoint_path=str(FILE)).eval()
    with torch.no_grad():
        torch.testing.assert_close(net(images(*size)), full.forward_features(images(*size)))


def wrap_nothing(state):
    return state


def wrap_ddp(state):
    return {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}


def wrap_pose(state):
    rest = {"keypoint_head.final.weight": torch.zeros(3), "head.upsampling_layers.1.weight": torch.zeros(2)}
    return {"model": {**{f"net.backbone.model.{k}": v for k, v in state.items()}, **rest}}


@pytest.mark.parametrize("wrap", [wrap_nothing, wrap_ddp, wrap_pose])
def test_wrappers_prefixes_and_heads_are_removed(tmp_path, wrap):
    torch.manual_seed(5)
    full = timm.create_model("resnet18").eval()
    torch.save(wrap(full.state_dict()), tmp_path / "w.pth")
    with torch.no_grad():
        torch.testing.assert_close(
            build(weights=str(tmp_path / "w.pth")).eval()(images()), full.forward_features(images())
        )


def test_transformer_weights_give_timm_s_normed_tokens(tmp_path):
    torch.manual_seed(5)
    full = timm.create_model("vit_tiny_patch16_224", img_size=(64, 96)).eval()
    save_file(full.state_dict(), tmp_path / "w.safetensors")
    net = build("vit_tiny_patch16_224", (64, 96), weights=str(tmp_path / "w.safetensors")).eval()
    with torch.no_grad():
        tokens = full.forward_features(images(64, 96))[:, 1:].transpose(1, 2).reshape(2, 192, 4, 6)
        torch.testing.assert_close(net(images(64, 96)), tokens)


def test_patches_of_14_become_16_and_keep_their_response(tmp_path):
    """A constant image excites a resampled patch embedding as before (FlexiViT's pseudo-inverse resize is exact there)."""
    torch.manual_seed(5)
    full = timm.create_model("vit_small_patch14_dinov2", img_size=518)
    torch.save(full.state_dict(), tmp_path / "w.pth")
    net = build("vit_small_patch14_dinov2", (64, 96), weights=str(tmp_path / "w.pth"))
    assert net.stride == 16 and net.model.pos_embed.shape == (1, 1 + 4 * 6, 384)
    ours = net.model.patch_embed.proj(torch.ones(1, 3, 16, 16)).flatten()
    theirs = full.patch_embed.proj(torch.ones(1, 3, 14, 14)).flatten()
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "size", "words"),
    [
        ({"model": "resnet81"}, (64, 64), r"resnet81 is not a timm model; did you mean 'resnet"),
        ({"model": "resnet18.foo"}, (64, 64), r"has no weights 'foo'; it has a1_in1k"),
        (
            {"model": "resnet18"},
            (100, 64),
            r"\[100,64\] must be multiples of 32 for resnet18; try \[96,64\] or \[128,64\]",
        ),
        ({"model": "test_vit"}, (8, 64), r"multiples of 16 for test_vit; try \[16,64\]"),
        (
            {"model": "test_vit", "output_stride": 8},
            (64, 64),
            "output_stride=8 is not possible with backbone.model=test_vit",
        ),
        ({"model": "hrnet_w18_small", "output_stride": 16}, (64, 64), "output_stride=16 is not possible"),
        ({"model": "resnet18", "output_stride": 7}, (64, 64), "must be 8, 16 or 32"),
        ({"model": "vgg11", "drop_path": 0.1}, (64, 64), r"drop_path=0\.1 is not possible with backbone.model=vgg11"),
        ({"model": "resnet18", "drop_path": 1.0}, (64, 64), "at least 0 and below 1"),
        ({"model": "hrnet_w18_small", "checkpointing": True}, (64, 64), "checkpointing=true is not possible"),
        ({"model": "crossvit_9_240"}, (240, 238), r"crossvit_9_240"),
        ({"weights": "none.pth"}, (64, 64), r"none\.pth is not a file"),
    ],
)
def test_what_is_wrong_is_one_sentence(options, size, words):
    with pytest.raises(ConfigError, match=words) as caught:
        build(size=size, **options)
    assert "\n" not in str(caught.value) and str(caught.value).endswith((".", "?"))


def save(name, path):
    torch.save(timm.create_model(name).state_dict(), path)
    return str(path)


def test_files_that_do_not_fit_are_named(tmp_path):
    larger, smaller, other = (save(n, tmp_path / f"{n}.pth") for n in ("resnet34", "resnet18", "resnet26"))
    cut = timm.create_model("resnet18").state_dict() | {"conv1.weight": torch.zeros(64, 1, 7, 7)}
    save_file(cut, tmp_path / "cut.safetensors")
    (tmp_path / "junk.pth").write_text("junk")
    (tmp_path / "junk.safetensors").write_text("junk")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    for path, model, words in (
        (
            larger,
            "resnet18",
            r"resnet34\.pth does not fit .*unexpected layer1\.2\.conv1\.weight, .* and \d+ more; give",
        ),
        (smaller, "resnet34", r"resnet34: missing layer1\.2\.conv1\.weight, .* and \d+ more"),
        (other, "resnet18", r"wrong shape .*layer1\.0\.conv1\.weight is \(64, 64, 1, 1\), not \(64, 64, 3, 3\)"),
        (
            str(tmp_path / "cut.safetensors"),
            "resnet18",
            r"wrong shape conv1\.weight is \(64, 1, 7, 7\), not \(64, 3, 7, 7\);",
        ),
        (str(tmp_path / "junk.pth"), "resnet18", "cannot be read as a state dict"),
        (str(tmp_path / "junk.safetensors"), "resnet18", "cannot be read as a state dict"),
        (str(tmp_path / "empty.pth"), "resnet18", "holds no tensors"),
    ):
        with pytest.raises(ConfigError, match=words):
            build(model, weights=path)


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("endpoint", ["https://host.invalid", "https://127.0.0.1:9"])
def test_no_network_is_one_sentence_at_once(monkeypatch, empty_cache, endpoint):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    before, start = dict(os.environ), time.monotonic()
    with pytest.raises(
        ConfigError, match=r"cannot be reached; set backbone\.weights=FILE or backbone\.pretrained=false\.$"
    ):
        backbones.make("resnet18").build((64, 64))
    assert time.monotonic() - start < 6 and dict(os.environ) == before


def test_a_server_that_never_answers_costs_the_patience_only(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: time.sleep(3))
    start = time.monotonic()
    assert not download.reachable("https://huggingface.co", patience=0.2) and time.monotonic() - start < 1


def test_the_proxy_is_what_must_be_reachable(monkeypatch):
    asked = []
    monkeypatch.setattr(download, "getproxies", lambda: {"https": "http://proxy.lab:3128"})
    monkeypatch.setattr(download, "proxy_bypass", lambda _: False)
    monkeypatch.setattr(socket, "create_connection", lambda a, **_: asked.append(a) or socket.socket())
    assert download.reachable("https://huggingface.co") and asked == [("proxy.lab", 3128)]


def test_cached_weights_need_no_network(monkeypatch, empty_cache, tmp_path):
    torch.manual_seed(5)
    full = timm.create_model("resnet18").eval()
    save_file(full.state_dict(), tmp_path / "cached.safetensors")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "cached.safetensors"))
    monkeypatch.setattr(download, "reachable", lambda *_: pytest.fail("the network was asked"))
    with torch.no_grad():
        found = backbones.make("resnet18").build((64, 64)).eval()(images())
        torch.testing.assert_close(found, full.forward_features(images()))


def test_a_model_without_published_weights_says_so():
    name = next(
        n
        for n in timm.list_models("resnet*")
        if n not in {p.partition(".")[0] for p in timm.list_pretrained("resnet*")}
    )
    with pytest.raises(ConfigError, match=f"no pretrained weights for {name}; set backbone"):
        TimmConfig(model=name).build((64, 64))


def test_logging_is_left_as_it_was():
    logging.getLogger("timm").setLevel(logging.WARNING)
    build()
    assert logging.getLogger("timm").level == logging.WARNING
