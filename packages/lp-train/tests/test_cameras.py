"""Several cameras with files of their own: read together, split by moments, seen at the same moments."""

import csv
import itertools

import numpy as np
import pytest
import torch
from lp_core import ConfigError, DataError
from lp_io import VideoWriter, read_predictions
from lp_train import compose, evaluate, train
from lp_train.build import build_tracker
from lp_train.cameras import joined, joined_poses, separated, videos_of_cameras
from lp_train.data import clip_source, load_data, video_files
from PIL import Image

SIZES = {"top": (80, 100), "side": (64, 72)}
MOMENTS, FRAMES = 20, 13


def silent(*_):
    pass


def picture(size, points):
    y, x = np.indices(size)
    image = np.full((*size, 3), 60.0)
    for channel, (px, py) in zip((0, 2), points, strict=True):
        image[..., channel] += 180 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture
def project(tmp_path):
    """Two points in space, X Y Z within 40; one camera sees (X, Y), the other (X, Z)."""
    rng, root = np.random.default_rng(0), tmp_path / "cameras"
    world = rng.uniform(8, 48, (MOMENTS, 2, 3))
    (root / "videos").mkdir(parents=True)
    for name, axes in (("top", [0, 1]), ("side", [0, 2])):
        folder = root / "labeled-data" / f"session_{name}"
        folder.mkdir(parents=True)
        rows = ["scorer,me,me,me,me", "bodyparts,red,red,blue,blue", "coords,x,y,x,y"]
        for i, points in enumerate(world[:, :, axes] + 6.0):
            Image.fromarray(picture(SIZES[name], points)).save(folder / f"img{i:03d}.png")
            rows.append(
                f"labeled-data/session_{name}/img{i:03d}.png," + ",".join(f"{v:.3f}" for v in points.reshape(-1))
            )
        (root / f"{name}.csv").write_text("\n".join(rows) + "\n")
        with VideoWriter(root / "videos" / f"session_{name}.mp4", 30.0, SIZES[name], threads=1) as writer:
            for t in range(FRAMES):
                moved = np.array([[10 + 2 * t, 20, 30], [40, 10 + t, 15 + t]], dtype=float)
                writer.write(picture(SIZES[name], moved[:, axes] + 6.0))
    return root


@pytest.fixture
def words(project, tmp_path, settings):
    return [
        *settings, f"data.root={project}", f"out={tmp_path / 'run'}", "data.view_names=[top,side]", "clips.sequence_length=4",
        "training.anneal.freeze_until_epoch=0", "training.steps_per_epoch=3", "training.max_epochs=3",
    ]  # fmt: skip


def test_arrangements_are_inverse_to_each_other():
    rows = np.arange(2 * 5 * 3 * 2.0).reshape(10, 3, 2)
    together = joined_poses(rows, 2)
    assert together.shape == (5, 6, 2) and np.array_equal(together[4, 3:], rows[9])
    assert all(
        np.array_equal(a, b)
        for a, b in zip(separated(together[..., 0], 2), (rows[:5, :, 0], rows[5:, :, 0]), strict=True)
    )
    assert np.array_equal(joined(torch.from_numpy(rows), 2).numpy(), together)
    assert joined(torch.tensor([True, True, False, True]), 2).tolist() == [False, True]


@pytest.mark.parametrize(
    "extra", [["losses=[temporal,pca_multiview,unimodal_kl,consistency]"], ["losses=[temporal]", "head=heatmap_mhcrnn"]]
)
def test_training_and_the_files_of_each_camera(words, extra):
    run = train(compose([*words, *extra]), say=silent)
    results = evaluate(run, say=silent)
    assert (
        results[0].name == "top+side" and results[0].splits["train"].count == 2 * 16 * 2
    )  # cameras, moments, keypoints
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert float(rows[-1]["train_temporal_loss"]) >= 0
    for name in ("top", "side"):
        table = read_predictions(run / f"predictions_{name}.csv")
        assert len(table.index) == MOMENTS and all(f"session_{name}" in image for image in table.index)
        for metric in ("pixel_error", "pca_multiview_error"):
            assert len(list(csv.reader((run / f"predictions_{name}_{metric}.csv").open()))) == 1 + MOMENTS
    sets = [read_predictions(run / f"predictions_{name}.csv").split for name in ("top", "side")]
    assert sets[0] == sets[1]  # one moment is never both trained on and tested on


def test_what_all_cameras_see_has_three_dimensions(words):
    """The labels span X, Y and Z: the loss fitted to them leaves nothing over, a point moved in one view it does."""
    config = compose([*words, "losses=[pca_multiview]", "losses.pca_multiview.epsilon=0"])
    data = load_data(config, silent)
    loss = build_tracker(config, data).unsupervised.plain.losses["pca_multiview"]
    poses = torch.from_numpy(joined_poses(data.labels.keypoints, 2))
    valid = torch.ones(len(poses), dtype=torch.bool)
    assert float(loss(stage="val", keypoints_pred=poses, valid=valid)[0]) < 0.01
    poses[0, 2, 0] += 20  # X of the red point as the second camera sees it
    assert float(loss(stage="val", keypoints_pred=poses[:1], valid=valid[:1])[0]) > 1


def test_clips_show_the_same_moments(words):
    config = compose([*words, "losses=[temporal]", "clips.augment=false"])
    load_data(config, silent)
    source = clip_source(config, video_files(config))
    for clip in itertools.islice(source.clips(0), source.clips_per_epoch):
        top, side = clip.frames.view(2, -1)
        assert torch.equal(top, side) and clip.images.shape[0] == 8
        assert clip.original_size.tolist() == [[80, 100]] * 4 + [[64, 72]] * 4
        red = clip.images[:, 0].float().flatten(1).argmax(1) % 64  # where the red point is, in input columns
        expected = [
            (16 + 2 * t + 0.5) * 64 / width - 0.5 for width, frames in ((100, top), (72, side)) for t in frames.tolist()
        ]
        assert np.abs(red.numpy() - expected).max() < 2.5


def test_mistakes_are_one_sentence(words, project, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.view_names=\['top'\] must be two different cameras"):
        compose([*words, "data.view_names=[top]"])
    with pytest.raises(ConfigError, match=r"data\.view_labels=\['a\.csv'\] must be one file per camera"):
        compose([*words, "data.view_labels=[a.csv]"])
    with pytest.raises(
        DataError, match=r"front\.csv does not exist; name the cameras' label files with data\.view_labels"
    ):
        load_data(compose([*words, "data.view_names=[top,front]"]), silent)
    videos = project / "videos"
    with pytest.raises(DataError, match="must have the name of one camera"):
        videos_of_cameras([videos / "session_front.mp4"], ["top", "side"])
    with pytest.raises(DataError, match="no video of camera side for session 'b'"):
        videos_of_cameras([videos / "a_top.mp4", videos / "a_side.mp4", videos / "b_top.mp4"], ["top", "side"])
    assert videos_of_cameras([videos / "a_sidetop.mp4", videos / "a_top.mp4"], ["top", "sidetop"]) == [
        [videos / "a_top.mp4"], [videos / "a_sidetop.mp4"],
    ]  # fmt: skip
    lines = (project / "side.csv").read_text().splitlines()
    (project / "side.csv").write_text("\n".join([*lines[:3], lines[4], lines[3], *lines[5:]]) + "\n")
    with pytest.raises(DataError, match=r"side\.csv has .*img001\.png in row 1, where .*img000"):
        load_data(compose(words), silent)
    (project / "side.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DataError, match=r"has 19 rows and .* has 20"):
        load_data(compose(words), silent)
