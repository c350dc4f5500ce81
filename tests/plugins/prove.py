"""A plugin of every kind, made, built, tested and used beside the wheels in this Python, with nothing edited.

python tests/plugins/prove.py [FOLDER]

Needs lp-kit and pytest in the environment that runs it, and uv on the path. Everything is written into FOLDER (a temporary one
if not given). Exit status 0: every kind is proven.
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from lp_apps.plugin_template import kinds
from lp_core import Animals, PoseTable
from lp_data.scene import SceneOptions, make_demo
from lp_io import read_labels, read_predictions, write_predictions

SCENE = SceneOptions(labeled=20, frames=40, ood_labeled=4, ood_frames=10)
CHOICES = {
    "data.format": "try_label_format", "backbone": "try_backbone", "head": "try_head", "clips": "try_clip_source",
    "augmentation": "try_augmentation", "losses": "[try_loss]",
}  # fmt: skip
SMALL = ("data.image_size=[96,96]", "training.max_epochs=2", "training.batch_size=4", "clips.sequence_length=5")
LEARNING = ("training.anneal.freeze_until_epoch=0", "evaluation.predict_videos=false", "backbone.width=16")


def run(*words: object, **options: object) -> str:
    """What a command prints; its own words if it fails."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def lpose(*words: object) -> str:
    """One command of ours, in a process of its own."""
    return run(sys.executable, "-m", "lp_apps.main", *words)


def make_and_install() -> list[Path]:
    """A fresh plugin of each kind; its wheel is installed, never its sources."""
    plugins = [Path(f"try-{kind.replace('_', '-')}") for kind in kinds()]
    run("uv", "pip", "uninstall", "--quiet", "--python", sys.executable, *plugins)  # of a time before
    for kind, plugin in zip(kinds(), plugins, strict=True):
        lpose("new", "plugin", plugin.name, "--kind", kind)
        run("uv", "build", "--wheel", "--quiet", "--out-dir", "wheels", plugin)
        shutil.rmtree(plugin / "src")
    run("uv", "pip", "install", "--quiet", "--python", sys.executable, *Path("wheels").glob("*.whl"))
    return plugins


def listed() -> None:
    """Every part is found, and none is broken."""
    lines = [line.split()[:3] for line in lpose("plugins").splitlines()]
    assert {f"try_{kind}" for kind in kinds()} <= {name for _, name, _ in lines}
    assert not [line for line in lines if "BROKEN:" in line]


def tested(plugins: list[Path]) -> None:
    """The tests that came with them, against what is installed."""
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib")
    print(run(sys.executable, *words, *plugins).splitlines()[-1])


def project() -> None:
    """A tiny scene whose labels only the plugin's label format can read."""
    make_demo(Path("scene"), SCENE)
    labels = read_labels("scene")
    Path("project").mkdir()
    for folder in ("labeled-data", "videos"):
        shutil.copytree(Path("scene") / folder, Path("project") / folder)
    with Path("project/labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "keypoint", "x", "y"])
        for image, points in zip(labels.images, labels.keypoints, strict=True):
            writer.writerows(
                [image, n, *map(repr, p.tolist())] for n, p in zip(labels.keypoint_names, points, strict=True)
            )
    found = read_labels("project")
    np.testing.assert_array_equal(found.keypoints, labels.keypoints)


def trained() -> None:
    """One run in which six kinds of plugins take part."""
    lpose("train", "data.root=project", "out=run", *(f"{k}={v}" for k, v in CHOICES.items()), *SMALL, *LEARNING)
    parts = yaml.safe_load(Path("run/config.yaml").read_text())["parts"]
    chosen = [parts[k] for k in ("backbone", "head", "clips", "augmentation")] + parts["losses"]
    assert all(name.startswith("try_") for name in chosen), parts


def predicted() -> None:
    """Keypoints by the plugin's runtime; its table and metric beside them; the same as torch's."""
    video = "source=scene/videos/session0.mp4"
    lpose("predict", "run=run", video, "out=plain", "runtime=try_runtime", "format=try_table_writer")
    lpose("predict", "run=run", video, "out=torch", "runtime=torch")
    ours, torch = (read_predictions(Path(name) / "session0.csv") for name in ("plain", "torch"))
    assert np.isfinite(ours.keypoints).all() and np.abs(ours.keypoints - torch.keypoints).max() < 0.01
    rows = list(csv.DictReader(Path("plain/session0.long.csv").read_text().splitlines()))
    assert len(rows) == ours.confidence.size and float(rows[0]["x"]) == ours.keypoints[0, 0, 0]
    assert Path("plain/session0_try_metric.csv").exists()


def several() -> None:
    """Two animals per frame: a run in which the plugin's detector takes part, and its poses in a video."""
    make_demo(Path("arena"), replace(SCENE, animals=2))
    small = ("data.image_size=[96,96]", "data.crop_size=[64,64]", "training.max_epochs=2", "training.batch_size=4")
    words = ("detector=try_detector", "detector.threshold=0", "backbone=try_backbone", *small, *LEARNING)
    lpose("train", "data.root=arena", "out=several", *words)
    parts = yaml.safe_load(Path("several/config.yaml").read_text())["parts"]
    assert parts["detector"] == "try_detector", parts
    lpose("predict", "run=several", "source=arena/videos/session0.mp4", "out=poses")
    table = read_predictions(Path("poses/session0.csv"))
    assert table.animals and len(table.index) == SCENE.frames and np.isfinite(table.keypoints).any()


def reported() -> None:
    """The report of the run says what it is made of."""
    lpose("report", "run=run", "out=report.html")
    text = Path("report.html").read_text()
    assert all(f"try_{kind}" in text for kind in ("backbone", "head", "loss")) and "<svg" in text


def viewed() -> None:
    """The run's errors on a page, without a browser."""
    lpose("view", "run=run", "viewer=try_viewer", "viewer.out=page.html", "viewer.browser=false")
    assert Path("page.html").read_text().count("<tr>") == 1 + len(read_labels("project").keypoint_names)


def tracked() -> None:
    """Two animals that are mixed up in the table have columns of their own."""
    animals = Animals(individuals=("one", "two"), parts=("nose", "tail"))
    walk = np.arange(20)[:, None, None, None] * np.array([[[[2.0, 1.0]]]])
    keypoints = np.array([[[10, 10], [20, 12]], [[150, 90], [160, 95]]]) + walk
    keypoints[::3] = keypoints[::3, ::-1].copy()
    table = PoseTable(
        keypoint_names=animals.keypoint_names, index=tuple(range(20)), keypoints=keypoints.reshape(20, 4, 2),
        confidence=np.ones((20, 4)), animals=animals,
    )  # fmt: skip
    write_predictions(Path("mixed.csv"), table)
    lpose("track", "predictions=mixed.csv", "out=tracks.csv", "tracker=try_tracker")
    steps = np.diff(read_predictions(Path("tracks.csv")).keypoints, axis=0)
    assert np.abs(steps - [2, 1]).max() < 0.01


def main(folder: Path) -> None:
    """All of it, each step with its seconds."""
    os.chdir(folder)
    plugins: list[Path] = []
    steps = {
        "made, built, installed": lambda: plugins.extend(make_and_install()), "listed": listed,
        "tested": lambda: tested(plugins), "labels read": project, "trained": trained, "predicted": predicted,
        "tracked": tracked, "several animals": several, "reported": reported, "viewed": viewed,
    }  # fmt: skip
    began = time.perf_counter()
    for name, step in steps.items():
        start = time.perf_counter()
        step()
        print(f"{name:<24}{time.perf_counter() - start:6.1f} s", flush=True)
    print(f"{', '.join(kinds())}: proven in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
