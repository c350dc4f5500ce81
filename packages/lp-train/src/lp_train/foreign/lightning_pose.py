"""Runs of Lightning Pose: heatmap, regression and context models of one camera."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from lp_core import ConfigError, HeadConfig, Resize, Size
from lp_core.tensors import Head
from lp_heads.compat_lightning_pose import PixelRegressionHead, ReferenceSoftArgmax, reference_context_head
from lp_heads.heatmap import HeatmapConfig
from torch import Tensor

from lp_train.foreign import lightning_pose_names as names
from lp_train.foreign.checkpoint import read_state
from lp_train.foreign.lightning_pose_backbones import build_backbone, fitted
from lp_train.foreign.renaming import joined_qkv, load_into, renamed
from lp_train.network import PoseNet

HEADS = ("heatmap", "regression", "heatmap_mhcrnn")


class LightningPoseNet(PoseNet):
    """A network of Lightning Pose, with its decoder and its pixels.

    Attributes:
        corner_pixels: true: how input pixels become pixels of the original, see `lp_core.Resize`.
    """

    corner_pixels = True

    def resize(self, original: Size) -> Resize:
        """From frames of size `original` to the input, as the reference maps them."""
        return Resize(original, self.image_size, corner=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run's `config.yaml` says about its network."""

    path: Path
    model_type: str
    model_name: str
    backbone: str
    keypoint_names: tuple[str, ...]
    image_size: Size
    downsample_factor: int


def recognises(path: Path) -> bool:
    """Whether `path` is a run directory of Lightning Pose."""
    return isinstance(_values(path / "config.yaml").get("model"), Mapping)


def load(path: Path, checkpoint: Path | None = None) -> LightningPoseNet:
    """See `load_foreign`."""
    settings = read_settings(path / "config.yaml")
    net = build(settings)
    file = checkpoint or best_checkpoint(path, settings.model_name)
    state = fitted(translated(read_state(file, "state_dict"), settings.backbone), net)
    load_into(net, state, file)
    return net.eval()


def build(settings: Settings) -> LightningPoseNet:
    """The network of a run, with random weights."""
    backbone = build_backbone(settings.backbone, settings.image_size, settings.path)
    net = LightningPoseNet(
        backbone,
        _head(settings, backbone.channels, backbone.stride),
        keypoint_names=settings.keypoint_names,
        image_size=settings.image_size,
        model_type=settings.model_type,
    )
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def translated(state: Mapping[str, Tensor], backbone: str) -> dict[str, Tensor]:
    """A checkpoint's tensors under our names."""
    state = renamed(state, names.UNNEEDED)
    state = renamed(renamed(state, names.HEADS), names.RECURRENCES)
    return joined_qkv(renamed(renamed(state, names.backbone_rules(backbone)), names.later_rules(backbone)))


def read_settings(path: Path) -> Settings:
    """The parts of a Lightning Pose `config.yaml` that a network needs.

    Raises:
        ConfigError: a kind of model that does not run here, or a key is missing.
    """
    values = _values(path)
    model, data = values.get("model") or {}, values.get("data") or {}
    kind = model.get("model_type", "heatmap")
    if kind not in HEADS:
        raise ConfigError(f"{path}: model.model_type={kind} does not run here yet; models of {', '.join(HEADS)} do.")
    keypoints, size = data.get("keypoint_names"), data.get("image_resize_dims") or {}
    if not keypoints:
        raise ConfigError(f"{path} has no data.keypoint_names; add the list, in the order of the labels.")
    if not size.get("height") or not size.get("width"):
        raise ConfigError(f"{path} has no data.image_resize_dims; add height and width of the network's input.")
    return Settings(
        path=path,
        model_type=kind,
        model_name=str(model.get("model_name", "")),
        backbone=str(model.get("backbone", "resnet50")),
        keypoint_names=tuple(map(str, keypoints)),
        image_size=(int(size["height"]), int(size["width"])),
        downsample_factor=int(data.get("downsample_factor", 2)),
    )


def best_checkpoint(run: Path, model_name: str) -> Path:
    """The one that Lightning Pose would load: of the newest version the best, else the one with the most steps.

    Raises:
        ConfigError: there is none.
    """
    found = list(run.glob("tb_logs/*/version_*/checkpoints/*.ckpt"))
    if not found:
        raise ConfigError(f"{run} holds no checkpoint (tb_logs/*/version_*/checkpoints/*.ckpt); give checkpoint=FILE.")

    def rank(path: Path) -> tuple[bool, int, bool, int]:
        version, model = path.parents[1].name, path.parents[2].name
        step = _number(r"step=(\d+)", path.stem)
        return model == model_name, _number(r"version_(\d+)", version), "-best" in path.stem, step

    return max(found, key=rank)


def _number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    return int(match.group(1)) if match else -1


def _head(settings: Settings, channels: int, stride: int) -> Head:
    count, factor = len(settings.keypoint_names), settings.downsample_factor
    if settings.model_type == "regression":
        return cast(Head, PixelRegressionHead(channels, count))
    config: HeadConfig = HeatmapConfig(downsample_factor=factor, predictor="lightning_pose")
    single = config.build(channels=channels, stride=stride, num_keypoints=count, image_size=settings.image_size)
    height, width = settings.image_size
    single.predictor = ReferenceSoftArgmax(factor, (height >> factor, width >> factor))
    if settings.model_type == "heatmap":
        return cast(Head, single)
    return cast(Head, reference_context_head(single, channels, count, int(math.log2(stride)) - factor - 1))


def _values(path: Path) -> Mapping[str, Any]:
    """The content of a YAML file that Lightning Pose may have written; empty if it is anything else."""
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return values if isinstance(values, Mapping) and "parts" not in values else {}
