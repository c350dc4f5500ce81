"""The example on this package's page on an index runs, with nothing but this package."""

from pathlib import Path

import torch
from lp_core.testing.pages import run_examples
from lp_detectors.boxes import boxes_of, overlap


def test_the_readme_s_detector_learns_and_finds_both_animals():
    torch.manual_seed(0)
    found = run_examples(Path(__file__).parents[1] / "README.md")
    true = boxes_of(found["keypoints"])
    fresh = found["detectors"].make("centers", width=0.5).build(image_size=(96, 128), animals=2)
    assert found["loss"] < 0.5 * fresh.loss(found["frames"].float(), true)
    with torch.no_grad():
        boxes, _ = found["detector"](found["frames"])
    assert overlap(true, boxes).amax(-1).min() > 0.3
    assert found["found"].shape == (1, 4, 2) and found["found"].isfinite().all()
