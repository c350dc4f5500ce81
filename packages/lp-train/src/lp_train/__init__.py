"""The Tracker, fitting, evaluation, and the Hydra edge. Names are loaded when they are used: importing this is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lp_train._hydra import compose, load
    from lp_train.build import build_network, build_tracker, load_model
    from lp_train.config import DataConfig, EvaluationConfig, SplitConfig, TrainConfig, TrainingConfig
    from lp_train.data import dataset_of
    from lp_train.evaluation import (
        Evaluation,
        evaluate,
        load_calibration,
        predict_labels,
        results_table,
        write_video_metrics,
    )
    from lp_train.fit import train
    from lp_train.foreign import is_foreign_run, load_foreign
    from lp_train.lp_config import translate
    from lp_train.models import available_detectors, available_models
    from lp_train.network import PoseNet
    from lp_train.rundir import RunDir
    from lp_train.subspaces import describe_subspaces
    from lp_train.tracker import Tracker

_HOME = {
    "compose": "_hydra", "load": "_hydra", "build_network": "build", "build_tracker": "build", "load_model": "build",
    "DataConfig": "config", "EvaluationConfig": "config", "SplitConfig": "config", "TrainConfig": "config",
    "TrainingConfig": "config", "Evaluation": "evaluation", "evaluate": "evaluation", "results_table": "evaluation",
    "write_video_metrics": "evaluation", "load_calibration": "evaluation", "describe_subspaces": "subspaces",
    "predict_labels": "evaluation", "dataset_of": "data",
    "available_detectors": "models", "available_models": "models", "is_foreign_run": "foreign", "load_foreign": "foreign",
    "train": "fit", "translate": "lp_config", "PoseNet": "network", "RunDir": "rundir", "Tracker": "tracker",
}  # fmt: skip

__all__ = [
    "DataConfig",
    "Evaluation",
    "EvaluationConfig",
    "PoseNet",
    "RunDir",
    "SplitConfig",
    "Tracker",
    "TrainConfig",
    "TrainingConfig",
    "available_detectors",
    "available_models",
    "build_network",
    "build_tracker",
    "compose",
    "dataset_of",
    "describe_subspaces",
    "evaluate",
    "is_foreign_run",
    "load",
    "load_calibration",
    "load_foreign",
    "load_model",
    "predict_labels",
    "results_table",
    "train",
    "translate",
    "write_video_metrics",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
