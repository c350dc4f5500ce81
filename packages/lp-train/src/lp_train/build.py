"""From a configuration to the objects of a run."""

import dataclasses
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import torch
from lp_backbones.conditional import ConditionalConfig
from lp_core import (
    AnimalHeadConfig,
    Animals,
    ConfigError,
    HeadConfig,
    LossConfig,
    Size,
    TrainingPoses,
    UnknownNameError,
    losses,
)
from lp_core.tensors import Loss
from lp_detectors.conditional import ConditionalNet
from lp_detectors.conditions import ConditionOptions
from lp_detectors.top_down import TopDownNet, TopDownOptions
from lp_losses import LossFactory, Renamed

from lp_train._hydra import load
from lp_train.animals import with_skeleton
from lp_train.config import TrainConfig
from lp_train.crops import CropRule
from lp_train.data import RunData
from lp_train.foreign import is_foreign_run, load_foreign
from lp_train.network import PoseNet
from lp_train.optimization import Schedule
from lp_train.poses import poses_of_crops
from lp_train.rundir import RunDir
from lp_train.tracker import Tracker
from lp_train.unsupervised import Anneal, Unsupervised

P = TypeVar("P")
FROZEN_SHARE = 1 / 15  # of the epochs, for pretrained backbones: the reference's 20 of 300


def build_network(
    config: TrainConfig, keypoint_names: tuple[str, ...], animals: Animals | None = None
) -> PoseNet | TopDownNet:
    """The network of `config`, initialised from `config.training.seed`: backbone and head for `config.data.image_size`,
    or, where there are several animals and the head is for one, a detector and backbone and head for the crops.

    Args:
        animals: how the keypoints are divided, where there are several animals.
    """
    torch.manual_seed(config.training.seed)
    if is_top_down(config, animals):
        return _top_down(config, animals)
    if is_conditional(config):
        raise ConfigError(
            "This backbone is told the pose of one of several animals: it needs labels of several, and a head for one; "
            "choose another backbone or head."
        )
    net = _pose_network(config, keypoint_names, image_size(config), animals)
    net.animals = animals  # with its skeleton
    return net


def is_top_down(config: TrainConfig, animals: Animals | None) -> TypeGuard[Animals]:
    """Whether there are several animals, and the head is for one."""
    return animals is not None and not isinstance(config.head, AnimalHeadConfig)


def is_conditional(config: TrainConfig) -> bool:
    """Whether the backbone is told proposed poses."""
    return isinstance(config.backbone, ConditionalConfig)


def _top_down(config: TrainConfig, animals: Animals) -> TopDownNet:
    height, width = config.data.crop_size
    pose = _pose_network(config, animals.parts, (height, width))
    options = TopDownOptions(context=config.data.crop_context)
    if is_conditional(config):
        return ConditionalNet(pose, animals=animals, image_size=image_size(config), options=options)
    boxes = round(config.data.boxes_per_animal * len(animals.individuals))
    detector = config.detector.build(image_size=image_size(config), animals=boxes)
    return TopDownNet(detector, pose, animals=animals, image_size=image_size(config), options=options)


def _pose_network(
    config: TrainConfig, keypoint_names: tuple[str, ...], size: Size, animals: Animals | None = None
) -> PoseNet:
    choice = config.backbone
    if isinstance(choice, ConditionalConfig) and choice.keypoints is None:
        choice = dataclasses.replace(choice, keypoints=len(keypoint_names))
    backbone = choice.build(size)
    place = {"channels": backbone.channels, "stride": backbone.stride, "image_size": size}
    if animals and isinstance(config.head, AnimalHeadConfig):
        head = config.head.build_animals(**place, animals=animals)
    else:
        head = config.head.build(**place, num_keypoints=len(keypoint_names))
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
    configs = {own: config.losses.get(own) or _own_loss(config.head), **config.losses}
    kinds = {
        key: getattr(part, "criterion", None) for key, part in (("head", config.head), (f"losses.{own}", configs[own]))
    }
    if len(set(kinds.values())) > 1:
        raise ConfigError(f"{' but '.join(f'{k}.criterion={v}' for k, v in kinds.items())}; they must be the same.")
    built = {name: loss.build(poses) for name, loss in configs.items()}
    supervised = {name: loss for name, loss in built.items() if "unlabeled" not in loss.streams}
    for output in config.head.supervised_outputs:
        name = f"{own}_{output.removesuffix('_pred').removeprefix('heatmaps_')}"
        supervised[name] = Renamed(built[own], name, {"heatmaps_pred": output})
    return LossFactory(supervised), {name: loss for name, loss in built.items() if name not in supervised}


def _own_loss(head: HeadConfig) -> LossConfig:
    """What trains the head on labels, with the head's criterion if it has a choice of them."""
    chosen = {"criterion": head.criterion} if hasattr(head, "criterion") else {}
    return losses.make(head.supervised_loss, **chosen)


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
    animals, crops = data.labels.animals, None
    if animals and (settle := getattr(config.head, "settle", None)):
        settle(data.labels.keypoints[data.split.train], animals)  # what a head leaves to the labels
    net = build_network(config, names, animals)
    if isinstance(net, TopDownNet):
        errors = _condition_errors(config) if isinstance(net, ConditionalNet) else None
        sizes = (net.image_size, net.crop_size)
        crops = CropRule(net.animals, *sizes, config.training.batch_size, errors, net.options.context)
    pose = net.pose if isinstance(net, TopDownNet) else net
    supervised, others = build_losses(config, poses_of_crops(data.poses) if crops else data.poses)
    scale = getattr(supervised.losses[config.head.supervised_loss], "scale", 1.0)
    anneal = Anneal.of(config.training.anneal, config.training.max_epochs, scale)
    tracker = Tracker(
        net,
        supervised,
        Unsupervised(pose, others, anneal, teacher_decay=config.training.teacher_decay, cameras=data.dataset.cameras),
        config.augmentation.build(keypoint_names=names),
        schedule=build_schedule(config),
        seed=config.training.seed,
        crops=crops,
    )
    tracker.check()
    if crops and crops.errors and tracker.unsupervised.uses_video:
        raise ConfigError(
            f"losses=[{','.join(others)}] learn from video, where nobody proposes poses yet to a backbone that is told them; "
            "leave them out."
        )
    return tracker


def _condition_errors(config: TrainConfig) -> ConditionOptions:
    return ConditionOptions(**dataclasses.asdict(config.condition_errors))


def load_model(
    run: Path | str, checkpoint: Path | None = None, conditions: Path | str | None = None
) -> PoseNet | TopDownNet:
    """The trained network of a run, in evaluation mode on the CPU. Needs neither the training data nor a download.

    Runs of Lightning Pose and models of DeepLabCut are runs too (`lp_train.foreign`).

    Args:
        run: directory of the run.
        checkpoint: another than the best one.
        conditions: of a conditional network, the run that proposes poses; the one it was trained with if not given.

    Raises:
        ConfigError: not a run, nothing trained yet, or made with parts that are not installed.
    """
    if is_foreign_run(run):
        return load_foreign(run, checkpoint)
    files = RunDir(Path(run))
    config = load(files.config)
    config.backbone, config.detector = _bare(config.backbone), _bare(config.detector)
    path = checkpoint or files.best()
    state = _saved(path)
    try:
        names = tuple(state["keypoint_names"])
        net = build_network(config, names, with_skeleton(Animals.of(names), state.get("skeleton", [])))
        weights = {k.removeprefix("net."): v for k, v in state["state_dict"].items() if k.startswith("net.")}
        net.load_state_dict(weights)
    except (KeyError, RuntimeError) as e:
        if isinstance(e, UnknownNameError):
            raise
        raise ConfigError(f"{path} does not fit {files.config}: {str(e).splitlines()[0]}") from e
    _proposing(net, conditions, files)
    return net.eval()


def _saved(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"checkpoint={path} does not exist; leave it out for the best one of the run.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # torch raises anything on a damaged file
        raise ConfigError(
            f"{path} cannot be read as a checkpoint ({type(e).__name__}); give another, checkpoint=FILE."
        ) from e


def _bare(part: P) -> P:
    """Without the weights that it started from: the checkpoint has every weight."""
    changes = {"pretrained": False, "weights": None}
    return dataclasses.replace(part, **changes) if hasattr(part, "pretrained") else part  # pyright: ignore[reportArgumentType, reportCallIssue]


def _proposing(net: PoseNet | TopDownNet, conditions: Path | str | None, files: RunDir) -> None:
    """Give a conditional network the one that proposes poses, if there is any."""
    if not isinstance(net, ConditionalNet):
        if conditions:
            raise ConfigError(f"conditions={conditions}: {files.root} finds animals by itself; leave it out.")
    elif conditions or files.conditions.exists():
        net.use(load_model(conditions or files.conditions))
