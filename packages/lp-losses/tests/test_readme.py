"""The example on this package's page on an index runs, with nothing but this package."""

from pathlib import Path

import torch
from lp_core.testing.pages import run_examples


def test_the_readme_s_training_loop_learns():
    torch.manual_seed(0)
    found = run_examples(Path(__file__).parents[1] / "README.md")
    with torch.no_grad():
        found["inputs"]["keypoints_pred"] = 20 * found["network"](found["frames"])
    after, _ = found["unlabeled"]("train", found["inputs"], stream="unlabeled")
    assert (
        0 <= float(after) < float(found["loss"])
        and found["heatmap_kl"](found["target"], found["target"]).abs().max() < 1e-6
    )
