"""The Tracker, fitting, evaluation, and the Hydra edge. Names are loaded when they are used: importing this is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lp_train._hydra import compose, load, read
    from lp_train.build import build_network, build_tracker, load_model
    from lp_train.callbacks import Drawers
    from lp_train.config import DataConfig, EvaluationConfig, SplitConfig, TrainConfig, TrainingConfig
    from lp_train.data import dataset_of
    from lp_train.dynamic_cropping import dynamic
    from lp_train.evaluation import (
        Evaluation,
        evaluate,
        load_calibration,
        predict_labels,
        results_table,
        write_video_metrics,
    )
    from lp_train.explain import as_yaml, explained, schema
    from lp_train.fit import train
    from lp_train.foreign import is_foreign_run, load_foreign
    from lp_train.lp_config import translate
    from lp_train.models import available_detectors, available_models
    from lp_train.network import PoseNet
    from lp_train.proposals import following, given_for_labels, given_for_video, is_waiting
    from lp_train.rundir import RunDir
    from lp_train.subspaces import describe_subspaces
    from lp_train.tensorboard import log_results
    from lp_train.tracker import Tracker

_HOMES = {
    "_hydra": "compose load read",
    "build": "build_network build_tracker load_model",
    "callbacks": "Drawers",
    "config": "DataConfig EvaluationConfig SplitConfig TrainConfig TrainingConfig",
    "data": "dataset_of",
    "dynamic_cropping": "dynamic",
    "evaluation": "Evaluation evaluate load_calibration predict_labels results_table write_video_metrics",
    "explain": "as_yaml explained schema",
    "fit": "train",
    "foreign": "is_foreign_run load_foreign",
    "lp_config": "translate",
    "models": "available_detectors available_models",
    "network": "PoseNet",
    "proposals": "following given_for_labels given_for_video is_waiting",
    "rundir": "RunDir",
    "subspaces": "describe_subspaces",
    "tensorboard": "log_results",
    "tracker": "Tracker",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "DataConfig",
    "Drawers",
    "Evaluation",
    "EvaluationConfig",
    "PoseNet",
    "RunDir",
    "SplitConfig",
    "Tracker",
    "TrainConfig",
    "TrainingConfig",
    "as_yaml",
    "available_detectors",
    "available_models",
    "build_network",
    "build_tracker",
    "compose",
    "dataset_of",
    "describe_subspaces",
    "dynamic",
    "evaluate",
    "explained",
    "following",
    "given_for_labels",
    "given_for_video",
    "is_foreign_run",
    "is_waiting",
    "load",
    "load_calibration",
    "load_foreign",
    "load_model",
    "log_results",
    "predict_labels",
    "read",
    "results_table",
    "schema",
    "train",
    "translate",
    "write_video_metrics",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
