"""The example on this package's page on an index runs, with nothing but this package."""

from pathlib import Path

from lp_core.testing.pages import run_examples


def test_the_readme_s_keypoints_come_out_again():
    found = run_examples(Path(__file__).parents[1] / "README.md")
    assert (found["again"] - found["keypoints"]).abs().max() < 0.05
    assert found["outputs"]["heatmaps_pred"].shape[:2] == (1, 3)
