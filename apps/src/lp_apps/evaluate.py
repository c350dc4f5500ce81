"""lpose evaluate run=RUN [checkpoint=FILE] [per_keypoint=true]

Pixel errors of the best checkpoint on training, validation and test frames, and on out-of-distribution label files.
Writes predictions.csv, predictions_pixel_error.csv and evaluation.json into RUN.
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


def run(words: list[str]) -> None:
    """Measure, and print the tables."""
    from lp_train import evaluate

    options = parse(words, Options)
    results = evaluate(options.run, Path(options.checkpoint) if options.checkpoint else None)
    if options.per_keypoint:
        print(f"\n{'keypoint (frames not trained on)':<34}{'labels':>8}{'mean':>9}{'median':>9}{'90%':>9}")
        for result in results:
            for name, s in result.keypoints.items():
                print(f"{name:<34}{s.count:>8}{s.mean:>9.2f}{s.percentiles[50]:>9.2f}{s.percentiles[90]:>9.2f}")
