"""The example on this package's page on an index runs, with nothing but this package."""

from pathlib import Path

import torch
from lp_core.testing.pages import run_examples


def test_the_readme_s_augmentation_carries_keypoints_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run_examples(Path(__file__).parents[1] / "README.md")
    batch, changed = found["batch"], found["changed"]
    matrix = changed.transforms[:, None].to(batch.keypoints)
    moved = (matrix[..., :2] @ batch.keypoints[..., None])[..., 0] + matrix[..., 2]
    assert len(batch.images) == len(found["split"].train) > 8
    apart = (changed.keypoints - moved).abs()
    assert torch.nanmedian(apart) < 2  # the elastic part is no affine
