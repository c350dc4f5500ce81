"""`lpose predict dynamic=true`: only the part round the last pose."""

import numpy as np
import pytest
from lp_apps.main import main
from lp_data.scene import SceneOptions, make_demo
from lp_io import read_predictions
from lp_train import compose, train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("dynamic")
    make_demo(
        root / "data", SceneOptions(size=(160, 176), labeled=20, frames=24, ood_labeled=2, ood_frames=2, hidden=0.0)
    )
    words = [
        f"data.root={root / 'data'}", f"out={root / 'run'}", "data.image_size=[96,128]", "backbone=timm",
        "backbone.model=resnet10t", "backbone.pretrained=false", "training.max_epochs=1", "training.batch_size=4",
        "training.accelerator=cpu", "training.precision=float32", "training.example_images=false",
    ]  # fmt: skip
    train(compose(words), say=lambda _: None)
    return root


def predicted(root, out, *words):
    video = root / "data/videos/session0.mp4"
    assert main(["predict", f"run={root / 'run'}", f"source={video}", f"out={root / out}", "device=cpu", *words]) == 0
    return read_predictions(root / out / "session0.csv")


def test_the_same_table_where_the_part_is_the_whole_frame(run):
    plain = predicted(run, "plain", "batch_size=1")
    dynamic = predicted(run, "whole", "dynamic=true", "dynamic.margin=300", "dynamic.threshold=0", "batch_size=7")
    np.testing.assert_allclose(dynamic.keypoints, plain.keypoints, atol=1e-3)
    np.testing.assert_allclose(dynamic.confidence, plain.confidence, atol=1e-4)
    part = predicted(run, "part", "dynamic=true", "dynamic.margin=0", "dynamic.threshold=0", "dynamic.every=5")
    rows = np.arange(0, 24, 5)
    np.testing.assert_allclose(part.keypoints[rows], plain.keypoints[rows], atol=1e-3)
    assert np.isfinite(part.keypoints).all()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dynamic.margin=3"], "dynamic.margin needs dynamic=true"),
        (["dynamic=true", "workers=2"], "leave out workers, cluster and conditions"),
        (["dynamic=true", "runtime=onnx"], "by runtime=torch"),
        (["dynamic=true", "dynamic.mragin=3"], "dynamic.margin, dynamic.every; 'mragin' is none of them"),
    ],
)
def test_mistakes_are_one_sentence(run, words, sentence, capsys):
    video = run / "data/videos/session0.mp4"
    assert main(["predict", f"run={run / 'run'}", f"source={video}", f"out={run / 'none'}", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
