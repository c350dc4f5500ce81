"""lpose predict run=RUN source=SOURCE [out=DIR] [key=value …]

RUN is the folder of a training (also one of Lightning Pose, or of DeepLabCut's PyTorch engine with one animal), or a file
that lpose export wrote. SOURCE is a video, a folder of videos (or of images, where it holds no video), a glob in quotes,
several of these as [A,B], or a label CSV of the project the run was trained on.
Writes one CSV per video (scorer, keypoint, x, y, likelihood in pixels of the original frame) into DIR, which is
RUN/video_preds if not given. A video whose CSV exists is not predicted again without overwrite=true; what
lacks beside the CSV is made.
Interrupted or killed, the same command goes on where it was.

  batch_size=0           frames per step; 0 chooses
  runtime=auto           the fastest of those installed (torch for few frames, as others take some seconds to prepare),
                         or torch, onnx, openvino, mnn; its options as runtime.KEY=VALUE
  precision=auto         float32 (auto), bfloat16 or float16, whichever the runtime knows
  device=auto            auto, cpu, cuda or mps
  threads=0              of the network on a CPU; 0 chooses
  checkpoint=FILE        another than the best one
  format=csv             further tables beside the CSV: format=h5,slp for instance, of h5 (DeepLabCut), parquet, slp
                         (SLEAP), nwb and coco
  tracker=skeleton       of several animals: also VIDEO_tracks.csv, where each has columns of its own throughout (see
                         lpose track), by skeleton, ellipse or box; none for none. For networks that are told poses
                         also ctd: those of a frame are what is looked for in the next one; its options are
                         tracker.every=3, pause=5 (frames between two searches for animals, always or while one is
                         missing), new, min_confidence and duplicate
  dynamic=false          true: of one animal, only the part of a frame round the last pose is looked at, which is faster
                         where it is small in a large frame, and less exact; its options
                         are dynamic.threshold=0.5 (confidence of keypoints
                         that are looked round), dynamic.margin=48 (pixels of the network's input round them) and
                         dynamic.every=30 (frames between two looks at the whole)
  conditions=RUN         of a network that is told poses: another run to propose them than the one it was trained with,
                         or a table of them (CSV) for the one video that is predicted
  sigma=false            true: also VIDEO_sigma.csv, the error to expect per axis in pixels, from calibrated confidence
  workers=1              processes of this machine that share the videos
  cluster=…              ray, or slurm,partition=gpu,time=240,gpus=1: many machines; out=DIR must be seen by all of them

Beside each video's CSV: temporal_norm, and the PCA errors that the training labels allow.
"""

import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lp_core import ConfigError, DataError, LpError, TableWriter, trackers

from lp_apps.formats import write_formats, writers_of
from lp_apps.options import parse
from lp_apps.sources import distinct, expand

if TYPE_CHECKING:
    from lp_core.tensors import PoseModel
    from lp_infer import PredictReport, Runner

FAILED = "{} of {} videos could not be predicted, for the reasons above; the same command goes on with them alone."
CTD = "ctd"  # the way of tracking that is part of predicting


@dataclass
class Options:
    """What `lpose predict` takes."""

    run: str
    source: str
    out: str | None = None
    batch_size: int = 0
    runtime: str = "auto"
    runtime_options: dict = field(default_factory=dict)
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0
    checkpoint: str | None = None
    format: str = "csv"
    overwrite: bool = False
    tracker: str = "skeleton"
    tracker_options: dict = field(default_factory=dict)
    dynamic: bool = False
    dynamic_options: dict = field(default_factory=dict)
    conditions: str | None = None
    sigma: bool = False
    workers: int = 1
    cluster: str = ""


def run(words: list[str]) -> None:
    """Predict everything `source` stands for."""
    options = parse(words, Options)
    if options.workers < 1:
        raise ConfigError(f"workers={options.workers} must be at least 1.")
    if options.tracker not in ("none", CTD):
        trackers[options.tracker]
    videos, images, tables = expand(options.source)
    _check_conditions(options, len(videos), len(images) + len(tables))
    writers = writers_of(options.format)
    out = Path(options.out) if options.out else _default_out(Path(options.run))
    there, videos = _open(distinct(videos), out, options)
    tell = partial(_tell, writers, options)
    each(there, partial(_complete, writers, options))
    if videos and (options.workers > 1 or options.cluster):
        _many(videos, out, options, tell)
        videos = {}
    if not (videos or images or tables):
        return
    model = model_of(options.run, options.checkpoint, options.conditions)
    if videos or images:
        from lp_infer import Runner

        runner = Runner.of(_for_videos(model, videos, options), _predict_options(options), _frames(videos, options))
        each(videos, partial(_predict, runner, tell))
        if images:
            _images(runner, images, out)
    for table in tables:
        _table(model, table, out, options)


def model_of(run: str, checkpoint: str | None = None, conditions: str | None = None) -> "PoseModel | Path":
    """The network of a training, or the path of an exported file.

    Args:
        conditions: of a network that is told poses, the run that proposes them; a table is none.
    """
    if Path(run).is_file():
        return Path(run)
    from lp_train import load_model

    proposer = None if _table_of(conditions) else conditions
    return load_model(run, Path(checkpoint) if checkpoint else None, proposer)


def _table_of(conditions: str | None) -> Path | None:
    """The table that the conditions are, if they are one."""
    path = Path(conditions or "")
    return path if path.suffix.lower() == ".csv" else None


def _check_conditions(options: Options, videos: int, others: int) -> None:
    """Raise `ConfigError` if what is asked for needs one video, or frames in order."""
    table, many = _table_of(options.conditions), options.workers > 1 or bool(options.cluster)
    if options.dynamic_options and not options.dynamic:
        raise ConfigError(f"dynamic.{next(iter(options.dynamic_options))} needs dynamic=true.")
    if options.dynamic and (many or others or options.runtime not in ("auto", "torch") or options.conditions):
        raise ConfigError(
            "dynamic=true goes through a video from its first frame on, by runtime=torch: leave out workers, cluster and "
            "conditions, and give videos only."
        )
    if options.conditions and Path(options.run).is_file():
        raise ConfigError(
            f"conditions={options.conditions}: an exported file has the network that proposes poses inside."
        )
    if table and (videos != 1 or others or many):
        raise ConfigError(f"conditions={options.conditions} are the poses of one video; predict that alone.")
    if options.tracker == CTD and (many or others or table):
        raise ConfigError(
            "tracker=ctd goes through a video from its first frame on: leave out workers, cluster and tables of conditions, "
            "and give videos only."
        )


def _for_videos(model: "PoseModel | Path", videos: dict[Path, Path], options: Options) -> Any:
    """The network, told what it is to look for if it is not to find out by itself."""
    table = _table_of(options.conditions)
    if options.dynamic:
        from lp_train import dynamic

        return dynamic(model, options.dynamic_options)
    if options.tracker != CTD and not (table and videos):
        return model
    from lp_io import VideoReader
    from lp_train import following, given_for_video

    if options.tracker == CTD:
        return following(model, options.tracker_options)
    assert table
    (video,) = videos
    with VideoReader(video) as reader:
        return given_for_video(model, table, reader.frame_count, reader.original_size)


def _default_out(run: Path) -> Path:
    if run.is_file():
        return run.parent / "video_preds"
    from lp_train import RunDir

    return RunDir(run).video_predictions


def _open(videos: list[Path], out: Path, options: Options) -> tuple[dict[Path, Path], dict[Path, Path]]:
    """The videos that are predicted, those to predict, and the table of each."""
    there, wanted = {}, {}
    for video in videos:
        target = out / f"{video.stem}.csv"
        (there if target.exists() and not options.overwrite else wanted)[video] = target
    return there, wanted


def _frames(videos: Iterable[Path], options: Options) -> float:
    """Of all videos, counted as far as the choice of a runtime needs it."""
    if options.runtime != "auto":
        return math.inf
    from lp_infer.choice import WORTH

    count = 0
    for video in videos:
        count += _length(video)
        if count >= WORTH:
            break
    return count


def _length(video: Path) -> int:
    from lp_io import VideoReader

    try:
        with VideoReader(video) as reader:
            return reader.frame_count
    except LpError:
        return 0  # said when its turn comes


def _predict_options(options: Options):
    from lp_infer import PredictOptions

    return PredictOptions(
        batch_size=options.batch_size or None,
        runtime=options.runtime,
        runtime_options=options.runtime_options,
        precision=options.precision,
        device=options.device,
        threads=options.threads or None,
        overwrite=options.overwrite,
    )


def each(videos: dict[Path, Path], do: Callable[[Path, Path], None]) -> None:
    """All of them, also behind one that cannot be read.

    Raises:
        DataError: some could not be predicted.
    """
    failed = 0
    for video, target in videos.items():
        try:
            do(video, target)
        except LpError as e:
            if len(videos) == 1:
                raise
            failed += 1
            print(f"not predicted: {e}")
    if failed:
        raise DataError(FAILED.format(failed, len(videos)))


def _predict(runner: "Runner", tell: Callable[[Path, "PredictReport"], None], video: Path, target: Path) -> None:
    from lp_infer import predict_video

    tell(video, predict_video(runner, video, target))


def _many(videos: dict[Path, Path], out: Path, options: Options, tell) -> None:
    from lp_infer import Job, VideosFailed, open_cluster, predict_many

    checkpoint = str(Path(options.checkpoint).resolve()) if options.checkpoint else None
    conditions = str(Path(options.conditions).resolve()) if options.conditions else None
    model = partial(model_of, str(Path(options.run).resolve()), checkpoint, conditions)
    job = Job(model, _predict_options(options), frames=_frames(videos, options))
    cluster = open_cluster(options.cluster or "processes", options.workers or None, out / "jobs", options.device)
    try:
        predict_many(job, videos, cluster, tell)
    except VideosFailed as e:
        if len(videos) == 1:
            raise DataError(next(iter(e.failed.values()))) from e
        for sentence in e.failed.values():
            print(f"not predicted: {sentence}")
        raise DataError(FAILED.format(len(e.failed), len(videos))) from e


def _tell(writers: list[TableWriter], options: Options, video: Path, report: "PredictReport") -> None:
    """Say what was done, and make what goes beside the table."""
    for problem in report.problems:
        print(problem)
    count = f"{report.frames} frame{'s' * (report.frames != 1)}"
    speed = f"{report.frames_per_second:.1f} frames/s ({report.runtime}, {report.precision}, {report.device})"
    kept = f", {report.kept} of them predicted before," if report.kept else ""
    done = ", all predicted before" if report.kept == report.frames else f"{kept} at {speed}"
    print(f"{count}{done} → {report.out}")
    _beside(writers, options, video, report.out)


def _complete(writers: list[TableWriter], options: Options, video: Path, target: Path) -> None:
    """Make what lacks beside a table that is there: it was not asked for before, or there was no time for it."""
    from lp_io.files import is_due

    older = f" and is older than {video}" if is_due(target, video) else ""
    print(f"{target} exists{older}; overwrite=true predicts it again")
    _beside(writers, options, video, target)


def _beside(writers: list[TableWriter], options: Options, video: Path, target: Path) -> None:
    table = _tracked(target, video, options)
    write_formats(writers, table, video, Path(options.run))
    _metrics(table, Path(options.run))
    if options.sigma:
        _sigma(target, options)


def _tracked(predictions: Path, video: Path, options: Options) -> Path:
    """The table of several animals with columns of its own for each; of one animal, the table itself."""
    from lp_io.files import is_due

    with predictions.open() as file:
        several = [file.readline(), file.readline()][1].startswith("individuals")
    if options.tracker == "none" or not several:
        return predictions
    out = predictions.with_name(f"{predictions.stem}_tracks.csv")
    if not is_due(out, predictions):
        return out
    if options.tracker == CTD:  # each animal has its columns already
        from lp_io import atomic_path

        with atomic_path(out) as temporary:
            shutil.copyfile(predictions, temporary)
        return out
    from lp_apps import track

    words = [f"tracker.{key}={value}" for key, value in options.tracker_options.items()]
    track.run([f"predictions={predictions}", f"out={out}", f"source={video}", f"tracker={options.tracker}", *words])
    return out


def _metrics(target: Path, run: Path) -> None:
    """What a training folder allows to say of a table."""
    if run.is_file():
        return
    from lp_train import RunDir, write_video_metrics

    if RunDir(run).poses.exists():
        names = [path.stem.removeprefix(f"{target.stem}_") for path in write_video_metrics(str(run), target)]
        if names:
            print(f"beside it: {', '.join(names)}")


def _sigma(predictions: Path, options: Options) -> None:
    from lp_io import read_predictions, write_metric
    from lp_io.files import is_due
    from lp_train import load_calibration

    path = predictions.with_name(f"{predictions.stem}_sigma.csv")
    if not is_due(path, predictions):
        return
    table = read_predictions(predictions)
    write_metric(path, table.keypoint_names, load_calibration(options.run).sigma(table.confidence), table.index)
    print(f"error to expect → {path}")


def _images(runner: "Runner", images: list[Path], out: Path) -> None:
    from lp_infer import predict_images
    from lp_io import write_predictions

    target = out / f"{images[0].parent.name}.csv"
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(target, predict_images(runner, images))
    print(f"{len(images)} image{'s' * (len(images) != 1)} → {target}")


def _table(model: "PoseModel | Path", table: Path, out: Path, options: Options) -> None:
    from lp_infer import predict_images
    from lp_io import read_labels, write_predictions
    from lp_train import RunDir, dataset_of, is_foreign_run, load, predict_labels

    labels = read_labels(table.parent, file=table.name)
    if not isinstance(model, Path) and getattr(model, "context", 0) and not is_foreign_run(options.run):
        dataset = dataset_of(load(RunDir(Path(options.run)).config), labels)  # the frames round each one are needed too
        poses = predict_labels(model, dataset, labels, None)
    else:
        poses = predict_images(model, labels.images, labels.root, _predict_options(options))
    target = out / f"{table.stem}.csv"
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(target, poses)
    print(f"{len(labels)} labeled frame{'s' * (len(labels) != 1)} → {target}")
