"""The example on this package's page on an index runs, with nothing but this package."""

from pathlib import Path

from lp_core.testing.pages import run_examples


def test_the_readme_runs():
    found = run_examples(Path(__file__).parents[1] / "README.md")
    backbone = found["backbone"]
    assert found["features"].shape == (2, backbone.channels, 128 // backbone.stride, 160 // backbone.stride)
