"""lpose train data.root=DIR [out=RUN] [key=value …] [--lp-config FILE]

Trains on the labeled project in DIR (Lightning Pose, DeepLabCut or COCO: detected), evaluates the best checkpoint on
every split and on out-of-distribution label files beside the labels, then predicts the project's videos.

  out=RUN                 where the run goes; outputs/<date>/<time> if not given
  training.resume=true    go on with the run in RUN after an interruption
  --lp-config FILE        start from a Lightning Pose configuration; words after it override it

All keys are in RUN/config.yaml. Watch it train: tensorboard --logdir RUN
"""

from pathlib import Path

from lp_core import ConfigError

from lp_apps.pictures import write_pictures


def run(words: list[str]) -> None:
    """Train, evaluate, predict videos."""
    from lp_train import RunDir, compose, evaluate, train
    from lp_viz import labels_grid

    config = compose(_with_lp_config(words))
    root = train(config, draw=labels_grid)
    files = RunDir(root)
    files.status("EVALUATING")
    pictures = write_pictures(root, evaluate(root))
    if config.evaluation.predict_videos:
        predict_videos(root, Path(config.data.videos or Path(config.data.root) / "videos"))
    files.status("COMPLETED")
    for picture in pictures:
        print(f"picture  {picture}")
    print(f"run      {root}\nerrors   {root / 'predictions_pixel_error.csv'}\ncurves   tensorboard --logdir {root}")


def predict_videos(root: Path, folder: Path) -> None:
    """Predict every video in `folder` that the run has no predictions of."""
    from lp_io import VIDEO_SUFFIXES

    from lp_apps import predict

    videos = sorted(p for p in folder.glob("*") if p.suffix.lower() in VIDEO_SUFFIXES) if folder.is_dir() else []
    for video in videos:
        predict.run([f"run={root}", f"source={video}"])


def _with_lp_config(words: list[str]) -> list[str]:
    if "--lp-config" not in words:
        return words
    from lp_train import translate

    at = words.index("--lp-config")
    if at + 1 == len(words):
        raise ConfigError("--lp-config needs a file: --lp-config FILE.")
    translation = translate(Path(words[at + 1]))
    for key in translation.unknown:
        print(f"not used: {key}")
    ours = words[:at] + words[at + 2 :]
    given = {word.partition("=")[0] for word in ours}
    return [o for o in translation.overrides if o.partition("=")[0] not in given] + ours
