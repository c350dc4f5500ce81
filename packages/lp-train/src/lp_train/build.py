"""From a configuration to the objects of a run."""

import dataclasses
from pathlib import Path

import torch
from lp_core import ConfigError, Size, TrainingPoses, UnknownNameError, losses
from lp_core.tensors import Loss
from lp_losses import LossFactory, Renamed

from lp_train._hydra import load
from lp_train.config import TrainConfig
from lp_train.data import RunData
from lp_train.foreign import is_foreign_run, load_foreign
from lp_train.network import PoseNet
from lp_train.optimization import Schedule
from lp_train.rundir import RunDir
from lp_train.tracker import Tracker
from lp_train.unsupervised import Anneal, Unsupervised

FROZEN_SHARE = 1 / 15  # of the epochs, for pretrained backbones: the reference's 20 of 300


def build_network(config: TrainConfig, keypoint_names: tuple[str, ...]) -> PoseNet:
    """Backbone and head for `config.data.image_size`, initialised from `config.training.seed`."""
    torch.manual_seed(config.training.seed)
    size = image_size(config)
    backbone = config.backbone.build(size)
    head = config.head.build(
        channels=backbone.channels, stride=backbone.stride, num_keypoints=len(keypoint_names), image_size=size
    )
    return PoseNet(
        backbone, head, keypoint_names=keypoint_names, image_size=size, model_type=config.head.model_type
    ).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def image_size(config: TrainConfig) -> Size:
    """(height, width) of the network's input."""
    if config.data.image_size is None:
        raise ConfigError("data.image_size is not set; give data.image_size=[H,W] or let lpose train propose it.")
    height, width = config.data.image_size
    return height, width


def build_losses(config: TrainConfig, poses: TrainingPoses) -> tuple[LossFactory, dict[str, Loss]]:
    """The supervised losses, the head's own first, and the unsupervised ones of `config.losses`.

    Raises:
        ConfigError: a loss cannot be learned from these labels.
    """
    own = config.head.supervised_loss
    configs = {own: config.losses.get(own) or losses.make(own), **config.losses}
    built = {name: loss.build(poses) for name, loss in configs.items()}
    supervised = {name: loss for name, loss in built.items() if "unlabeled" not in loss.streams}
    for output in config.head.supervised_outputs:
        name = f"{own}_{output.removesuffix('_pred').removeprefix('heatmaps_')}"
        supervised[name] = Renamed(built[own], name, {"heatmaps_pred": output})
    return LossFactory(supervised), {name: loss for name, loss in built.items() if name not in supervised}


def is_pretrained(config: TrainConfig) -> bool:
    """Whether the backbone starts from trained weights."""
    options = {f.name: getattr(config.backbone, f.name) for f in dataclasses.fields(config.backbone)}
    return bool(options.get("weights") or options.get("pretrained", False))


def build_schedule(config: TrainConfig) -> Schedule:
    """The learning-rate schedule, with the unfreezing epoch that fits the weights if none is given."""
    epoch = config.training.unfreezing_epoch
    pretrained = is_pretrained(config)
    if epoch is None:
        epoch = round(FROZEN_SHARE * config.training.max_epochs) if pretrained else 0
    return Schedule(config.training, epoch, pretrained)


def build_tracker(config: TrainConfig, data: RunData) -> Tracker:
    """Everything that is trained.

    Raises:
        ConfigError: a loss asks for what the head or the labels cannot give.
    """
    names = data.labels.keypoint_names
    net = build_network(config, names)
    supervised, others = build_losses(config, data.poses)
    anneal = Anneal.of(config.training.anneal, config.training.max_epochs)
    tracker = Tracker(
        net,
        supervised,
        Unsupervised(net, others, anneal, teacher_decay=config.training.teacher_decay, cameras=data.dataset.cameras),
        config.augmentation.build(keypoint_names=names),
        schedule=build_schedule(config),
        seed=config.training.seed,
    )
    tracker.check()
    return tracker


def load_model(run: Path | str, checkpoint: Path | None = None) -> PoseNet:
    """The trained network of a run, in evaluation mode on the CPU. Needs neither the training data nor a download.

    Runs of Lightning Pose and models of DeepLabCut are runs too (`lp_train.foreign`).

    Args:
        run: directory of the run.
        checkpoint: another than the best one.

    Raises:
        ConfigError: not a run, nothing trained yet, or made with parts that are not installed.
    """
    if is_foreign_run(run):
        return load_foreign(run, checkpoint)
    files = RunDir(Path(run))
    config = load(files.config)
    if hasattr(config.backbone, "pretrained"):  # the checkpoint has every weight: fetch none
        config.backbone = dataclasses.replace(config.backbone, pretrained=False, weights=None)
    path = checkpoint or files.best()
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        net = build_network(config, tuple(state["keypoint_names"]))
        weights = {k.removeprefix("net."): v for k, v in state["state_dict"].items() if k.startswith("net.")}
        net.load_state_dict(weights)
    except (KeyError, RuntimeError) as e:
        if isinstance(e, UnknownNameError):
            raise
        raise ConfigError(f"{path} does not fit {files.config}: {str(e).splitlines()[0]}") from e
    return net.eval()
