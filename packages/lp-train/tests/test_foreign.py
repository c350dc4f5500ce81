"""Tensor names, checkpoints and configurations of other software, without that software."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from lp_core import ConfigError, Resize
from lp_train import load_model
from lp_train.foreign import deeplabcut, is_foreign_run, lightning_pose, load_foreign
from lp_train.foreign.checkpoint import read_state
from lp_train.foreign.lightning_pose import Settings
from lp_train.foreign.lightning_pose_backbones import TIMM, resampled
from torch import nn

KEYPOINTS = ("a", "b", "c")


def settings(kind="heatmap", backbone="resnet18", size=(64, 64)):
    return Settings(
        path=Path("config.yaml"), model_type=kind, model_name="m", backbone=backbone, keypoint_names=KEYPOINTS,
        image_size=size, downsample_factor=2,
    )  # fmt: skip


# What the published wheels name their tensors, written down from their source: one network of each family.


def resnet_names(depths, bottleneck):
    convs = 3 if bottleneck else 2
    names = norm_names("backbone.1") | {"backbone.0.weight"}
    for stage, depth in enumerate(depths):
        for block in range(depth):
            here = f"backbone.{stage + 4}.{block}"
            for conv in range(1, convs + 1):
                names |= {f"{here}.conv{conv}.weight"} | norm_names(f"{here}.bn{conv}")
            if block == 0 and (stage or bottleneck):
                names |= {f"{here}.downsample.0.weight"} | norm_names(f"{here}.downsample.1")
    return names


def norm_names(prefix):
    kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return {f"{prefix}.{kind}" for kind in kinds}


def efficientnet_names(depths):
    names = (
        {"backbone.0.0.0.weight", "backbone.0.8.0.weight"} | norm_names("backbone.0.0.1") | norm_names("backbone.0.8.1")
    )
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            here = f"backbone.0.{stage}.{block}.block"
            convs, squeeze = ((0, 2), 1) if stage == 1 else ((0, 1, 3), 2)
            for conv in convs:
                names |= {f"{here}.{conv}.0.weight"} | norm_names(f"{here}.{conv}.1")
            names |= {f"{here}.{squeeze}.{fc}.{kind}" for fc in ("fc1", "fc2") for kind in ("weight", "bias")}
    return names


def vit_names(parts, layers="layers", others=()):
    vision = "backbone.vision_encoder."
    inside = {f"{vision}{layers}.{i}.{part}" for i in range(12) for part in parts}
    return inside | {vision + other for other in (*others, "layernorm.weight", "layernorm.bias")}


def both(*names):
    return [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]


EMBEDDINGS = ("embeddings.cls_token", "embeddings.position_embeddings", *both("embeddings.patch_embeddings.projection"))
NEW_VIT = both(*(f"attention.{p}_proj" for p in "qkvo"), "layernorm_before", "layernorm_after", "mlp.fc1", "mlp.fc2")
OLD_VIT = both(
    *(f"attention.attention.{p}" for p in ("query", "key", "value")), "attention.output.dense",
    "layernorm_before", "layernorm_after", "intermediate.dense", "output.dense",
)  # fmt: skip
DINOV2 = [*both(*(f"attention.{p}_proj" for p in "qkvo"), "norm1", "norm2", "mlp.fc1", "mlp.fc2"),
          "layer_scale1.lambda1", "layer_scale2.lambda1"]  # fmt: skip
HEAD = set(both("head.upsampling_layers.1", "head.upsampling_layers.2"))
VIT_HEAD = set(both("head.upsampling_layers.1"))
MASK = "embeddings.mask_token"
CONTEXT_PARTS = ("W_pre", "W_f", "W_b", "H_f.0", "H_f.1", "H_b.0", "H_b.1")
CONTEXT = {name.replace("upsampling", "head_sf.upsampling") for name in HEAD}
CONTEXT |= set(both(*(f"head.head_mf.{part}" for part in CONTEXT_PARTS)))
ALIASES = set(both(*(f"head.head_mf.layers.{part}" for part in ("0", "1", "2.0", "2.1", "3", "4.0", "4.1"))))
CASES = {
    "resnet18": ("heatmap", resnet_names((2, 2, 2, 2), False) | HEAD),
    "resnet34": ("heatmap", resnet_names((3, 4, 6, 3), False) | {n.removeprefix("head.") for n in HEAD}),  # old form
    "resnet50": ("regression", resnet_names((3, 4, 6, 3), True) | set(both("head.linear_layer"))),
    "resnet50_animal_ap10k": ("heatmap_mhcrnn", resnet_names((3, 4, 6, 3), True) | CONTEXT | ALIASES),
    "resnet101": ("heatmap", resnet_names((3, 4, 23, 3), True) | HEAD),
    "resnet152": ("heatmap", resnet_names((3, 8, 36, 3), True) | HEAD),
    "efficientnet_b0": ("heatmap", efficientnet_names((1, 2, 2, 3, 3, 4, 1)) | HEAD),
    "efficientnet_b1": ("heatmap", efficientnet_names((2, 3, 3, 4, 4, 5, 2)) | HEAD),
    "efficientnet_b2": ("heatmap_mhcrnn", efficientnet_names((2, 3, 3, 4, 4, 5, 2)) | CONTEXT),
    "vits_dino": ("heatmap", vit_names(NEW_VIT, others=EMBEDDINGS) | VIT_HEAD),
    "vitb_imagenet": ("heatmap", vit_names(OLD_VIT, "encoder.layer", EMBEDDINGS) | VIT_HEAD),
    "vits_dinov2": ("heatmap", vit_names(DINOV2, "encoder.layer", (*EMBEDDINGS, MASK)) | VIT_HEAD),
}


@pytest.mark.parametrize("backbone", CASES)
def test_lightning_pose_names_are_ours_one_to_one(backbone):
    kind, theirs = CASES[backbone]
    with torch.device("meta"):
        wanted = lightning_pose.build(settings(kind, backbone)).state_dict()
    state = {name: torch.full((1,), float(i)) for i, name in enumerate(sorted(theirs))}
    found = lightning_pose.translated(state, backbone)
    assert set(found) == set(wanted)
    values = torch.cat(list(found.values())).tolist()
    aliases = {state[name].item() for name in theirs & ALIASES | {n for n in theirs if n.endswith("mask_token")}}
    assert sorted(values) == sorted(set(range(len(theirs))) - aliases)


def test_every_backbone_of_lightning_pose_is_a_network():
    small = [name for name in TIMM if name not in CASES and not name.startswith(("resnet", "vitb"))]
    for name in small:
        with torch.device("meta"):
            net = lightning_pose.build(settings(backbone=name, size=(128, 128)))
        assert net.backbone.mean == (0.485, 0.456, 0.406)
        assert net.backbone.stride == (32 if "sam2" in name or "eff" in name else 16)


def test_queries_keys_and_values_are_joined_in_that_order():
    state = {
        f"backbone.vision_encoder.layers.3.attention.{p}_proj.bias": torch.full((2,), i) for i, p in enumerate("qkv")
    }
    ((name, joined),) = lightning_pose.translated(state, "vits_dino").items()
    assert name == "backbone.model.blocks.3.attn.qkv.bias"
    assert joined.tolist() == [0, 0, 1, 1, 2, 2]


def test_positions_are_resampled_at_the_centres_of_the_new_patches():
    """A ramp along x stays one; torch's cubic kernel follows it to a twentieth of a patch."""
    ramp = torch.arange(14.0).expand(14, 14)
    found = resampled(torch.cat([torch.full((1, 1), 99.0), ramp.reshape(-1, 1)])[None], 16 * 16)
    assert found[0, 0] == 99
    centres = (torch.arange(16) + 0.5) * 14 / 16 - 0.5
    torch.testing.assert_close(found[0, 1:].view(16, 16)[8, 3:-3], centres[3:-3], atol=0.05, rtol=0)


def write_run(folder, *, net=None, model=None, data=None):
    """A run of Lightning Pose with random weights, saved with an object of a package that is not installed."""
    net = net or lightning_pose.build(settings())
    state = {
        name.replace("backbone.model.conv1", "backbone.0").replace("backbone.model.bn1", "backbone.1"): value
        for name, value in net.state_dict().items()
    }
    for stage in range(1, 5):
        state = {name.replace(f"backbone.model.layer{stage}", f"backbone.{stage + 3}"): v for name, v in state.items()}
    values = {
        "model": {"model_type": "heatmap", "backbone": "resnet18", "model_name": "m", **(model or {})},
        "data": {"image_resize_dims": {"height": 64, "width": 64}, "keypoint_names": list(KEYPOINTS), **(data or {})},
        "eval": {"test_videos_directory": "${data.video_dir}"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    for version, name in ((0, "epoch=9-step=90-best"), (1, "epoch=1-step=10"), (1, "epoch=2-step=20")):
        path = folder / f"tb_logs/m/version_{version}/checkpoints/{name}.ckpt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"state_dict": {**state, "head.temperature": torch.tensor(float(version))}}, path)
    return net.eval()


def test_a_run_of_lightning_pose_is_loaded_as_a_run(tmp_path):
    net = write_run(tmp_path)
    assert is_foreign_run(tmp_path) and not is_foreign_run(tmp_path / "tb_logs")
    loaded = load_model(tmp_path)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(loaded(images), net(images))
    assert loaded.keypoint_names == KEYPOINTS and not loaded.training


def test_the_newest_version_is_taken_and_the_best_of_it(tmp_path):
    write_run(tmp_path)
    assert lightning_pose.best_checkpoint(tmp_path, "m").stem == "epoch=2-step=20"
    (tmp_path / "tb_logs/m/version_1/checkpoints/epoch=0-step=5-best.ckpt").write_bytes(b"")
    assert lightning_pose.best_checkpoint(tmp_path, "m").stem == "epoch=0-step=5-best"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": {"model_type": "heatmap_multiview_transformer"}}, "heatmap_multiview_transformer does not run here"),
        ({"model": {"backbone": "resnet51"}}, "resnet51 does not run here"),
        ({"model": {"backbone": "resnet34"}}, "does not fit its configuration: missing"),
        ({"data": {"keypoint_names": None}}, "no data.keypoint_names"),
        ({"data": {"keypoint_names": ["a"]}}, "wrong shape"),
        ({"data": {"image_resize_dims": None}}, "no data.image_resize_dims"),
    ],
)
def test_what_does_not_run_is_one_sentence(tmp_path, change, words):
    write_run(tmp_path, **change)
    with pytest.raises(ConfigError, match=words) as e:
        load_foreign(tmp_path)
    assert "\n" not in str(e.value)


def test_missing_and_damaged_checkpoints(tmp_path):
    write_run(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        load_foreign(tmp_path, tmp_path / "none.ckpt")
    (tmp_path / "bad.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigError, match="cannot be read as a checkpoint"):
        load_foreign(tmp_path, tmp_path / "bad.ckpt")
    for file in tmp_path.rglob("tb_logs/**/*.ckpt"):
        file.unlink()
    with pytest.raises(ConfigError, match="holds no checkpoint"):
        load_foreign(tmp_path)


class Harmful:
    """Pickles to a call that must never happen."""

    def __reduce__(self):
        return open, ("harm.txt", "w")


class Stranger:
    """Pickles to an object of this test module, whose state is set."""

    def __init__(self):
        self.value = {"deep": [1, 2]}


def test_a_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = {
        "state_dict": {"w": torch.ones(2)},
        "hyper_parameters": {"x": Harmful(), "y": Stranger(), "z": np.float64(1)},
    }
    torch.save(content, tmp_path / "x.ckpt")
    assert read_state(tmp_path / "x.ckpt", "state_dict")["w"].tolist() == [1, 1]
    assert not (tmp_path / "harm.txt").exists()
    pickle.dumps(Harmful())  # the object itself is one that would do it
    torch.load(tmp_path / "x.ckpt", weights_only=False)
    assert (tmp_path / "harm.txt").exists()


def test_pixels_of_lightning_pose_scale_without_an_offset():
    resize = Resize((406, 396), (256, 128), corner=True)
    points = np.array([[0.0, 0.0], [127.0, 255.0], [np.nan, 3.0]])
    expected = points * [396 / 128, 406 / 256]
    np.testing.assert_allclose(resize.inverse(points), expected)
    np.testing.assert_allclose(resize.forward(expected), points)
    assert isinstance(resize, Resize)


DLC = {
    "method": "bu",
    "metadata": {"bodyparts": list(KEYPOINTS), "individuals": ["animal"]},
    "data": {"colormode": "RGB", "inference": {"normalize_images": True, "resize": None, "hflip": None}},
    "model": {
        "backbone": {"type": "ResNet", "model_name": "resnet18", "output_stride": 16},
        "heads": {"bodypart": {
            "type": "HeatmapHead",
            "predictor": {"type": "HeatmapPredictor", "apply_sigmoid": False, "clip_scores": True},
            "heatmap_config": {"channels": [512, 3], "kernel_size": [3], "strides": [2]},
            "locref_config": {"channels": [512, 6], "kernel_size": [3], "strides": [2]},
        }},
    },
}  # fmt: skip


def changed(values, path, value):
    key, *rest = path
    return {**values, key: changed(values[key], rest, value) if rest else value}


def write_dlc(folder, values=DLC):
    train = folder / "train"
    train.mkdir(parents=True)
    (train / "pytorch_config.yaml").write_text(yaml.safe_dump(values))
    return train


def dlc_names():
    names = {n.replace("backbone.", "backbone.model.") for n in resnet_names((2, 2, 2, 2), False)}
    for index, ours in {0: "conv1", 1: "bn1", 4: "layer1", 5: "layer2", 6: "layer3", 7: "layer4"}.items():
        names = {n.replace(f"backbone.model.{index}.", f"backbone.model.{ours}.") for n in names}
    heads = both("heads.bodypart.heatmap_head.deconv_layers.0", "heads.bodypart.locref_head.deconv_layers.0")
    return names | set(heads)


def test_a_model_directory_of_deeplabcut_is_loaded_as_a_run(tmp_path):
    train = write_dlc(tmp_path)
    net = deeplabcut.build(train / "pytorch_config.yaml").eval()
    theirs = {
        name.replace("head.", "heads.bodypart.", 1) if name.startswith("head.") else name: v
        for name, v in net.state_dict().items()
    }
    assert set(theirs) == dlc_names()
    fc = {"backbone.model.fc.weight": torch.ones(3)}
    for name in ("snapshot-050", "snapshot-best-020", "snapshot-detector-best-090"):
        torch.save({"model": {**theirs, **fc}, "metadata": {"metrics": np.float64(3)}}, train / f"{name}.pt")
    assert deeplabcut.best_snapshot(train).stem == "snapshot-best-020"
    for place in (tmp_path, train):
        loaded = load_model(place)
        for size in ((64, 64), (70, 101)):
            images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
            torch.testing.assert_close(loaded(images), net(images))
    assert loaded.resize((70, 101)) == Resize((70, 101), (70, 101))


def test_hrnet_gives_its_finest_branch(tmp_path):
    """Against timm's own features, which is what DeepLabCut calls."""
    import timm

    head = {**DLC["model"]["heads"]["bodypart"], "heatmap_config": {"channels": [16, 3], "kernel_size": [3], "strides": [2]},
            "locref_config": None}  # fmt: skip
    values = changed(DLC, ("model", "heads", "bodypart"), head)
    values = changed(values, ("model", "backbone"), {"type": "HRNet", "model_name": "hrnet_w18_small"})
    train = write_dlc(tmp_path, values)
    theirs = timm.create_model(
        "hrnet_w18_small", features_only=True, feature_location="", out_indices=(1, 2, 3, 4)
    ).eval()
    heads = {
        "heatmap_head.deconv_layers.0.weight": torch.randn(16, 3, 3, 3),
        "heatmap_head.deconv_layers.0.bias": torch.ones(3),
    }
    state = {f"backbone.model.{k}": v for k, v in theirs.state_dict().items()}
    torch.save({"model": {**state, **{f"heads.bodypart.{k}": v for k, v in heads.items()}}}, train / "snapshot-010.pt")
    net = load_foreign(tmp_path)
    images = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(net.backbone(images), theirs(images)[0], rtol=1e-3, atol=1e-4)
    assert net.head.predictor.stride == 2


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("metadata", "individuals"), ["a", "b"], "several animals"),
        (("method",), "td", "method td"),
        (("model", "heads", "bodypart", "type"), "DLCRNetHead", "DLCRNetHead"),
        (("model", "backbone", "type"), "HRNetCoAM", "HRNetCoAM"),
        (("data", "inference", "resize"), {"height": 4, "width": 4}, "asks for resize"),
        (("data", "inference", "longest_max_size"), 64, "asks for longest_max_size"),
    ],
)  # fmt: skip
def test_deeplabcut_models_that_do_not_run_are_one_sentence(tmp_path, path, value, words):
    write_dlc(tmp_path, changed(DLC, path, value))
    (tmp_path / "train" / "snapshot-010.pt").write_bytes(b"")
    with pytest.raises(ConfigError, match=words) as e:
        load_foreign(tmp_path)
    assert "\n" not in str(e.value)


def test_a_project_with_several_models_asks_which(tmp_path):
    for shuffle in (1, 2):
        write_dlc(tmp_path / f"dlc-models-pytorch/iteration-0/proj-shuffle{shuffle}")
    with pytest.raises(ConfigError, match=r"2 trained models.*proj-shuffle2"):
        load_foreign(tmp_path)
    with pytest.raises(ConfigError, match="holds no snapshot"):
        load_foreign(tmp_path / "dlc-models-pytorch/iteration-0/proj-shuffle1")


def test_padding_lies_where_the_configuration_says(tmp_path):
    values = changed(DLC, ("data", "inference", "auto_padding"), {"pad_height_divisor": 32, "pad_width_divisor": 16})
    for position, margins in (("center", (3, 3, 1, 2)), ("top_left", (0, 6, 0, 3)), ("bottom_right", (6, 0, 3, 0))):
        values["data"]["inference"]["auto_padding"]["position"] = position
        pixels = deeplabcut.read_pixels(values, tmp_path)
        assert pixels.margins((61, 90)) == margins
        assert pixels.margins((64, 96)) == (0, 0, 0, 0)


def test_frames_are_stretched_where_the_configuration_says(tmp_path):
    size = {"height": 64, "width": 96, "keep_ratio": False}
    net = deeplabcut.build(
        write_dlc(tmp_path, changed(DLC, ("data", "inference", "resize"), size)) / "pytorch_config.yaml"
    )
    assert net.image_size == (64, 96) and not net.any_size and net.corner_pixels
    there = net.resize((128, 384))
    # DeepLabCut divides by the scale and nothing else: 2 rows and 4 columns of the frame are one of the input
    assert there.inverse(np.array([[31.5, 20.5]])).tolist() == [[126.0, 41.0]]
    own = deeplabcut.build(write_dlc(tmp_path / "own") / "pytorch_config.yaml")
    assert own.any_size and own.resize((128, 384)).inverse(np.array([[31.5, 20.5]])).tolist() == [[31.5, 20.5]]


def test_padding_moves_no_keypoint(tmp_path):
    """A network that answers with the brightest cell must find the same pixel whatever is added round the frame."""
    values = changed(DLC, ("data", "inference", "auto_padding"), {"pad_height_divisor": 32, "pad_width_divisor": 32})
    net = deeplabcut.build(write_dlc(tmp_path, values) / "pytorch_config.yaml").eval()

    class Bright(nn.Module):
        mean, std, stride, channels = (0.0,) * 3, (1.0,) * 3, 1, 1

        def forward(self, images):
            return images.mean(1, keepdim=True)

    class Itself(nn.Module):
        def forward(self, features):
            return {"heatmaps_pred": features}

    predictor = net.head.predictor
    predictor.stride = 1
    net.backbone, net.head = Bright(), Itself()
    net.head.predictor = predictor
    images = torch.zeros(1, 3, 50, 45, dtype=torch.uint8)
    images[..., 20, 31] = 255
    keypoints, _ = net(images)
    assert keypoints[0, 0].tolist() == [31.5, 20.5]  # the engine's pixels: cell i lies at i + 1/2
