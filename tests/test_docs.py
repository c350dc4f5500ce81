"""Every `lpose` command of the getting-started page runs, in order, in one directory."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from lp_apps import main as command

ROOT = Path(__file__).parents[1]
SMALL = " training.max_epochs=1 backbone.pretrained=false data.image_size=[96,96] evaluation.predict_videos=false"
SHORTER = {  # the pages' commands train for minutes; one epoch runs the same code
    "lpose demo out=demo": " epochs=1",
    "lpose demo out=arena animals=3": " epochs=1 data.crop_size=[64,64]",
    "lpose train data.root=arena/data head=dekr out=runs/dekr": SMALL,
}


def commands(page):
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def run_all(pages, folder, at_least):
    ours = [line for page in pages for line in commands(page) if line.startswith(("lpose ", "python -m lp_infer "))]
    assert len(ours) >= at_least
    for line in ours:
        words = shlex.split(line + SHORTER.get(line, ""))
        module = ["lp_apps.main", *words[1:]] if words[0] == "lpose" else words[2:]
        done = subprocess.run(
            [sys.executable, "-m", *module], cwd=folder, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_several_animals(tmp_path):
    run_all(["docs/several-animals.md"], tmp_path, at_least=5)
    for name in (
        "arena/run/video_preds/session0_tracks.csv",
        "arena/run/video_preds/labeled_videos/session0_labeled.mp4",
        "poses/ood_tracks.csv",
        "animals.mp4",
        "tracks.csv",
    ):
        assert (tmp_path / name).exists(), name


def test_getting_started(tmp_path):
    pages = ("docs/getting-started.md", "docs/convert.md", "docs/prediction.md", "docs/unlabeled-video.md")
    run_all(pages, tmp_path, at_least=10)
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
        "as-deeplabcut/config.yaml",
        "as-coco/annotations/train.json",
        "as-lightning-pose/CollectedData.csv",
    ):
        assert (tmp_path / name).exists(), name


def test_every_command_the_readme_names_exists():
    names = {line.split()[1] for line in commands("README.md") if line.startswith("lpose ")}
    assert names <= set(command.COMMANDS) and len(names) >= 5


def test_ci_runs_exactly_the_readme_s_test_command():
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
