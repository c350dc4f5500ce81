"""lpose export: from a training to a file that predicts the same."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_apps import main as command
from lp_apps.export import Options, of_one_size, real_frames
from lp_core import ConfigError
from lp_io import VideoWriter

DATA = Path(os.environ.get("LP_TEST_DATA", "/nowhere")) / "mirror-mouse"
ABSENT = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]


def run(*words):
    return command.main(list(words))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["out=a.onnx"], "run=… must be given"),
        (["run=R", "out=a.pt"], "out=a.pt must be the name of a file that ends in .onnx"),
        (["run=R", "out=a.onnx", "runtime=torch"], "runtime=torch reads no files; choose runtime=onnx"),
        (["run=R", "out=a.onnx", "precision=int4"], "precision=int4 is not one of float32, int8"),
        (["run=R", "out=a.onnx", "frames=-1"], "frames=-1 must not be negative"),
        (["run=R", "out=a.onnx", "limit=-1"], "limit=-1 must be above 0 pixels"),
        ([f"run={__file__}", "out=a.onnx"], "is a file; give the directory of the run"),
        (["run=/nowhere", "out=a.onnx"], "/nowhere/config.yaml does not exist"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys):
    assert run("export", *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("lpose: ") and sentence in error and error.count("\n") == 1


def test_a_network_for_frames_of_any_size_wants_a_video(tmp_path):
    class AnySize(torch.nn.Module):
        any_size, image_size = True, (96, 96)

    with pytest.raises(ConfigError, match="RUN takes frames as large as they are; give a video of their size"):
        of_one_size(AnySize(), Options(run="RUN", out="a.onnx"))
    with VideoWriter(tmp_path / "v.mp4", 25.0, (48, 80)) as writer:
        writer.write(np.zeros((48, 80, 3), np.uint8))
    fixed = of_one_size(AnySize(), Options(run="RUN", out="a.onnx", source=str(tmp_path / "v.mp4")))
    assert fixed.image_size == (48, 80) and not fixed.any_size


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    if not DATA.exists():
        pytest.skip("the real data is not here; set LP_TEST_DATA")
    from lp_train import compose, train

    small = ["data.image_size=[64,64]", "training.max_epochs=1", "training.batch_size=40"]
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(compose([f"data.root={DATA}", f"out={out}", "backbone=resnet18", "backbone.pretrained=false", *small]))


def test_frames_are_those_not_trained_on_first(trained):
    from lp_train import load, load_model
    from lp_train.data import load_data

    model = load_model(trained)
    frames = real_frames(model, Options(run=str(trained), out="a.onnx", frames=4))
    assert frames.shape == (4, 64, 64, 3) and frames.dtype == np.uint8 and frames.flags.c_contiguous
    data = load_data(load(trained / "config.yaml"), say=lambda _: None)
    expected = data.dataset.batch(data.split.val[:4]).images.permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(frames, expected)
    video = next(DATA.glob("videos/*.mp4"))
    frames = real_frames(model, Options(run=str(trained), out="a.onnx", frames=5, source=str(video)))
    assert frames.shape == (5, 64, 64, 3) and len(np.unique(frames.reshape(5, -1), axis=0)) == 5


@pytest.mark.skipif(
    bool(ABSENT), reason=f"not installed here: {', '.join(ABSENT)} (pip install 'lp-infer[export,onnx]')"
)
def test_a_training_becomes_a_file(trained, tmp_path, capsys):
    from lp_infer.exported import read_exported

    out = tmp_path / "mouse.onnx"
    assert run("export", f"run={trained}", f"out={out}", "frames=6", "limit=200", "threads=1") == 0
    text = capsys.readouterr().out
    assert "6 real frames" in text and "ONNX Runtime" in text and "largest difference" in text and f"MB → {out}" in text
    said = read_exported(out).description
    assert len(said.keypoint_names) == 17 and said.image_size == (64, 64) and said.model_type == "heatmap"
    assert len(said.about["training_data_sha256"]) == 64
