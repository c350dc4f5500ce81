"""What TensorBoard shows: scalars in groups that people look for, and hyper-parameters beside what came of them."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams, scalar
from torch.utils.tensorboard.writer import FileWriter

from lp_train import _hydra
from lp_train.config import TrainConfig
from lp_train.evaluation import Evaluation
from lp_train.rundir import RunDir

STAGE = re.compile(r"(train|val)(_labeled)?_(.+)")
PART = re.compile(r"(.+?)_(loss_weighted|loss|weight)")
KIND = {"loss": "raw", "loss_weighted": "weighted", "weight": "weight"}
TRAINING = (
    "max_epochs", "batch_size", "learning_rate", "optimizer", "weight_decay", "schedule", "unfreezing_epoch",
    "ema_decay", "gradient_clip", "precision", "seed",
)  # fmt: skip
ORDER = {"test": 0, "validation": 1, "train": 2}


def tag(name: str, unsupervised: Collection[str] = ()) -> str:
    """The name of a logged value, as in `metrics.csv` → its name in TensorBoard, `<group>/<what>`.

    Args:
        unsupervised: names of losses that need no labels.
    """
    if name.startswith("lr-"):
        return f"learning_rate/{name.partition('/')[2] or name.removeprefix('lr-')}"
    found = STAGE.fullmatch(name)
    if found is None:
        return f"progress/{name}"
    stage, labeled, rest = found.groups()
    if rest == "pixel_error":
        return f"error/{stage}_pixels"
    part = PART.fullmatch(rest)
    if part is None:
        return f"loss/{stage}{labeled or ''}_{rest}"
    loss, kind = part.groups()
    if loss in unsupervised:
        on = f"{stage}_labeled" if labeled else stage
        return f"unsupervised/{loss}/{on}_{KIND[kind]}"
    if kind == "loss" and loss in ("supervised", "unsupervised", "detection"):
        return f"loss/{stage}_{loss}"
    return f"loss_terms/{loss}/{stage}_{KIND[kind]}"


class GroupedLogger(TensorBoardLogger):
    """Logs values under their `tag`.

    Args:
        run: whose directory they go to.
        unsupervised: names of losses that need no labels.
    """

    def __init__(self, run: RunDir, unsupervised: Collection[str]) -> None:
        super().__init__(run.logs.parents[1], name="model", version=0)
        self._unsupervised = frozenset(unsupervised)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        super().log_metrics({tag(name, self._unsupervised): value for name, value in metrics.items()}, step)


def hyper_parameters(config: TrainConfig) -> dict[str, str | float | int]:
    """What people compare runs by, flat and few; no paths."""
    parts = {name: getattr(config, name) for name in ("backbone", "head", "augmentation")}
    found: dict[str, Any] = {n: _hydra.part_name(_hydra.GROUPS[n], part) for n, part in parts.items()}
    found["pretrained"] = getattr(config.backbone, "pretrained", None)
    found["losses"] = ",".join(config.losses) or "supervised only"
    found |= {f"{name}.log_weight": getattr(loss, "log_weight", None) for name, loss in config.losses.items()}
    found["image_size"] = config.data.image_size and "x".join(map(str, config.data.image_size))
    found |= {"split_seed": config.data.split.seed, "train_share": config.data.split.train}
    found |= {key: getattr(config.training, key) for key in TRAINING}
    plain = {k: str(v).lower() if isinstance(v, bool) else v for k, v in found.items() if v is not None}
    return {k: v if isinstance(v, int | float | str) else str(v) for k, v in plain.items()}


def final_metrics(results: list[Evaluation]) -> dict[str, float]:
    """Mean and median pixel error of every part of the split, test first, and of every other label file; PCK."""
    found: dict[str, float] = {}
    for result in results:
        for split, errors in sorted(result.splits.items(), key=lambda item: ORDER.get(item[0], len(ORDER))):
            where = split if result is results[0] else result.name
            found |= {f"final/{where}_mean_pixels": errors.mean, f"final/{where}_median_pixels": errors.percentiles[50]}
    for threshold, share in results[0].pck.items() if results else ():
        found[f"final/pck_{threshold:g}_percent"] = share
    return {name: float(value) for name, value in found.items() if value == value}


def log_results(run: Path | str, results: list[Evaluation]) -> None:
    """Add what `evaluate` found to the run's TensorBoard files, where the tab HParams shows it beside the options."""
    files = RunDir(Path(run))
    metrics = final_metrics(results)
    writer = FileWriter(str(files.logs), filename_suffix=".results")
    for summary in hparams(hyper_parameters(_hydra.load(files.config)), metrics):
        writer.add_summary(summary)
    for name, value in metrics.items():
        writer.add_summary(scalar(name, value), 0)
    writer.close()
