"""Every `lpose` command of the getting-started page runs, in order, in one directory."""

import re
from pathlib import Path

import numpy as np
from lp_apps import main as command

ROOT = Path(__file__).parents[1]


def test_getting_started(run_pages, tmp_path):
    pages = (
        "docs/getting-started.md",
        "docs/labels.md",
        "docs/convert.md",
        "docs/prediction.md",
        "docs/unlabeled-video.md",
        "docs/report.md",
    )
    run_pages(*pages, at_least=10)
    for name in (
        "demo/run/predictions_pixel_error.csv",
        "demo/run/video_preds/labeled_videos/session0_labeled.mp4",
        "labeled.mp4",
        "keypoints/ood.csv",
        "runs/unlabeled/video_preds/ood_temporal_norm.csv",
        "runs/unlabeled/pca_multiview.png",
        "combined/ood.csv",
        "tables/ood.h5",
        "exported/ood.csv",
        "exported.csv",
        "many/session0.csv",
        "live.csv",
        "demo/check/findings.csv",
        "demo/run/suggestions/suggestions.csv",
        "report.html",
        "comparison.html",
        "as-deeplabcut/config.yaml",
        "as-coco/annotations/train.json",
        "as-lightning-pose/CollectedData.csv",
    ):
        assert (tmp_path / name).exists(), name
    page = {"frame": np.zeros((70, 90, 3), np.uint8), "timestamp": 0.5}
    exec((ROOT / "docs/prediction.md").read_text().partition("```python\n")[2].partition("```")[0], page)
    assert page["pose"].keypoints.shape == (16, 2) and page["pose"].timestamp == 0.5


def test_every_command_the_readme_names_exists(commands):
    names = {line.split()[1] for line in commands("README.md") if line.startswith("lpose ")}
    assert names <= set(command.COMMANDS) and len(names) >= 5


def test_ci_runs_exactly_the_readme_s_test_command(commands):
    test_command = next(line for line in commands("README.md") if line.endswith("nox"))
    lines = [
        line
        for line in (ROOT / ".ci/run").read_text().splitlines()
        if line and not line.startswith(("#", "set ", "cd "))
    ]
    assert lines == [test_command]


def test_snippets_of_python_run():
    for page in ("docs/decisions/0003-keypoint-shape.md",):
        for block in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            import torch

            scope = {"keypoints_pred": torch.arange(12.0).reshape(2, 3, 2)}
            exec(block, scope)
            assert scope["keypoints_pred"].tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
