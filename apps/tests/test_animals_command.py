"""Several animals from the command line: train, predict, track, draw."""

import pytest
from lp_apps.main import main
from lp_data.scene import SceneOptions, make_demo
from lp_io import read_predictions


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("arena")
    options = SceneOptions(animals=2, size=(96, 128), labeled=10, frames=12, ood_labeled=3, ood_frames=4)
    make_demo(root / "data", options)
    words = [
        f"data.root={root / 'data'}", f"out={root / 'run'}", "backbone=resnet18", "backbone.pretrained=false",
        "head=heatmap", "data.crop_size=[64,64]", "detector.threshold=0", "training.max_epochs=2", "training.batch_size=4",
        "training.example_images=false",
    ]  # fmt: skip
    assert main(["train", *words]) == 0
    return root / "run"


def test_videos_have_a_table_and_a_table_of_tracks(run):
    found, tracks = (read_predictions(run / "video_preds" / f"session0{end}.csv") for end in ("", "_tracks"))
    assert found.animals == tracks.animals and found.keypoints.shape == tracks.keypoints.shape == (12, 12, 2)
    assert (run / "video_preds" / "session0_tracks_temporal_norm.csv").exists()


def test_render_draws_the_tracks(run, capsys):
    video = run.parent / "data" / "videos" / "ood.mp4"
    assert main(["render", f"run={run}", f"source={video}"]) == 0
    assert (run / "video_preds" / "labeled_videos" / "ood_labeled.mp4").exists()


@pytest.mark.parametrize(("word", "message"), [("tracker=elipse", "did you mean 'ellipse'")])
def test_an_unknown_tracker_is_said_before_anything_is_predicted(run, word, message, capsys):
    video = run.parent / "data" / "videos" / "ood.mp4"
    assert main(["predict", f"run={run}", f"source={video}", f"out={run / 'never'}", word]) == 2
    assert message in capsys.readouterr().err and not (run / "never").exists()
