"""DeepLabCut's two functions for video without a project, called as there: a script that uses them needs another import.

The networks are runs of ours, or those of DeepLabCut's models that run here.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lp_core import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from lp_infer import Runner
    from lp_io import PoseTable

__all__ = ["PoseRunner", "get_inference_runners", "video_inference"]

OF_THE_RUN = ("transform", "detector_transform", "detector_path")
KNOWN = (
    "batch_size", "device", "max_individuals", "num_bodyparts", "num_unique_bodyparts", "with_identity",
    "detector_batch_size", *OF_THE_RUN,
)  # fmt: skip
DEEP = 6  # folders between a checkpoint and its run, and one more


@dataclass(frozen=True, slots=True)
class PoseRunner:
    """A network and how it is run.

    Attributes:
        individuals: at most so many animals of each frame are given, the best.
    """

    runner: "Runner"
    individuals: int


def get_inference_runners(model_config: Any, snapshot_path: Path | str, **options: Any) -> tuple[PoseRunner, None]:
    """`(pose runner, None)`: a network here finds and poses animals in one pass, so that there is no second runner.

    Args:
        model_config: not looked at; the folder of the snapshot has the configuration.
        snapshot_path: a checkpoint of a run, or its folder; a snapshot of DeepLabCut, or its folder.
        options: batch_size, device; num_bodyparts and num_unique_bodyparts, which must be the network's;
            max_individuals, which may be fewer than it finds. with_identity and detector_batch_size change nothing, since
            rows are individuals if the network knows them, and both networks see the same batches. transform,
            detector_transform and detector_path must be None: the run has them.

    Raises:
        ConfigError: an option that there is not, or does not fit the network.
    """
    for name, value in options.items():
        _check(name, value)
    from lp_infer import PredictOptions, Runner
    from lp_train import load_model

    path = Path(snapshot_path)
    model = load_model(_run_of(path), path if path.is_file() else None)
    animals = getattr(model, "animals", None)
    individuals, parts, unique = (
        (len(animals.individuals), len(animals.parts), len(animals.unique))
        if animals
        else (1, len(model.keypoint_names), 0)
    )
    for name, count in (("num_bodyparts", parts), ("num_unique_bodyparts", unique)):
        if options.get(name) not in (None, count):
            raise ConfigError(f"{name}={options[name]}, but {path} was trained on {count}; leave it out.")
    chosen = PredictOptions(batch_size=options.get("batch_size"), device=str(options.get("device") or "auto"))
    return PoseRunner(Runner.of(model, chosen), min(individuals, options.get("max_individuals") or individuals)), None


def video_inference(
    video: Path | str | None = None,
    pose_runner: PoseRunner | None = None,
    detector_runner: None = None,
    *,
    video_path: Path | str | None = None,
    task: Any = None,
    with_identity: bool = False,
) -> list[dict[str, np.ndarray]]:
    """For each frame `bodyparts` (animals, parts, 3), and `unique_bodyparts` (1, points, 3) if there are any.

    x, y in pixels of the video, and confidence; NaN and 0 where an animal was not found. `lpose predict` does the same with
    a table on disk, which an interrupted prediction goes on with.

    Args:
        video, video_path: either.
        pose_runner: of `get_inference_runners`.
        detector_runner, task, with_identity: change nothing, as the network knows.

    Raises:
        ConfigError: an argument is missing.
    """
    source = video or video_path
    if source is None or not isinstance(pose_runner, PoseRunner):
        raise ConfigError("video_inference needs a video and the pose_runner that get_inference_runners gave.")
    from lp_infer import predict_video
    from lp_io import read_predictions

    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "poses.csv"
        predict_video(pose_runner.runner, source, table)
        return list(_frames(read_predictions(table), pose_runner.individuals))


def _check(name: str, value: Any) -> None:
    """Raise `ConfigError` for an option that there is not, or that would be passed over."""
    if name not in KNOWN:
        raise ConfigError(f"get_inference_runners has no option {name!r}{nearest(name, list(KNOWN))}")
    if name in OF_THE_RUN and value is not None:
        raise ConfigError(f"{name} must be None: the run has its own; train another one to change it.")


def _run_of(path: Path) -> Path:
    """The run that a checkpoint lies in.

    Raises:
        DataError: it lies in none.
    """
    from lp_train import RunDir, is_foreign_run

    if not path.exists():
        raise DataError(f"{path} does not exist; give a checkpoint of a run, or the run's folder.")
    for folder in [path, *path.resolve().parents[:DEEP]][path.is_file() :]:
        if RunDir(folder).config.exists() or is_foreign_run(folder):
            return folder
    raise DataError(f"{path} lies in no run: no folder above it has a config.yaml; give the run's folder.")


def _frames(table: "PoseTable", individuals: int) -> Iterator[dict[str, np.ndarray]]:
    values = np.concatenate([table.keypoints, table.confidence[..., None]], axis=-1)
    parts = len(table.animals.parts) if table.animals else values.shape[1]
    owned = table.animals.owned if table.animals else values.shape[1]
    for frame in values:
        poses = {"bodyparts": frame[:owned].reshape(-1, parts, 3)[:individuals]}
        yield poses | ({"unique_bodyparts": frame[None, owned:]} if owned < len(frame) else {})
