"""Every model name of DeepLabCut with the configuration that it stands for: as many parameters as there, and it runs."""

import contextlib
import functools
from unittest import mock

import pytest
import timm
import torch
from lp_core import Animals
from lp_detectors.top_down import TopDownNet
from lp_heads.compat_deeplabcut import Deconvolution, LocationRefinementHead
from lp_train import available_models, build_network, compose

PARTS = tuple(f"part{i}" for i in range(12))
ANIMALS = Animals(individuals=("a", "b", "c"), parts=PARTS)
MILLIONS = {  # in all, 12 parts at 256 × 256 (384 × 384 and 384 × 288 where it must be): spec/deeplabcut.md, table 1.3
    "resnet_50": 24.17, "resnet_101": 43.16, "hrnet_w18": 9.57, "hrnet_w32": 29.32, "hrnet_w48": 65.34,
    "cspnext_s": 4.54, "cspnext_m": 12.53, "cspnext_x": 47.98,
    "top_down_resnet_50": 23.58, "top_down_hrnet_w32": 29.31, "top_down_cspnext_m": 12.31,
    "rtmpose_s": 5.38, "rtmpose_m": 13.44, "rtmpose_x": 49.18, "dekr_w18": 9.69, "dekr_w32": 29.50, "dekr_w48": 65.60,
    "animaltokenpose_base": 34.52, "ctd_coam_w32": 47.69, "ctd_coam_w48": 84.29, "ctd_coam_w48_human": 117.35,
    "ctd_prenet_hrnet_w32": 29.32, "ctd_prenet_hrnet_w48": 65.34, "ctd_prenet_rtmpose_s": 5.40,
    "ctd_prenet_rtmpose_m": 13.45, "ctd_prenet_rtmpose_x": 49.19, "ctd_prenet_rtmpose_x_human": 49.13,
}  # fmt: skip
SMALLER = {"dlcrnet_stride16_ms5": 35.41, "dlcrnet_stride32_ms5": 42.69}  # our head has a third of the parameters


def configured(name):
    """The configuration, at DeepLabCut's size where the name leaves it open."""
    config = compose([f"model={name}", "backbone.pretrained=false"])
    own = config.data.crop_size != [128, 128]
    config.data.image_size = config.data.image_size or [256, 256]
    config.data.crop_size = config.data.crop_size if own else [256, 256]
    return config


@contextlib.contextmanager
def without_numbers():
    """Networks without memory for their numbers; none are drawn, which takes longer there than where there is memory."""
    draws = ("normal_", "uniform_", "fill_", "zero_", "erfinv_", "mul_", "add_", "clamp_")
    with torch.device("meta"), mock.patch.multiple(torch.Tensor, **dict.fromkeys(draws, lambda self, *_, **__: self)):
        yield


@functools.cache
def pose_network(name):
    several = name.startswith(("dekr", "dlcrnet", "ctd"))
    with without_numbers():
        net = build_network(
            configured(name), ANIMALS.keypoint_names if several else PARTS, ANIMALS if several else None
        )
    return net.pose if isinstance(net, TopDownNet) else net


def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


def unread(name):
    """HRNet's last fusion into the branches that nobody reads, which DeepLabCut keeps and never trains."""
    width = next((w for w in ("w18", "w32", "w48") if f"_{w}" in name), "w32" if "token" in name else None)
    return 0.0 if width is None or name.startswith("dekr") else last_fusion(width)


@functools.cache
def last_fusion(width):
    with without_numbers():
        return millions(timm.create_model(f"hrnet_{width}").stage4[-1].fuse_layers[1:])


def their_head(name, channels):
    """DeepLabCut's head for one animal, which is run here for its finished models, in place of ours; else None."""
    if not name.removeprefix("top_down_").startswith(("resnet", "hrnet", "cspnext")):
        return None
    crops = name.startswith("top_down_")
    shapes = [
        Deconvolution(channels=[channels], kernels=[], strides=[], final=(maps, 1))
        if crops
        else Deconvolution(channels=[channels, maps], kernels=[3], strides=[2])
        for maps in (len(PARTS), 2 * len(PARTS))
    ]
    return LocationRefinementHead(*shapes, 8.0)


@pytest.mark.parametrize("name", MILLIONS)
def test_there_are_as_many_parameters_as_in_deeplabcut(name):
    net = pose_network(name)
    with torch.device("meta"):
        head = their_head(name, net.backbone.channels) or net.head
    assert millions(net.backbone) + unread(name) + millions(head) == pytest.approx(MILLIONS[name], rel=0.01)


def test_the_table_is_of_all_names_there_are():
    """But for those of which the table has no number: they are combinations of what is counted."""
    rest = set(available_models()) - set(MILLIONS) - set(SMALLER)
    assert {name for name in rest if name.removeprefix("top_down_") not in MILLIONS} == {"dlcrnet_ms5"}
    assert compose(["model=dlcrnet_ms5"]) == compose(["model=dlcrnet_stride16_ms5"])
    assert all(millions(pose_network(name)) < 0.9 * total for name, total in SMALLER.items())


@pytest.mark.parametrize("name", [*sorted(MILLIONS), *SMALLER])
def test_every_model_runs_as_it_is_configured(name, monkeypatch):
    """DeepLabCut's own configurations of rtmpose_x, ctd_coam_w48_human and both ctd_prenet_rtmpose_x stop here."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # there is none without memory
    net = pose_network(name)
    images = torch.zeros(2, 3, *net.image_size, dtype=torch.uint8, device="meta")
    conditions = torch.zeros(2, len(net.keypoint_names), 2, device="meta") if name.startswith("ctd") else None
    outputs = net.outputs(net.get_representations(images, conditions))
    keypoints = torch.rand(2, len(net.keypoint_names), 2) * min(net.image_size)
    targets = net.head.target_generator(keypoints, torch.full(keypoints.shape[:2], 2))
    shapes = {key.replace("_targ", "_pred"): value.shape for key, value in targets.items() if "weight" not in key}
    assert shapes and {key: outputs[key].shape for key in shapes} == shapes
