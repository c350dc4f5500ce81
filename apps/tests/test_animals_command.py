"""Several animals from the command line: train, predict, track, draw."""

import numpy as np
import pytest
from lp_apps.deeplabcut import get_inference_runners, video_inference
from lp_apps.main import main
from lp_core import ConfigError, DataError
from lp_data.scene import SceneOptions, make_demo
from lp_io import read_predictions
from lp_train import RunDir


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


COUNTS = {
    "num_bodyparts": 6,
    "num_unique_bodyparts": 0,
    "batch_size": 4,
    "detector_batch_size": 8,
    "detector_path": None,
}


def test_deeplabcut_s_two_functions_give_what_the_command_wrote(run):
    """Called as in DeepLabCut's document on its PyTorch engine."""
    given = {"transform": None, "detector_transform": None, "with_identity": False, **COUNTS}
    pose_runner, detector_runner = get_inference_runners(
        model_config={"method": "td"}, snapshot_path=RunDir(run).best(), max_individuals=2, **given
    )
    video = run.parent / "data" / "videos" / "session0.mp4"
    predictions = video_inference(
        video_path=video, task="td", pose_runner=pose_runner, detector_runner=detector_runner, with_identity=False
    )
    table = read_predictions(run / "video_preds" / "session0.csv")
    poses = np.stack([frame["bodyparts"] for frame in predictions])
    assert poses.shape == (12, 2, 6, 3) and all(set(frame) == {"bodyparts"} for frame in predictions)
    np.testing.assert_allclose(poses[..., :2].reshape(12, 12, 2), table.keypoints, atol=0.01)
    np.testing.assert_allclose(poses[..., 2].reshape(12, 12), table.confidence, atol=1e-3)
    best, _ = get_inference_runners(None, run, max_individuals=1)
    one = np.stack([frame["bodyparts"] for frame in video_inference(video, best)])
    np.testing.assert_allclose(one, poses[:, :1], atol=0.01)


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"batchsize": 4}, ConfigError, "no option 'batchsize'; did you mean 'batch_size'"),
        ({"num_bodyparts": 7}, ConfigError, "num_bodyparts=7, but .* was trained on 6"),
        ({"detector_path": "snapshot-detector-100.pt"}, ConfigError, "detector_path must be None"),
        ({"snapshot_path": "nowhere.pt"}, DataError, "nowhere.pt does not exist"),
        ({"snapshot_path": __file__}, DataError, "lies in no run"),
    ],
)
def test_what_these_functions_cannot_do_is_one_sentence(run, options, kind, sentence):
    with pytest.raises(kind, match=sentence) as error:
        get_inference_runners(None, **{"snapshot_path": run, **options})
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="needs a video and the pose_runner"):
        video_inference("video.mp4")
