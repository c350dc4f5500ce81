"""The page on using the parts from Python runs as it stands, on a smaller scene."""

from pathlib import Path

from lp_core.testing.pages import run_examples
from lp_data.scene import SceneOptions, make_demo

PAGE = Path(__file__).parents[1] / "docs/python.md"


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_demo(tmp_path / "demo/data", SceneOptions(labeled=20, frames=40, ood_labeled=5, ood_frames=10))
    found = run_examples(PAGE)
    assert found["poses"].keypoints.shape == (10, len(found["poses"].keypoint_names), 2)
    assert found["keypoints"].shape == (2, len(found["net"].keypoint_names), 2)
    assert (tmp_path / "runs/notebook/config.yaml").exists()


def test_the_quick_start_is_short():
    start = PAGE.read_text().partition("```python\n")[2].partition("```")[0]
    assert len([line for line in start.splitlines() if line.strip()]) <= 15
