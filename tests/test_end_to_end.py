"""What a user does, across all packages, by the command."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from lp_apps.main import main
from lp_io import VideoReader, read_predictions

LPOSE = [sys.executable, "-m", "lp_apps.main"]
QUICK = [
    "backbone=timm", "backbone.model=resnet10t", "backbone.pretrained=false", "data.image_size=[64,64]",
    "training.accelerator=cpu", "training.check_val_every_n_epoch=1",
]  # fmt: skip
DATA = Path(os.environ.get("LP_TEST_DATA", Path(__file__).parents[1] / "../shared/data"))
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there; set LP_TEST_DATA")


def lpose(*words, check=True):
    """A command in this process, where libraries are loaded already."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([*map(str, words)])
    assert not check or status == 0, err.getvalue()
    return SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())


def lpose_anew(*words):
    """A command in a process of its own, as a user starts it."""
    done = subprocess.run([*LPOSE, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    from lp_data.scene import SceneOptions, make_demo

    root = tmp_path_factory.mktemp("scene")
    make_demo(root, SceneOptions(labeled=20, frames=40, ood_labeled=5, ood_frames=10))
    return root


def test_train_predict_evaluate_render(scene, tmp_path):
    run = tmp_path / "run"
    done = lpose("train", f"data.root={scene}", f"out={run}", *QUICK, "training.max_epochs=2")
    assert "pixel error" in done.stdout and "CollectedData_new" in done.stdout
    for name in (
        "predictions.csv",
        "predictions_new.csv",
        "predictions_pixel_error.csv",
        "video_preds/session0.csv",
        "video_preds/ood.csv",
        "config.yaml",
        "metrics.csv",
    ):
        assert (run / name).exists(), name
    assert json.loads((run / "train_status.json").read_text())["status"] == "COMPLETED"
    table = read_predictions(run / "video_preds/session0.csv")
    assert (
        table.keypoints.shape == (40, 16, 2)
        and np.isfinite(table.keypoints).all()
        and table.scorer == "heatmap_tracker"
    )
    assert table.index == tuple(range(40))

    lpose_anew(
        "render",
        f"run={run}",
        f"source={scene / 'videos/session0.mp4'}",
        f"out={tmp_path / 'labeled.mp4'}",
        "min_confidence=0",
    )
    with VideoReader(tmp_path / "labeled.mp4") as labeled, VideoReader(scene / "videos/session0.mp4") as plain:
        assert labeled.frame_count == plain.frame_count == 40 and labeled.fps == pytest.approx(plain.fps)

    lpose_anew("predict", f"run={run}", f"source={scene / 'labeled-data/session0'}", f"out={tmp_path / 'images'}")
    lpose("predict", f"run={run}", f"source={scene / 'CollectedData.csv'}", f"out={tmp_path / 'tables'}")
    images, labels = (
        read_predictions(tmp_path / "images/session0.csv"),
        read_predictions(tmp_path / "tables/CollectedData.csv"),
    )
    evaluated = read_predictions(run / "predictions.csv")
    assert labels.index == evaluated.index
    np.testing.assert_allclose(labels.keypoints, evaluated.keypoints, atol=0.02)
    by_name = {Path(name).name: row for row, name in enumerate(images.index)}
    rows = [by_name[Path(name).name] for name in labels.index]
    np.testing.assert_allclose(images.keypoints[rows], labels.keypoints, atol=0.02)
    assert "PCK" in lpose("evaluate", f"run={run}").stdout
    assert "exists; overwrite=true" in lpose("predict", f"run={run}", f"source={scene / 'videos/ood.mp4'}").stdout
    (tmp_path / "bad.mp4").write_text("not a video")
    done = lpose("predict", f"run={run}", f"source={tmp_path / 'bad.mp4'}", check=False)
    assert done.returncode == 2 and "bad.mp4 cannot be read as a video" in done.stderr
    assert not list(run.glob("video_preds/bad*"))


def test_a_killed_training_goes_on_to_the_same_weights(scene, tmp_path):
    """kill -9 in the middle of training, then the same command again: bit-equal to a run that nobody killed."""
    words = [f"data.root={scene}", *QUICK, "training.precision=float32", "training.max_epochs=12", "training.resume=true",
             "training.resume_interval_s=0", "evaluation.predict_videos=false", "training.example_images=false"]  # fmt: skip
    lpose_anew("train", *words, f"out={tmp_path / 'whole'}")
    last = tmp_path / "killed/tb_logs/model/version_0/checkpoints/last.ckpt"
    victim = subprocess.Popen(
        [*LPOSE, "train", *words, f"out={tmp_path / 'killed'}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline and victim.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    assert victim.poll() is None, "training ended before it could be killed"
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    epoch = torch.load(last, weights_only=True)["epoch"]
    assert epoch < 11
    lpose_anew("train", *words, f"out={tmp_path / 'killed'}")
    states = [
        torch.load(tmp_path / name / last.relative_to(tmp_path / "killed"), weights_only=True)["state_dict"]
        for name in ("whole", "killed")
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    curves = [
        [row["train_supervised_loss"] for row in csv.DictReader((tmp_path / n / "metrics.csv").open())]
        for n in ("whole", "killed")
    ]
    assert curves[0] == curves[1] and len(curves[0]) == 12


@real
@pytest.mark.parametrize("clips", ["video", "dali"])
def test_one_override_learns_from_unlabeled_video(tmp_path, clips):
    """On a machine without a GPU, with our reader and with DALI's CPU operators."""
    if clips == "dali":
        pytest.importorskip("nvidia.dali", reason="DALI is not installed: pip install 'lp-kit[cuda130]'")
    run = tmp_path / "run"
    done = lpose(
        "train", f"data.root={DATA / 'mirror-mouse'}", f"out={run}", *QUICK, "training.max_epochs=2",
        "losses=[temporal,pca_multiview]", f"clips={clips}", "clips.sequence_length=8", "training.steps_per_epoch=3",
        "training.anneal.freeze_until_epoch=0",
    )  # fmt: skip
    assert (
        "mirrored views top, bot with 7 shared keypoints" in done.stdout
        and "1 unlabeled video: 125 clips" in done.stdout
    )
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert float(rows[-1]["train_pca_multiview_loss"]) > 0 and float(rows[-1]["train_temporal_weight"]) > 0
    for name in ("temporal_norm", "pca_singleview_error", "pca_multiview_error"):
        table = list(csv.reader((run / f"video_preds/test_vid_{name}.csv").open()))
        assert len(table) == 995 and table[0][1] == "paw1LH_top", name
    assert (run / "predictions_pca_multiview_error.csv").exists() and (
        run / "pca_multiview.png"
    ).stat().st_size > 10_000


@real
@pytest.mark.parametrize(("name", "keypoints"), [("mirror-mouse", 17), ("dlc-reaching", 5)])
def test_real_projects_train_with_no_option_but_the_weights(name, keypoints, tmp_path):
    """Quick settings only: fewer epochs and a small network."""
    run = tmp_path / "run"
    done = lpose(
        "train",
        f"data.root={DATA / name}",
        f"out={run}",
        "backbone=timm",
        "backbone.model=resnet10t",
        "backbone.pretrained=false",
        "training.max_epochs=1",
        "evaluation.predict_videos=false",
    )
    assert "image size 256×256 (proposed" in done.stdout
    assert len(read_predictions(run / "predictions.csv").keypoint_names) == keypoints


@real
def test_a_lightning_pose_configuration_trains_unchanged(tmp_path):
    config = {
        "data": {
            "image_resize_dims": {"height": 128, "width": 128}, "data_dir": "/not/here", "video_dir": "/not/here/videos",
            "csv_file": "CollectedData.csv", "num_keypoints": 17,
        },
        "training": {
            "imgaug": "dlc", "train_batch_size": 16, "train_prob": 0.8, "val_prob": 0.1, "max_epochs": 1, "min_epochs": 1,
            "rng_seed_data_pt": 42, "num_gpus": 1,
        },
        "model": {"backbone": "resnet18", "backbone_pretrained": False, "model_type": "heatmap", "losses_to_use": []},
        "eval": {"predict_vids_after_training": False},
    }  # fmt: skip
    (tmp_path / "lp.yaml").write_text(yaml.safe_dump(config))
    lpose("train", "--lp-config", tmp_path / "lp.yaml", f"data.root={DATA / 'mirror-mouse'}", f"out={tmp_path / 'run'}")
    split = json.loads((tmp_path / "run/provenance.json").read_text())["split"]
    assert [len(split[part]) for part in ("train", "val", "test")] == [72, 9, 9]


def test_bad_data_is_one_sentence_and_status_two(scene, tmp_path):
    text = (scene / "CollectedData.csv").read_text().splitlines()
    header, rows = text[:3], text[3:]
    first = rows[0].split(",")
    cases = {
        "missing": ([rows[0].replace("img", "gone"), *rows[1:]], "does not exist"),
        "outside": ([",".join([first[0], "9999", "9999", *first[3:]]), *rows[1:]], "outside the image"),
        "columns": ([rows[0] + ",1", *rows[1:]], "columns where the header has"),
        "empty": ([",".join([row.split(",")[0], *[""] * 32]) for row in rows], "every cell is empty"),
    }
    for name, (body, sentence) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "labeled-data").symlink_to(scene / "labeled-data")
        (folder / "CollectedData.csv").write_text("\n".join([*header, *body]) + "\n")
        done = lpose("train", f"data.root={folder}", f"out={tmp_path / 'never'}", *QUICK, check=False)
        assert (
            done.returncode == 2
            and sentence in done.stderr
            and done.stderr.count("\n") == 1
            and "Traceback" not in done.stderr
        )
    assert not (tmp_path / "never").exists()


def test_an_empty_split(scene, tmp_path):
    words = ["data.split.train=0.9", "data.split.val=0.5"]
    done = lpose("train", f"data.root={scene}", f"out={tmp_path / 'r'}", *QUICK, *words, check=False)
    assert done.returncode == 2 and "add up to at most 1" in done.stderr
