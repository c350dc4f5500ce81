"""An existing Lightning Pose YAML as overrides of ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lp_core import ConfigError, backbones

DIRECT = {
    "data.data_dir": "data.root",
    "data.csv_file": "data.labels",
    "data.video_dir": "data.videos",
    "training.imgaug": "augmentation",
    "training.train_batch_size": "training.batch_size",
    "training.train_prob": "data.split.train",
    "training.val_prob": "data.split.val",
    "training.train_frames": "data.split.train_frames",
    "training.unfreezing_epoch": "training.unfreezing_epoch",
    "training.max_epochs": "training.max_epochs",
    "training.check_val_every_n_epoch": "training.check_val_every_n_epoch",
    "training.ckpt_every_n_epochs": "training.checkpoint_every_n_epochs",
    "training.early_stopping": "training.early_stopping",
    "training.early_stop_patience": "training.patience",
    "training.rng_seed_data_pt": "data.split.seed",
    "training.rng_seed_model_pt": "training.seed",
    "training.optimizer_params.learning_rate": "training.learning_rate",
    "training.lr_scheduler_params.multisteplr.gamma": "training.gamma",
    "training.imgaug_hflip": "augmentation.hflip.p",
    "data.downsample_factor": "head.downsample_factor",
    "model.heatmap_loss_type": "head.loss",
    "model.backbone_pretrained": "backbone.pretrained",
    "data.mirrored_column_matches": "data.mirrored_column_matches",
    "data.columns_for_singleview_pca": "data.columns_for_singleview_pca",
    "callbacks.anneal_weight.freeze_until_epoch": "training.anneal.freeze_until_epoch",
    "callbacks.anneal_weight.increase_factor": "training.anneal.increase_factor",
    "callbacks.anneal_weight.final_val": "training.anneal.final_val",
    "eval.predict_vids_after_training": "evaluation.predict_videos",
}
UNNEEDED = (  # ours does without these, or takes them from the data
    "data.num_keypoints", "data.keypoint_names", "training.val_batch_size", "training.test_batch_size",
    "training.num_workers", "training.num_gpus", "training.log_every_n_steps", "training.lr_scheduler", "training.min_epochs",
    "training.uniform_heatmaps_for_nan_keypoints", "model.model_name", "model.lightning_pose_version", "dali", "hydra",
    "callbacks.anneal_weight",
    "eval.test_videos_directory", "eval.hydra_paths", "eval.colormap", "eval.confidence_thresh_for_vid", "creation_datetime",
)  # fmt: skip
HEADS = {"heatmap": "heatmap", "regression": "regression", "heatmap_mhcrnn": "heatmap_mhcrnn"}
CLIP_LENGTH = {"heatmap_mhcrnn": "dali.context.train.batch_size"}  # of other models: dali.base.train.sequence_length


@dataclass(frozen=True, slots=True)
class Translation:
    """`overrides` for `compose`, and the keys of the file that have no counterpart here."""

    overrides: list[str]
    unknown: list[str]


def translate(path: Path) -> Translation:
    """Read a Lightning Pose configuration file.

    Raises:
        ConfigError: unreadable, or a model this software does not have.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as e:
        raise ConfigError(f"{path} cannot be read as a Lightning Pose configuration: {str(e).splitlines()[0]}.") from e
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} is not a Lightning Pose configuration: it holds no keys.")
    flat = {k: v for k, v in _flatten(values) if v is not None}
    special = [*_size(flat), *_model(flat, path), *_milestones(flat), *_optimizer(flat), *_cameras(flat)]
    direct = [f"{ours}={_text(ours, flat.pop(theirs))}" for theirs, ours in DIRECT.items() if theirs in flat]
    flat.pop("training.train_batch_size", None)
    unknown = [k for k in flat if not any(k == u or k.startswith(f"{u}.") for u in UNNEEDED)]
    return Translation([*special, *direct], unknown)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs = []
    for key, value in values.items():
        pairs += _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return pairs


def _text(key: str, value: Any) -> str:
    if key == "augmentation.hflip.p":
        return "0.5" if value else "0"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return str(value).replace(" ", "")
    return f"'{value}'" if isinstance(value, str) and ("/" in value or "\\" in value or " " in value) else str(value)


def _size(flat: dict[str, Any]) -> list[str]:
    height, width = (flat.pop(f"data.image_resize_dims.{side}", None) for side in ("height", "width"))
    return [f"data.image_size=[{height},{width}]"] if height and width else []


def _model(flat: dict[str, Any], path: Path) -> list[str]:
    head = flat.pop("model.model_type", "heatmap")
    if head not in HEADS:
        raise ConfigError(f"{path}: model.model_type={head} is not available yet; use {', '.join(HEADS)}.")
    network = str(flat.pop("model.backbone", "resnet50"))
    names = [name for name in backbones if network == name] or [
        name for name in backbones if network.startswith(f"{name}_")
    ]
    if not names:
        raise ConfigError(f"{path}: model.backbone={network} is not available; installed: {', '.join(backbones)}.")
    if names[0] != network:
        flat[f"model.backbone ({network}: its pose weights are not loaded, give backbone.weights=FILE)"] = network
    wanted = flat.pop("model.losses_to_use", [])
    losses = [f"losses=[{','.join(wanted)}]"] if wanted else []
    length = flat.pop(CLIP_LENGTH.get(head, "dali.base.train.sequence_length"), None)
    clips = [f"clips.sequence_length={length}"] if length and wanted else []
    return [f"head={HEADS[head]}", f"backbone={names[0]}", *losses, *clips, *_loss_options(flat, wanted)]


def _loss_options(flat: dict[str, Any], wanted: list[str]) -> list[str]:
    options = []
    for key in [k for k in flat if k.startswith("losses.")]:
        value = flat.pop(key)
        if key.split(".")[1] in wanted:
            options.append(f"{key}={str(value).replace(' ', '')}")
    return options


def _cameras(flat: dict[str, Any]) -> list[str]:
    """Label files and names of several cameras; which of their keypoints match is all of them."""
    files, names = flat.get("data.csv_file"), flat.pop("data.view_names", None)
    if not isinstance(files, list):
        return []
    flat.pop("data.csv_file")
    return [f"data.view_labels={_text('', files)}", f"data.view_names={_text('', names)}"]


def _milestones(flat: dict[str, Any]) -> list[str]:
    epochs = flat.pop("training.lr_scheduler_params.multisteplr.milestones", None)
    total = flat.get("training.max_epochs", 300)
    return [f"training.milestones=[{','.join(str(e / total) for e in epochs)}]"] if epochs else []


def _optimizer(flat: dict[str, Any]) -> list[str]:
    name = flat.pop("training.optimizer", None)
    return [f"training.optimizer={name.lower()}"] if name else []
