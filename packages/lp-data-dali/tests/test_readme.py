"""The example on this package's page on an index runs, with nothing but this package."""

from pathlib import Path

import pytest
from lp_core.testing.pages import run_examples

pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed: pip install 'lp-data-dali[cuda130]'")


def test_the_readme_s_clips_are_of_the_size_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run_examples(Path(__file__).parents[1] / "README.md")
    clip = found["clip"]
    assert clip.images.shape == (16, 3, 64, 96) and clip.images.float().std() > 1
    assert clip.frames.diff().eq(1).all() and clip.frames[0] >= 0 and clip.frames[-1] < 40
