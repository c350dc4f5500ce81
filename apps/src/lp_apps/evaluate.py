"""lpose evaluate run=RUN [checkpoint=FILE] [per_keypoint=true] [dlc_compat=false] [conditions=…]

Pixel errors of the best checkpoint on training, validation and test frames, and on out-of-distribution label files.
Of several animals also how many were found, mAP and mAR of poses and of a detector's boxes, and how often head.identity=true
names the right individual. Writes predictions.csv, predictions_pixel_error.csv and evaluation.json into RUN.

  dlc_compat=false       true: also what DeepLabCut reports as RMSE: a mean distance, with its pairs of animals
  conditions=RUN         of a network that is told poses: another run to propose them, or a table of them (CSV)
"""

from dataclasses import dataclass
from pathlib import Path

from lp_apps.options import parse


@dataclass
class Options:
    """What `lpose evaluate` takes."""

    run: str
    checkpoint: str | None = None
    per_keypoint: bool = True
    dlc_compat: bool = False
    conditions: str | None = None


def run(words: list[str]) -> None:
    """Measure, and print the tables."""
    from lp_train import evaluate

    options = parse(words, Options)
    checkpoint = Path(options.checkpoint) if options.checkpoint else None
    results = evaluate(options.run, checkpoint, conditions=options.conditions, dlc_compat=options.dlc_compat)
    if options.per_keypoint:
        print(f"\n{'keypoint (frames not trained on)':<34}{'labels':>8}{'mean':>9}{'median':>9}{'90%':>9}")
        for result in results:
            for name, s in result.keypoints.items():
                print(f"{name:<34}{s.count:>8}{s.mean:>9.2f}{s.percentiles[50]:>9.2f}{s.percentiles[90]:>9.2f}")
