"""What needs a CUDA device: run by `nox -s gpu_integration`, which refuses to start without one."""

import csv
import itertools
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_core import clip_sources
from lp_data.scene import SceneOptions, make_demo
from lp_infer import PredictOptions, predict_video
from lp_io import VideoReader, read_predictions
from lp_train import compose, evaluate, load_model, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
LOSSES = "losses=[temporal,pca_multiview]"


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    make_demo(root, SceneOptions(labeled=30, frames=120, ood_labeled=5, ood_frames=40))
    return root


def words(demo: Path, out: Path, *extra: str) -> list[str]:
    return [
        f"data.root={demo}", f"out={out}", "backbone.pretrained=false", "data.image_size=[128,128]",
        "training.accelerator=cuda", "training.max_epochs=3", "training.steps_per_epoch=4",
        "training.anneal.freeze_until_epoch=0", "evaluation.predict_videos=false", *extra,
    ]  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("source", ["video", "dali"])
def test_semi_supervised_training(demo, tmp_path, precision, source):
    if source == "dali":
        pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    config = compose(words(demo, tmp_path / "run", LOSSES, f"clips={source}", f"training.precision={precision}"))
    run = train(config, say=print)
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert len(rows) == 3 and np.isfinite(float(rows[-1]["train_temporal_loss"]))
    assert evaluate(run, say=print)[0].splits["train"].count > 0


def test_dali_gives_the_frames_of_the_reader(demo):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    videos = sorted((demo / "videos").iterdir())
    source = clip_sources.make("dali", device="gpu", augment=False).build(videos, image_size=(128, 160), seed=0)
    for clip in itertools.islice(source.clips(0), 4):
        with VideoReader(videos[clip.video], (128, 160)) as reader:
            expected = reader.frames(clip.frames.tolist())
        difference = np.abs(clip.images.permute(0, 2, 3, 1).cpu().numpy().astype(int) - expected.astype(int))
        assert difference.mean() < 3  # another decoder, another way to resize


def test_processes_on_two_devices(demo, tmp_path):
    if torch.cuda.device_count() < 2:
        pytest.skip(f"{torch.cuda.device_count()} CUDA device; two are needed")
    run = train(compose(words(demo, tmp_path / "run", LOSSES, "training.devices=2")), say=print)
    assert len(list(csv.DictReader((run / "metrics.csv").open()))) == 3


@pytest.mark.parametrize("head", ["heatmap", "heatmap_mhcrnn"])
def test_predictions_equal_those_of_the_cpu(demo, tmp_path, head):
    run = train(compose(words(demo, tmp_path / "run", f"head={head}", "training.precision=float32")), say=print)
    video = demo / "videos" / "session0.mp4"
    tables = {}
    for device in ("cpu", "cuda"):
        predict_video(load_model(run), video, tmp_path / f"{device}.csv", PredictOptions(device=device))
        tables[device] = read_predictions(tmp_path / f"{device}.csv")
    sure = tables["cpu"].confidence > 0.2
    difference = np.linalg.norm(tables["cpu"].keypoints - tables["cuda"].keypoints, axis=-1)
    assert np.median(difference) < 0.05 and (difference[sure].max() < 0.5 if sure.any() else True)


def test_throughput(demo, tmp_path):
    """Prints the table that goes into docs/measurements.md, with the device's name."""
    print(f"\n{torch.cuda.get_device_name()}")
    for losses in ("losses=[]", LOSSES):
        settings = words(demo, tmp_path / losses, losses, "data.image_size=[256,256]", "training.steps_per_epoch=40")
        start = time.perf_counter()
        run = train(compose(settings), say=lambda *_: None)
        print(f"train {losses:<34}{120 * 16 / (time.perf_counter() - start):9.1f} labeled images/s, start included")
    for precision in ("float32", "bfloat16"):
        options = PredictOptions(device="cuda", precision=precision)
        report = predict_video(
            load_model(run), demo / "videos" / "session0.mp4", tmp_path / f"{precision}.csv", options
        )
        print(f"predict {precision:<32}{report.frames_per_second:9.1f} frames/s")
