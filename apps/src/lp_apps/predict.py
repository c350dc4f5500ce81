"""lpose predict run=RUN source=SOURCE [out=DIR] [key=value …]

SOURCE is a video, a folder of videos or images, a glob in quotes, or a label CSV of the project the run was trained on.
Writes one CSV per video (scorer, keypoint, x, y, likelihood in pixels of the original frame) into DIR, which is
RUN/video_preds if not given. A video whose CSV exists is skipped; overwrite=true predicts it again.

  batch_size=0           frames per step; 0 chooses
  precision=auto         auto, float32, bfloat16 or float16
  device=auto            auto, cpu, cuda or mps
  checkpoint=FILE        another than the best one
  sigma=false            true: also VIDEO_sigma.csv, the error to expect per axis in pixels, from calibrated confidence

Beside each video's CSV: temporal_norm, and the PCA errors that the training labels allow.
"""

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lp_core import DataError

from lp_apps.options import parse

if TYPE_CHECKING:
    from lp_train import PoseNet


@dataclass
class Options:
    """What `lpose predict` takes."""

    run: str
    source: str
    out: str | None = None
    batch_size: int = 0
    precision: str = "auto"
    device: str = "auto"
    checkpoint: str | None = None
    overwrite: bool = False
    sigma: bool = False


def run(words: list[str]) -> None:
    """Predict everything `source` stands for."""
    options = parse(words, Options)
    videos, images, tables = expand(options.source)
    from lp_train import RunDir, load_model

    model = load_model(options.run, Path(options.checkpoint) if options.checkpoint else None)
    out = Path(options.out) if options.out else RunDir(Path(options.run)).video_predictions
    for video in videos:
        _video(model, video, out, options)
    if images:
        _images(model, images, out, options)
    for table in tables:
        _table(model, table, out, options)


def expand(source: str) -> tuple[list[Path], list[Path], list[Path]]:
    """The videos, images and label tables that `source` stands for.

    Raises:
        DataError: there is nothing to predict.
    """
    from lp_io import IMAGE_SUFFIXES, VIDEO_SUFFIXES

    path = Path(source)
    found = sorted(path.iterdir()) if path.is_dir() else [Path(p) for p in sorted(glob.glob(source))] or [path]
    kinds = (VIDEO_SUFFIXES, IMAGE_SUFFIXES, {".csv"})
    videos, images, tables = ([p for p in found if p.suffix.lower() in kind] for kind in kinds)
    if not path.is_dir() and not any(p.exists() for p in found):
        raise DataError(f"source={source} does not exist; give a video, a folder, a glob in quotes or a label CSV.")
    if not (videos or images or tables):
        raise DataError(f"source={source} holds no video, image or label CSV.")
    return videos, images, tables


def _predict_options(options: Options):
    from lp_infer import PredictOptions

    return PredictOptions(
        batch_size=options.batch_size or None,
        precision=options.precision,
        device=options.device,
        overwrite=options.overwrite,
    )


def _video(model: "PoseNet", video: Path, out: Path, options: Options) -> None:
    from lp_infer import predict_video
    from lp_train import RunDir, write_video_metrics

    target = out / f"{video.stem}.csv"
    if target.exists() and not options.overwrite:
        print(f"{target} exists; overwrite=true predicts it again")
        return
    report = predict_video(model, video, target, _predict_options(options))
    for problem in report.problems:
        print(problem)
    print(f"{report.frames} frames at {report.frames_per_second:.1f} frames/s → {target}")
    if RunDir(Path(options.run)).poses.exists():
        names = [path.stem.removeprefix(f"{video.stem}_") for path in write_video_metrics(options.run, target)]
        print(f"beside it: {', '.join(names)}")
    if options.sigma:
        _sigma(target, options)


def _sigma(predictions: Path, options: Options) -> None:
    from lp_io import read_predictions, write_metric
    from lp_train import load_calibration

    table = read_predictions(predictions)
    path = predictions.with_name(f"{predictions.stem}_sigma.csv")
    write_metric(path, table.keypoint_names, load_calibration(options.run).sigma(table.confidence), table.index)
    print(f"error to expect → {path}")


def _images(model: "PoseNet", images: list[Path], out: Path, options: Options) -> None:
    from lp_infer import predict_images
    from lp_io import write_predictions

    target = out / f"{images[0].parent.name}.csv"
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(target, predict_images(model, images, options=_predict_options(options)))
    print(f"{len(images)} images → {target}")


def _table(model: "PoseNet", table: Path, out: Path, options: Options) -> None:
    from lp_infer import predict_images
    from lp_io import read_labels, write_predictions
    from lp_train import RunDir, dataset_of, load, predict_labels

    labels = read_labels(table.parent, file=table.name)
    if model.context:  # the frames round each labeled one are needed too
        dataset = dataset_of(load(RunDir(Path(options.run)).config), labels)
        poses = predict_labels(model, dataset, labels, None)
    else:
        poses = predict_images(model, labels.images, labels.root, _predict_options(options))
    target = out / f"{table.stem}.csv"
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(target, poses)
    print(f"{len(labels)} labeled frames → {target}")
