"""Networks that are told poses, from the command line: by another run, by a table, by the frame before."""

import numpy as np
import pytest
from lp_apps.main import main
from lp_data.scene import SceneOptions, make_demo
from lp_io import read_predictions

SMALL = [
    "backbone.pretrained=false", "data.crop_size=[64,64]", "training.max_epochs=1", "training.batch_size=4",
    "training.example_images=false", "evaluation.predict_videos=false", "data.image_size=[96,128]",
]  # fmt: skip
NET = "backbone.model=mobilenetv3_small_050"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("arena")
    options = SceneOptions(animals=2, size=(96, 128), labeled=10, frames=20, ood_labeled=3, ood_frames=4)
    make_demo(root / "data", options)
    data = f"data.root={root / 'data'}"
    finds = ["backbone=timm", NET, "head=heatmap", "detector.width=0.25", "detector.threshold=0"]
    assert main(["train", data, f"out={root / 'finds'}", *finds, *SMALL]) == 0
    told = ["backbone=cond_prenet", NET, "head=heatmap", f"conditions={root / 'finds'}"]
    assert main(["train", data, f"out={root / 'told'}", *told, *SMALL]) == 0
    return root


def predicted(root, out, *words: str) -> np.ndarray:
    video = root / "data" / "videos" / "session0.mp4"
    assert main(["predict", f"run={root / 'told'}", f"source={video}", f"out={out}", "batch_size=4", *words]) == 0
    return read_predictions(out / "session0.csv").keypoints


def test_a_table_tells_what_the_run_that_wrote_it_tells(root, tmp_path):
    words = ["predict", f"run={root / 'finds'}", f"source={root / 'data' / 'videos' / 'session0.mp4'}", "batch_size=4"]
    assert main([*words, f"out={tmp_path / 'found'}"]) == 0
    table = tmp_path / "found" / "session0.csv"
    by_run, by_table = predicted(root, tmp_path / "run"), predicted(root, tmp_path / "table", f"conditions={table}")
    assert np.isfinite(by_run).all(-1).any()
    assert np.allclose(by_run, by_table, atol=1e-2, equal_nan=True)
    assert (tmp_path / "run" / "session0_tracks.csv").exists()


def test_following_writes_tracks_that_are_the_table(root, tmp_path):
    first = predicted(root, tmp_path / "a", "tracker=ctd", "tracker.pause=2", "tracker.min_confidence=0")
    other = predicted(
        root, tmp_path / "b", "tracker=ctd", "tracker.pause=2", "tracker.min_confidence=0", "batch_size=7"
    )
    tracks = read_predictions(tmp_path / "a" / "session0_tracks.csv")
    assert np.isfinite(first).all(-1).any() and np.array_equal(first, tracks.keypoints, equal_nan=True)
    assert np.allclose(first, other, atol=1e-3, equal_nan=True)


def test_a_table_of_labeled_frames_is_measured_with(root):
    table = root / "finds" / "predictions.csv"
    assert main(["evaluate", f"run={root / 'told'}", f"conditions={table}", "per_keypoint=false"]) == 0
    assert len(read_predictions(root / "told" / "predictions.csv").index) == 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tracker=ctd", "workers=2"], "leave out workers"),
        (["tracker=ctd", "conditions=x.csv"], "leave out workers"),
        (["conditions=x.csv", "workers=2"], "predict that alone"),
        (["tracker=ctd", "tracker.pause=0"], "tracker.pause=0"),
        (["tracker=ctdd"], "Installed: box, ellipse"),
    ],
)
def test_what_cannot_be_is_said(root, words, message, tmp_path, capsys):
    source = f"source={root / 'data' / 'videos' / 'ood.mp4'}"
    assert main(["predict", f"run={root / 'told'}", source, f"out={tmp_path / 'never'}", *words]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "never" / "ood.csv").exists()


def test_a_network_that_finds_animals_by_itself_follows_none(root, tmp_path, capsys):
    source = f"source={root / 'data' / 'videos' / 'ood.mp4'}"
    assert main(["predict", f"run={root / 'finds'}", source, f"out={tmp_path}", "tracker=ctd"]) == 2
    assert "networks that are told poses" in capsys.readouterr().err
