"""The demo's truth is the truth."""

import csv

import numpy as np
import pytest
from lp_core import ConfigError
from lp_data.scene import NAMES, SceneOptions, Session, make_demo
from lp_io import VideoReader, read_labels, read_predictions

SMALL = SceneOptions(labeled=12, frames=20, ood_labeled=4, ood_frames=8)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    make_demo(folder, SMALL)
    return folder


def test_the_same_seed_makes_the_same_bytes(root, tmp_path):
    make_demo(tmp_path, SMALL)
    for name in (
        "CollectedData.csv",
        "CollectedData_new.csv",
        "ground_truth/session0.csv",
        "videos/session0.mp4",
        "scene.yaml",
    ):
        assert (tmp_path / name).read_bytes() == (root / name).read_bytes()
    make_demo(tmp_path / "other", SceneOptions(seed=1, labeled=2, frames=3, ood_labeled=1, ood_frames=1))
    assert (tmp_path / "other/ground_truth/session0.csv").read_text() != (
        root / "ground_truth/session0.csv"
    ).read_text()


@pytest.mark.parametrize("ood", [False, True])
def test_dots_painted_at_the_keypoints_are_found_there(ood):
    """A moving dot, averaged over the open shutter, has its centre of mass at the truth."""
    session = Session(SceneOptions(labeled=1, frames=40, ood_labeled=1, ood_frames=40), ood)
    painter = session.painter(markers=True)
    truth = session.truth(painter)
    errors = []
    for index in range(0, 40, 4):
        picture = painter.frame(index)[0][..., 0].astype(float)
        for k, (x, y) in enumerate(truth[index]):
            if np.delete(np.linalg.norm(truth[index] - truth[index, k], axis=-1), k).min() < 16:
                continue
            top, left = round(y) - 7, round(x) - 7
            window = picture[top : top + 15, left : left + 15]
            rows, columns = np.indices(window.shape)
            centre = np.array([(columns * window).sum(), (rows * window).sum()]) / window.sum() + [left, top]
            errors.append(centre - [x, y])
    assert len(errors) > 50 and np.abs(errors).max() < 1  # whole pixels are painted
    assert np.abs(np.mean(errors, axis=0)).max() < 0.1  # and none to one side


def test_both_views_together_span_three_dimensions():
    session = Session(SceneOptions(frames=200), False)
    truth = session.truth(session.painter())
    parts = truth.shape[1] // 2
    both = np.concatenate([truth[:, :parts], truth[:, parts:]], axis=-1).reshape(-1, 4)
    values = np.linalg.svd(both - both.mean(0), compute_uv=False)
    assert values[3] < 1e-6 * values[0] and values[2] > 0.05 * values[0]


def test_motion_is_continuous_and_the_animal_stays_in_the_picture():
    for ood, limit in ((False, 12), (True, 16)):
        session = Session(SceneOptions(), ood)
        truth = session.truth(session.painter())
        assert np.abs(np.diff(truth, axis=0)).max() < limit
        assert ((truth >= 0) & (truth <= [319, 287])).mean() > 0.99


def test_the_video_shows_what_was_painted_frame_by_frame(root):
    session = Session(SMALL, False)
    painter = session.painter()
    pictures = [picture for picture, _ in session.frames(painter)]
    with VideoReader(root / "videos/session0.mp4") as reader:
        frames = reader.clip(0, reader.frame_count)
    assert len(frames) == 20
    for i, frame in enumerate(frames):
        errors = [np.abs(frame.astype(int) - p).mean() for p in pictures]
        assert np.argmin(errors) == i and errors[i] < 8


def test_labels_are_the_truth_but_for_what_is_hidden(root):
    labels, truth = read_labels(root), read_predictions(root / "ground_truth/session0.csv")
    assert labels.keypoint_names == truth.keypoint_names == NAMES and len(labels) == 12
    rows = [int(name[-12:-4]) for name in labels.images]
    labeled = np.isfinite(labels.keypoints).all(-1)
    np.testing.assert_allclose(labels.keypoints[labeled], truth.keypoints[rows][labeled], atol=6e-4)
    seen = truth.confidence[rows] == 1
    assert labeled[seen].all() and 0 < (~labeled[~seen]).mean() < 1 and 0.7 < seen.mean() < 1
    assert len(read_labels(root, file="CollectedData_new.csv")) == 4


def test_sessions_differ_in_looks(root):
    with VideoReader(root / "videos/session0.mp4") as usual, VideoReader(root / "videos/ood.mp4") as other:
        assert np.abs(usual.clip(0, 1).mean((0, 1, 2)) - other.clip(0, 1).mean((0, 1, 2))).max() > 10


def test_impossible_options_and_the_layout(root):
    with pytest.raises(ConfigError, match="more labeled frames than frames"):
        SceneOptions(labeled=10, frames=5)
    header = list(csv.reader((root / "CollectedData.csv").open()))[:3]
    assert [row[0] for row in header] == ["scorer", "bodyparts", "coords"] and len(header[0]) == 1 + 2 * len(NAMES)
