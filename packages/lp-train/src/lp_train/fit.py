"""Train: from a configuration to a run directory, resumable at any moment."""

import dataclasses
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lp_core import ConfigError
from lp_data import BatchLoader
from lp_detectors.conditional import ConditionalNet
from lp_losses.animal_loss import AnimalLoss
from lp_losses.temporal import PairLoss
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger

from lp_train import _hydra
from lp_train.build import build_tracker, is_conditional
from lp_train.callbacks import (
    Drawers,
    ExampleImages,
    KeypointErrors,
    MetricsCSV,
    Plateau,
    Progress,
    ResumeCheckpoint,
    Snapshots,
)
from lp_train.config import TrainConfig
from lp_train.data import RunData, clip_source, load_data, video_files, videos_folder
from lp_train.device import LIGHTNING_PRECISION, describe, keep_freed_memory
from lp_train.poses import save_poses
from lp_train.proposals import check_proposer, keep_copy
from lp_train.provenance import write_provenance
from lp_train.rundir import RunDir
from lp_train.streams import Sampling, StreamLoader
from lp_train.subspaces import describe_subspaces
from lp_train.tensorboard import GroupedLogger
from lp_train.tracker import Tracker

EXAMPLES = 8
MAY_CHANGE = {
    "resume",
    "max_epochs",
    "accelerator",
    "resume_interval_s",
    "keep_last",
    "example_images",
    "pictures_every_n_epochs",
    "wandb",
}


def train(config: TrainConfig, draw: Drawers | None = None, say: Any = print) -> Path:
    """Fit the tracker of `config`; returns the run directory.

    Args:
        draw: draws pictures for TensorBoard, see `ExampleImages`.
        say: gets each sentence about what was chosen.

    Raises:
        ConfigError, DataError: in one sentence, before any training.
    """
    run = RunDir(Path(config.out or time.strftime("outputs/%Y-%m-%d/%H-%M-%S")))
    config.out = str(run.root)
    data = load_data(config, say)
    accelerator, precision, sentence = describe(config.training)
    if accelerator == "cpu":
        keep_freed_memory()
    tracker = build_tracker(config, data)
    _check_conditions(config, tracker, say)
    loader = _train_loader(config, data, tracker, accelerator, say)
    checkpoint = _prepare(run, config)
    cameras = len(config.data.view_names or ()) or 1
    count = f"{len(data.labels) // cameras} labeled {'frames' if cameras == 1 else f'moments of {cameras} cameras'}"
    say(f"{count} ({len(data.split.train)} train), {len(data.labels.keypoint_names)} keypoints, {sentence}")
    write_provenance(run.provenance, data, sentence, tracker.net)
    save_poses(run.poses, data.poses)
    if config.conditions:
        keep_copy(config.conditions, run)
    run.status("TRAINING")
    with _quiet():
        trainer = _trainer(run, config, data, accelerator=accelerator, precision=precision, draw=draw)
        validation = BatchLoader(data.dataset, data.split.val, max(config.training.batch_size, 32))
        trainer.fit(tracker, loader, validation, ckpt_path=checkpoint, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    return run.root


def _check_conditions(config: TrainConfig, tracker: Tracker, say: Callable[[str], object]) -> None:
    """Say where the poses come from that a conditional network is told.

    Raises:
        ConfigError: they are asked for and not needed, or cannot be had.
    """
    if isinstance(tracker.net, ConditionalNet):
        later = "training alone needs none; lpose evaluate and lpose predict will ask for conditions=RUN"
        say(f"poses to start from: labels with errors in training, then {config.conditions or f'none yet ({later})'}")
        if config.conditions:
            check_proposer(tracker.net, config.conditions)
    elif config.conditions:
        raise ConfigError(
            f"conditions={config.conditions} is for backbones that are told poses; choose backbone=cond_prenet or "
            "hrnet_coam, or leave it out."
        )


def _check_alone(config: TrainConfig, data: RunData) -> None:
    """Raise `ConfigError` if a loss compares frames, and clips are of one."""
    for name, loss in config.losses.items():
        built = loss.build(data.poses)
        if isinstance(built.loss if isinstance(built, AnimalLoss) else built, PairLoss):
            length = config.clips.sequence_length
            raise ConfigError(f"losses.{name} compares frames, and clips.sequence_length={length}; give 2 or more.")


def _train_loader(
    config: TrainConfig, data: RunData, tracker: Tracker, accelerator: str, say: Callable[[str], object]
) -> StreamLoader:
    """Labeled batches, and clips of the project's videos if a loss learns from them.

    Raises:
        ConfigError: it does, and there are none.
    """
    options, source = config.training, None
    if tracker.unsupervised.uses_video:
        videos = video_files(config)
        if not videos:
            names = [n for n, loss in config.losses.items() if "unlabeled" in loss.build(data.poses).streams]
            folder = videos_folder(config)
            lacks = "holds none" if folder.is_dir() else "is not a directory"
            raise ConfigError(f"losses.{names[0]} learns from video, but {folder} {lacks}; give data.videos=DIR.")
        if config.clips.sequence_length < 2:
            _check_alone(config, data)
        source = clip_source(config, videos)
        clips = f"{source.clips_per_epoch} clips of {config.clips.sequence_length} frames"
        say(f"{len(videos)} unlabeled video{'s' * (len(videos) > 1)}: {clips}")
        for remark in getattr(source, "remarks", ()):
            say(f"note: {remark}")
    return StreamLoader(
        data.dataset,
        data.split.train,
        Sampling(batch_size=options.batch_size, seed=options.seed, steps=options.steps_per_epoch),
        source=source,
        augmentation=tracker.augmentation if accelerator == "cpu" else None,
    )


def _prepare(run: RunDir, config: TrainConfig) -> Path | None:
    """Create the directory, or check that it may be continued; returns the checkpoint to go on from."""
    if not run.config.exists():
        run.root.mkdir(parents=True, exist_ok=True)
        _hydra.save(config, run.config)
        return None
    if not config.training.resume:
        raise ConfigError(
            f"out={run.root} already holds a run; choose another directory, or go on with training.resume=true."
        )
    for key, old, new in _differences(_hydra.load(run.config), config):
        raise ConfigError(
            f"{key} is {new} but the run in {run.root} was started with {old}; resume with the same configuration."
        )
    _hydra.save(config, run.config)
    return run.last if run.last.exists() else None


def _differences(old: TrainConfig, new: TrainConfig) -> list[tuple[str, Any, Any]]:
    left, right = dataclasses.asdict(old), dataclasses.asdict(new)
    for values in (left, right):
        for name in ("defaults", "out", "evaluation"):
            values.pop(name)
        values["training"] = {k: v for k, v in values["training"].items() if k not in MAY_CHANGE}
    return _leaves_that_differ(left, right)


def _leaves_that_differ(left: Any, right: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        keys = dict.fromkeys([*left, *right])
        return [
            d for k in keys for d in _leaves_that_differ(left.get(k), right.get(k), f"{prefix}.{k}" if prefix else k)
        ]
    return [] if left == right else [(prefix, left, right)]


def _trainer(
    run: RunDir, config: TrainConfig, data: RunData, *, accelerator: str, precision: str, draw: Drawers | None
) -> pl.Trainer:
    options = config.training
    return pl.Trainer(
        accelerator="gpu" if accelerator == "cuda" else accelerator,
        devices=options.devices,
        strategy="ddp_spawn_find_unused_parameters_true" if options.devices > 1 else "auto",  # frozen: no gradient
        sync_batchnorm=options.devices > 1 and accelerator == "cuda",
        precision=LIGHTNING_PRECISION[precision],  # pyright: ignore[reportArgumentType]
        max_epochs=options.max_epochs,
        check_val_every_n_epoch=min(options.check_val_every_n_epoch, options.max_epochs),
        gradient_clip_val=options.gradient_clip or None,
        accumulate_grad_batches=options.accumulate_batches,
        callbacks=_callbacks(run, config, data, draw),
        logger=_loggers(run, config),
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _loggers(run: RunDir, config: TrainConfig) -> list[Any]:
    loggers: list[Any] = [GroupedLogger(run, config.losses)]
    if config.training.wandb:
        try:
            loggers.append(WandbLogger(save_dir=run.root, name=run.root.name))
        except ModuleNotFoundError as e:
            raise ConfigError("training.wandb=true needs Weights & Biases: pip install 'lp-train[wandb]'.") from e
    return loggers


def _callbacks(run: RunDir, config: TrainConfig, data: RunData, draw: Drawers | None) -> list[pl.Callback]:
    options = config.training
    best = ModelCheckpoint(
        run.checkpoints,
        filename="{epoch}-{step}-best",
        monitor="val_supervised_loss",
        save_weights_only=not options.ema_decay,  # the averaged weights are put in by a hook that this would skip
    )
    callbacks: list[pl.Callback] = [
        best,
        MetricsCSV(run.metrics),
        KeypointErrors(),
        Progress(),
        LearningRateMonitor("epoch"),
    ]
    if options.checkpoint_every_n_epochs:
        callbacks.append(Snapshots(run.checkpoints, options.checkpoint_every_n_epochs, options.keep_last))
    if options.schedule == "plateau":
        callbacks.append(Plateau(options.gamma, options.patience))
    if options.early_stopping:
        callbacks.append(EarlyStopping("val_supervised_loss", patience=options.patience))
    if options.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=options.ema_decay))
    if draw and options.example_images and not is_conditional(config):  # nobody proposes poses yet
        batch, every = data.dataset.batch(data.split.val[:EXAMPLES]), options.pictures_every_n_epochs
        callbacks.append(ExampleImages(batch, draw, describe_subspaces(run.root), every))
    return [*callbacks, ResumeCheckpoint(run.last, options.resume_interval_s)]


class _quiet:
    """Lightning's tips and warnings about what we do on purpose stay out of the user's terminal."""

    def __enter__(self) -> None:
        self._filters = warnings.catch_warnings()
        self._filters.__enter__()
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    def __exit__(self, *error: object) -> None:
        self._filters.__exit__(*error)  # pyright: ignore[reportArgumentType]
