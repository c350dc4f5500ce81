"""Predict labeled frames, and measure how far off they are."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from lp_core import ConfigError, LabelSet, Metric, PoseTable
from lp_core.tensors import PoseModel
from lp_data import LabeledDataset
from lp_io import atomic_path, ood_label_files, read_labels, read_predictions, write_metric, write_predictions
from lp_io.files import is_due

from lp_train._hydra import load
from lp_train.animal_scores import AnimalScores, scores_by_split
from lp_train.animals import match_animals
from lp_train.build import load_model
from lp_train.calibration import FEWEST_LABELS, Calibration, ReliabilityRow, coverage, fit_sigma, reliability
from lp_train.cameras import joined_poses, separated
from lp_train.config import EvaluationConfig, TrainConfig
from lp_train.data import RunData, dataset_of, load_data
from lp_train.device import pick_accelerator
from lp_train.dlc_scores import DeepLabCutScores, dlc_by_split
from lp_train.found import Found, find
from lp_train.metrics import ErrorSummary, pck, pixel_error
from lp_train.pose_metrics import build_metrics
from lp_train.poses import load_poses
from lp_train.proposals import given_for_labels, is_table
from lp_train.rundir import RunDir

LEVELS = (0.5, 0.68, 0.9, 0.95)  # of the calibrated radii whose coverage is reported


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Errors of one label file.

    Attributes:
        splits: one summary per part of the split.
        keypoints: one per keypoint, over frames that were not trained on, as are the next two.
        confident: one per confidence threshold.
        pck: percentage of correct keypoints per threshold.
        reliability, coverage: of the calibrated sigmas, on frames that neither trained nor calibrated; empty if there
            are too few labels to calibrate.
        animals: where there are several, how well they were found, per part of the split.
        deeplabcut: what DeepLabCut would report, per part of the split, if `evaluation.dlc_compat` asks for it.
    """

    name: str
    splits: dict[str, ErrorSummary]
    keypoints: dict[str, ErrorSummary]
    confident: dict[float, ErrorSummary]
    pck: dict[float, float]
    reliability: list[ReliabilityRow] = field(default_factory=list)
    coverage: dict[float, float] = field(default_factory=dict)
    animals: dict[str, AnimalScores] = field(default_factory=dict)
    deeplabcut: dict[str, DeepLabCutScores] = field(default_factory=dict)


def predict_labels(
    model: PoseModel, dataset: LabeledDataset, labels: LabelSet, split: tuple[str, ...] | None
) -> PoseTable:
    """Keypoints of every labeled frame in original pixels; of several animals, each in the place of the labeled one."""
    return _table(model, find(model, dataset, labels), labels, split)


def _table(model: PoseModel, found: Found, labels: LabelSet, split: tuple[str, ...] | None) -> PoseTable:
    keypoints, confidence = found.keypoints, found.confidence
    if labels.animals:
        keypoints, confidence = match_animals(keypoints, confidence, labels.keypoints, labels.animals)
    return PoseTable(
        keypoint_names=labels.keypoint_names,
        index=labels.images,
        keypoints=keypoints,
        confidence=confidence,
        split=split,
        scorer=f"{model.model_type}_tracker",
        animals=labels.animals,
    )


def measure(
    name: str, table: PoseTable, labels: LabelSet, options: EvaluationConfig, calibration: Calibration | None
) -> Evaluation:
    """The numbers of one label file that are the same for one animal and several; per keypoint, confidence and PCK are over
    frames that were not trained on.
    """
    error = pixel_error(table.keypoints, labels.keypoints)
    split = np.array(table.split or ["new"] * len(labels))
    held_out = ~np.isin(split, ["train", "unused"]) if table.split else np.ones(len(split), dtype=bool)
    fresh = ~np.isin(split, ["train", "unused", "validation"])
    sigma = calibration.sigma(table.confidence[fresh]) if calibration and fresh.any() else None
    return Evaluation(
        name,
        {
            s: ErrorSummary.of(error[split == s])
            for s in dict.fromkeys(["train", "validation", "test", *split])
            if (split == s).any()
        },
        {n: ErrorSummary.of(error[held_out, k]) for k, n in enumerate(labels.keypoint_names)},
        {t: ErrorSummary.of(error[held_out][table.confidence[held_out] >= t]) for t in options.confidence_thresholds},
        {t: pck(error[held_out], labels.keypoints[held_out], t) for t in options.pck_thresholds},
        [] if sigma is None else reliability(error[fresh], sigma),
        {} if sigma is None else coverage(error[fresh], sigma, LEVELS),
    )


def _with_scores(
    result: Evaluation, found: Found, labels: LabelSet, config: TrainConfig, split: tuple[str, ...] | None
) -> Evaluation:
    """`result` with what needs the poses as the network gave them."""
    parts, options = np.array(split or ["new"] * len(labels)), config.evaluation
    identity = bool(getattr(config.head, "identity", False))
    deeplabcut = dlc_by_split(found, labels, parts, options.dlc_pcutoff) if options.dlc_compat else {}
    return dataclasses.replace(
        result, animals=scores_by_split(found, labels, parts, identity=identity), deeplabcut=deeplabcut
    )


def write_results(run: RunDir, source: Path, table: PoseTable, labels: LabelSet, suffix: str) -> None:
    """Predictions and every metric where the reference writes them: in `image_preds/<file>/`, and a copy at the top."""
    cameras = load(run.config).data.view_names or []
    folder = run.root / "image_preds" / source.name
    folder.mkdir(parents=True, exist_ok=True)
    count = max(len(cameras), 1)
    poses = [joined_poses(keypoints, count) for keypoints in (table.keypoints, labels.keypoints)]
    metrics = [m for m in build_metrics(load_poses(run.poses)) if not m.temporal]
    values = {m.name: separated(m(*poses), count) for m in metrics}
    for number, part in enumerate(_per_camera(table, count)):
        of = f"_{cameras[number]}" if cameras else ""
        write_predictions(folder / f"predictions{of}.csv", part)
        write_predictions(run.root / f"predictions{of}{suffix}.csv", part)
        for name, tables in values.items():
            for path in (folder / f"predictions{of}_{name}.csv", run.root / f"predictions{of}_{name}{suffix}.csv"):
                write_metric(path, part.keypoint_names, tables[number], part.index, part.split)


def _per_camera(table: PoseTable, cameras: int) -> list[PoseTable]:
    rows = len(table.index) // cameras
    return [
        dataclasses.replace(
            table,
            index=table.index[v * rows : (v + 1) * rows],
            keypoints=table.keypoints[v * rows : (v + 1) * rows],
            confidence=table.confidence[v * rows : (v + 1) * rows],
            split=table.split[v * rows : (v + 1) * rows] if table.split else None,
        )
        for v in range(cameras)
    ]


def _beside(predictions: Path, metric: Metric) -> Path:
    return predictions.with_name(f"{predictions.stem}_{metric.name}.csv")


def write_video_metrics(run: Path | str, predictions: Path) -> list[Path]:
    """`<video>_temporal_norm.csv`, `<video>_pca_singleview_error.csv` and so on beside the predictions of a video.

    Files that are newer than the predictions are left as they are.

    Returns:
        the files written: those of every installed metric that needs no labels and applies to these keypoints.
    """
    poses = load_poses(RunDir(Path(run)).poses)
    metrics = {
        path: metric
        for metric in build_metrics(poses)
        if not metric.needs_labels and is_due(path := _beside(predictions, metric), predictions)
    }
    if not metrics:
        return []
    table = read_predictions(predictions)
    one_of_several = len(poses.keypoint_names) != len(table.keypoint_names)  # cameras: no pose is whole in one video
    written = []
    for path, metric in metrics.items():
        if metric.temporal or not one_of_several:
            write_metric(path, table.keypoint_names, metric(table.keypoints), table.index)
            written.append(path)
    return written


def evaluate(
    run: Path | str,
    checkpoint: Path | None = None,
    *,
    data: RunData | None = None,
    conditions: Path | str | None = None,
    dlc_compat: bool = False,
    say: Callable[[str], object] = print,
) -> list[Evaluation]:
    """Measure a trained run on its labels and on those that are for testing alone (`lp_io.ood_label_files`).

    Writes `predictions*.csv`, `predictions_<metric>*.csv` and `evaluation.json` into the run.

    Args:
        conditions: of a conditional network, another run to propose poses than the one it was trained with, or a table of
            them for the labeled frames; files for testing alone are then left out.
        dlc_compat: as `evaluation.dlc_compat`, whatever the run's configuration says.
    """
    files = RunDir(Path(run))
    config = load(files.config)
    config.evaluation.dlc_compat |= dlc_compat
    data = data or load_data(config, lambda _: None)  # training has said it
    told = is_table(conditions)
    model: Any = load_model(run, checkpoint, None if told else conditions)
    _same_keypoints(model, data.labels)
    model = given_for_labels(model, Path(conditions), data.labels) if told else model
    model = model.to(pick_accelerator(config.training.accelerator))
    found, split = find(model, data.dataset, data.labels), data.split_names()
    table = _table(model, found, data.labels, split)
    write_results(files, data.labels.source, table, data.labels, "")
    calibration = _calibrate(files, table, data.labels)
    name = "+".join(config.data.view_names or ()) or data.labels.source.stem
    result = measure(name, table, data.labels, config.evaluation, calibration)
    results = [_with_scores(result, found, data.labels, config, split)]
    for path in [] if config.data.view_names or told else ood_label_files(data.labels):
        results.append(_evaluate_new(files, config, model, data.labels, path, calibration))
    with atomic_path(files.root / "evaluation.json") as temporary:
        Path(temporary).write_text(json.dumps([dataclasses.asdict(r) for r in results], indent=1))
    say(results_table(results))
    return results


def _calibrate(files: RunDir, table: PoseTable, labels: LabelSet) -> Calibration | None:
    """Sigma in pixels as a function of confidence, from the validation frames; kept in the run."""
    chosen = np.array(table.split) == "validation"
    error = pixel_error(table.keypoints[chosen], labels.keypoints[chosen])
    calibration = fit_sigma(error, table.confidence[chosen])
    if calibration:
        with atomic_path(files.calibration) as temporary:
            Path(temporary).write_text(json.dumps(calibration.to_dict(), indent=1))
    return calibration


def load_calibration(run: Path | str) -> Calibration:
    """What `evaluate` fitted.

    Raises:
        ConfigError: the run was not evaluated, or has too few validation labels.
    """
    path = RunDir(Path(run)).calibration
    if not path.exists():
        raise ConfigError(
            f"{path} does not exist; run lpose evaluate run={run} (it needs at least {FEWEST_LABELS} labeled keypoints "
            "in the validation frames)."
        )
    return Calibration.from_dict(json.loads(path.read_text()))


def _evaluate_new(
    files: RunDir, config: TrainConfig, model: PoseModel, known: LabelSet, path: Path, calibration: Calibration | None
) -> Evaluation:
    labels = read_labels(known.root, config.data.format, path.relative_to(known.root).as_posix())
    _same_keypoints(model, labels)
    dataset = dataset_of(config, labels)
    found = find(model, dataset, labels)
    table = _table(model, found, labels, None)
    write_results(files, path, table, labels, f"_{path.stem.removeprefix(known.source.stem).removeprefix('_')}")
    result = measure(path.stem, table, labels, config.evaluation, calibration)
    return _with_scores(result, found, labels, config, None)


def _same_keypoints(model: PoseModel, labels: LabelSet) -> None:
    if model.keypoint_names != labels.keypoint_names:
        raise ConfigError(
            f"{labels.source} has the keypoints {', '.join(labels.keypoint_names)}, "
            f"but the model was trained on {', '.join(model.keypoint_names)}; evaluate it on the labels it was trained for."
        )


def results_table(results: list[Evaluation]) -> str:
    """The pixel errors as a table for the terminal."""
    lines = [f"{'pixel error':<34}{'labels':>8}{'mean':>9}{'median':>9}{'90%':>9}"]
    for result in results:
        rows = [
            (f"{result.name} · {split}" if split != "new" else result.name, s) for split, s in result.splits.items()
        ]
        for name, s in rows:
            lines.append(f"{name:<34}{s.count:>8}{s.mean:>9.2f}{s.percentiles[50]:>9.2f}{s.percentiles[90]:>9.2f}")
        for scores in (result.animals, result.deeplabcut):
            lines += [f"{result.name}{f' · {s}' if s != 'new' else ''}: {value}" for s, value in scores.items()]
        lines += [f"{result.name} · PCK@{t:g}: {v:.1f}%" for t, v in result.pck.items()]
        if result.coverage:
            shares = ", ".join(f"{p:.0%}: {100 * share:.0f}%" for p, share in result.coverage.items())
            lines.append(f"{result.name} · errors within the calibrated radius of level {shares}")
    return "\n".join(lines)
