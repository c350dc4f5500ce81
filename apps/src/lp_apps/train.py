"""lpose train data.root=DIR [out=RUN] [key=value …] [--config FILE] [--lp-config FILE]

Trains on the labeled project in DIR (Lightning Pose, DeepLabCut or COCO: detected), evaluates the best checkpoint on
every split and on out-of-distribution label files beside the labels, then predicts the project's videos.

  out=RUN                 where the run goes; outputs/<date>/<time> if not given
  training.resume=true    go on with the run in RUN after an interruption
  conditions=RUN          for networks that are told poses (model=ctd_…): the training that proposes them
  --config FILE           start from the config.yaml of a run, or from what lpose config wrote; words override it
  --lp-config FILE        start from a Lightning Pose configuration; words after it override it

All keys are in RUN/config.yaml. Watch it train: tensorboard --logdir RUN
"""

from pathlib import Path

from lp_apps.options import taken
from lp_apps.pictures import drawers, write_pictures


def run(words: list[str]) -> None:
    """Train, evaluate, predict videos."""
    from lp_train import RunDir, evaluate, is_waiting, log_results, read, train

    file, rest = taken(words, "--config")
    config = read(_with_lp_config(rest), Path(file) if file else None)
    root = train(config, draw=drawers())
    files = RunDir(root)
    if is_waiting(root):
        files.status("COMPLETED")
        print(f"run      {root}\nnot evaluated: lpose evaluate run={root} conditions=RUN says who proposes poses to it")
        return
    files.status("EVALUATING")
    results = evaluate(root)
    log_results(root, results)
    pictures = write_pictures(root, results)
    if config.evaluation.predict_videos:
        predict_videos(root, Path(config.data.videos or Path(config.data.root) / "videos"))
    files.status("COMPLETED")
    for picture in pictures:
        print(f"picture  {picture}")
    print(f"run      {root}")
    for camera in [f"_{name}" for name in config.data.view_names or ()] or [""]:
        print(f"errors   {root / f'predictions{camera}_pixel_error.csv'}")
    print(f"curves   tensorboard --logdir {root}")


def predict_videos(root: Path, folder: Path) -> None:
    """Predict every video in `folder` that the run has no predictions of."""
    from lp_io import VIDEO_SUFFIXES

    from lp_apps import predict

    videos = sorted(p for p in folder.glob("*") if p.suffix.lower() in VIDEO_SUFFIXES) if folder.is_dir() else []
    for video in videos:
        predict.run([f"run={root}", f"source={video}"])


def _with_lp_config(words: list[str]) -> list[str]:
    file, ours = taken(words, "--lp-config")
    if file is None:
        return words
    from lp_train import translate

    translation = translate(Path(file))
    for key in translation.unknown:
        print(f"not used: {key}")
    given = {word.partition("=")[0] for word in ours}
    return [o for o in translation.overrides if o.partition("=")[0] not in given] + ours
