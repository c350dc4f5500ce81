"""Training with unlabeled video: it resumes to the bit, it says what is missing, it undoes the augmentation."""

import copy
import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_core import ConfigError, TrainingPoses, losses, metrics
from lp_core.tensors import Clip
from lp_data import batch_rows
from lp_io import VideoWriter, read_predictions
from lp_train import RunDir, compose, evaluate, load_model, streams, train, write_video_metrics
from lp_train.build import build_tracker
from lp_train.data import load_data
from lp_train.pose_metrics import build_metrics
from lp_train.poses import load_poses, mirrored_views, save_poses
from lp_train.streams import Sampling, StreamLoader, TrainBatch, augment
from lp_train.unsupervised import Anneal

ALL = "losses=[temporal,pca_singleview,unimodal_kl,temporal_heatmap_mse,consistency]"
PULLED = ["losses.temporal.epsilon=0", "losses.temporal.prob_threshold=0", "losses.temporal.log_weight=-9"]


def silent(*_):
    pass


@pytest.fixture
def videos(project):
    """Two dots that move, as in the labeled images; two videos of different sizes."""
    folder = project / "videos"
    folder.mkdir()
    for name, count, (height, width) in (("a", 21, (80, 100)), ("b", 6, (64, 64))):
        y, x = np.indices((height, width))
        with VideoWriter(folder / f"{name}.mp4", 30.0, (height, width), threads=1) as writer:
            for t in range(count):
                image = np.full((height, width, 3), 60.0)
                for channel, (px, py) in zip((0, 2), ((20 + t, 30), (50, 20 + t)), strict=True):
                    image[..., channel] += 180 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)
                writer.write(image.clip(0, 255).astype(np.uint8))
    return folder


@pytest.fixture
def words(overrides, videos):
    return [
        *overrides,
        "clips.sequence_length=4",
        "training.anneal.freeze_until_epoch=0",
        "training.anneal.increase_factor=0.1",
        "training.steps_per_epoch=3",
    ]


def state(run):
    return torch.load(RunDir(run).last, weights_only=True)["state_dict"]


@pytest.mark.parametrize("extra", [[ALL], ["losses=[temporal,pca_singleview]", "head=heatmap_mhcrnn"]])
def test_a_resumed_run_ends_in_the_same_weights(words, tmp_path, killed, extra):
    """Killed after two of four epochs; clips, augmentation, annealing, teacher and subspaces are as they would have been."""
    words = [*words, *extra, "training.resume_interval_s=0", "training.max_epochs=4"]
    whole = train(compose([*words, f"out={tmp_path / 'whole'}"]), say=silent)
    config = compose([*words, "training.resume=true"])

    killed(config, drawn=2)
    one, two = state(whole), state(train(config, say=silent))
    assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
    assert any("pca_singleview.components" in key for key in one)
    rows = [list(csv.DictReader((r / "metrics.csv").open())) for r in (whole, Path(config.out))]
    assert rows[0] == rows[1]
    names = {"train_temporal_loss", "train_temporal_loss_weighted", "train_temporal_weight", "train_unsupervised_loss"}
    names |= {"train_labeled_pca_singleview_loss", "val_labeled_pca_singleview_loss"}
    assert names <= rows[0][-1].keys() and all(rows[0][-1][n] for n in names)
    weights = [row["train_temporal_weight"] for row in rows[0]]
    assert weights[0] == "" and float(weights[2]) == pytest.approx(2 * float(weights[1]), rel=1e-4)  # a straight line


def test_predictions_on_clips_are_in_original_pixels_with_the_augmentation_undone(words):
    """The network is replaced by one that knows where the dots are in the augmented clip."""
    config = compose([*words, "losses=[temporal]"])
    data = load_data(config, silent)
    tracker = build_tracker(config, data)
    truth = torch.tensor([[[20.0, 30.0], [50.0, 25.0]]]).expand(4, -1, -1)  # original pixels of an 80 × 100 frame
    scale = torch.tensor([64 / 100, 64 / 80])
    moved = torch.tensor([[0.9, -0.2, 6.0], [0.3, 1.1, -4.0]])
    augmented = (truth * scale + (scale - 1) / 2) @ moved[:, :2].T + moved[:, 2]
    tracker.net.head.predictor = lambda outputs: (augmented, torch.ones(4, 2))
    clip = Clip(
        images=torch.zeros(4, 3, 64, 64, dtype=torch.uint8), valid=torch.ones(4, dtype=torch.bool), transform=moved,
        original_size=torch.tensor([80, 100]), video=0, frames=torch.arange(4),
    )  # fmt: skip
    inputs = tracker.get_loss_inputs_unlabeled(clip)
    torch.testing.assert_close(inputs["keypoints_pred"], truth, atol=1e-4, rtol=0)
    torch.testing.assert_close(inputs["keypoints_pred_augmented"], augmented)


@pytest.mark.parametrize("extra", [[], ["head=heatmap_mhcrnn"], ["head.hidden=8"]])
def test_clips_are_seen_as_at_prediction(words, extra):
    """Labeled frames alone tell a batch norm its statistics; the clip gets the outputs that prediction would give."""
    config = compose([*words, *extra, "losses=[temporal]", *PULLED])
    data = load_data(config, silent)
    tracker = build_tracker(config, data).train()
    source = config.clips.build(sorted((Path(config.data.root) / "videos").iterdir()), image_size=(64, 64), seed=0)
    batch = TrainBatch(labeled=data.dataset.batch(data.split.train[:4]), seed=0, clip=next(source.clips(0)))
    tracker._log = lambda *_: None  # there is no trainer to log to
    tracker.unsupervised.anneal = lambda epoch: 1.0
    only = copy.deepcopy(tracker)
    only.unsupervised.anneal = lambda epoch: 0.0
    total, supervised = tracker.training_step(batch, 0), only.training_step(batch, 0)
    assert total > supervised
    total.backward()
    for mine, alone in zip(tracker.net.buffers(), only.net.buffers(), strict=True):
        assert torch.equal(mine, alone)
    found = tracker.get_loss_inputs_unlabeled(batch.clip)["heatmaps_pred"]
    tracker.eval()
    with torch.no_grad():
        outputs = tracker.net.outputs(tracker.net.get_representations(batch.clip.images))
    torch.testing.assert_close(found, outputs["heatmaps_pred"], atol=1e-5, rtol=1e-4)


def test_labels_pass_through_the_labeled_stream_unchanged(words):
    """What losses without labels get on labeled frames is in the pixels that the subspace was fitted in."""
    config = compose([*words, "losses=[pca_singleview]", "losses.pca_singleview.components_to_keep=4"])
    data = load_data(config, silent)
    tracker = build_tracker(config, data)
    rows = data.split.train[:6]
    batch = data.dataset.batch(rows)
    augmented = tracker.augmentation(batch.images, batch.keypoints, batch.visibility, torch.Generator().manual_seed(0))
    tracker.net.head.predictor = lambda outputs: (augmented.keypoints, torch.ones(6, 2))
    sizes, valid = batch.original_size, torch.ones(6, dtype=torch.bool)
    inputs = tracker.unsupervised.inputs(tracker.net, {}, augmented.transforms, sizes, valid)
    back, labels = inputs["keypoints_pred"], torch.from_numpy(data.labels.keypoints[rows]).float()
    known = back.isfinite()
    assert known.sum() > 12 and (back[known] - labels[known]).abs().max() < 3  # elastic displacement is not undone


def test_the_shorter_stream_starts_again(words):
    config = compose([*words, "losses=[temporal]"])
    data = load_data(config, silent)
    source = config.clips.build(sorted((Path(config.data.root) / "videos").iterdir()), image_size=(64, 64), seed=0)
    assert source.clips_per_epoch == 8  # 21 frames in 6 clips, 6 frames in 2
    loader = StreamLoader(data.dataset, data.split.train, Sampling(batch_size=4, seed=0), source=source)
    batches = list(loader)
    labeled = [b.labeled.index.tolist() for b in batches]
    assert len(loader) == len(batches) == 8 and len(labeled[0]) == 4
    passes = [sorted(row for rows in labeled[first : first + 4] for row in rows) for first in (0, 4)]
    assert passes == [sorted(data.split.train.tolist())] * 2
    assert {(b.clip.video, int(b.clip.frames[0])) for b in batches} == {(0, s) for s in (0, 4, 8, 12, 16, 17)} | {
        (1, 0),
        (1, 2),
    }
    assert (
        len(StreamLoader(data.dataset, data.split.train, Sampling(batch_size=4, seed=0, steps=3), source=source)) == 3
    )
    loader.set_epoch(1)
    assert [b.labeled.index.tolist() for b in loader] != labeled


def test_every_step_of_a_training_has_a_batch_and_an_augmentation_of_its_own(words, monkeypatch):
    """Lightning tells only those loaders the epoch that have a sampler."""
    steps, seeds = [], []

    def recorded(rows, size, seed, step):
        steps.append(step)
        return batch_rows(rows, size, seed, step)

    def changed(batch, augmentation, seed):
        seeds.append(seed)
        return augment(batch, augmentation, seed)

    monkeypatch.setattr(streams, "batch_rows", recorded)
    monkeypatch.setattr(streams, "augment", changed)
    extra = ["losses=[temporal]", "training.max_epochs=3", "training.steps_per_epoch=4"]
    train(compose([*words, *extra]), say=silent)
    assert steps == list(range(12)) and len(set(seeds)) == 12


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (["losses=[temporal]", "data.videos=/nowhere"], r"temporal learns from video, but /nowhere is not a directory"),
        (
            ["losses=[temporal]", "clips.sequence_length=1"],
            r"losses\.temporal compares frames, and clips.sequence_length=1",
        ),
        (["losses=[pca_multiview]"], r"losses\.pca_multiview needs keypoints seen in several views"),
        (["losses=[unimodal_kl]", "head=regression"], r"losses\.unimodal_kl needs heatmaps_pred, heatmaps_unimodal"),
        (["losses=[consistency]", "head=heatmap_mhcrnn"], r"losses\.consistency changes every frame on its own"),
        (["losses=[temporal]", "losses.temporal.epsilon=[1,2,3]"], r"has 3 values for 2 keypoints"),
        (
            ["data.mirrored_column_matches=[[0],[7]]"],
            r"data\.mirrored_column_matches=\[7\] must be different keypoint numbers",
        ),
        (["data.mirrored_column_matches=[[0]]"], r"has one view"),
        (["losses=[pca_singleview]", "data.split.train_frames=3"], r"losses\.pca_singleview cannot be fitted"),
    ],
)
def test_a_loss_that_cannot_be_fed_stops_before_training(words, extra, sentence, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        train(compose([*words, *extra]), say=silent)
    assert not (tmp_path / "run").exists()


def test_processes_that_train_together_agree(words):
    """Two processes on the CPU, each with half of every batch and clips of its own."""
    run = train(compose([*words, "losses=[temporal]", "training.devices=2", "training.max_epochs=2"]), say=silent)
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert len(rows) == 2 and float(rows[-1]["train_temporal_loss"]) >= 0
    assert evaluate(run, say=silent)[0].splits["train"].count > 0


def test_annealing_is_the_reference_s_for_its_300_epochs():
    config = compose([]).training
    anneal = Anneal.of(config.anneal, 300)
    assert [anneal(e) for e in (0, 60, 61, 110, 160, 299)] == pytest.approx([0, 0, 0.01, 0.5, 1, 1])
    assert Anneal(0, 0.5, 2.0)(100) == 2.0


def test_the_teacher_is_a_running_mean(words):
    config = compose([*words, "losses=[consistency]"])
    tracker = build_tracker(config, load_data(config, silent))
    teacher, student = tracker.unsupervised.teacher, tracker.net
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    with torch.no_grad():
        for p in student.parameters():
            p.add_(1.0)
    tracker.unsupervised.follow(student, step=10_000)
    for key, value in teacher.state_dict().items():
        if key in dict(student.named_parameters()):
            torch.testing.assert_close(value, before[key] + 0.01, rtol=1e-4, atol=1e-6)
    assert not any(p.requires_grad for p in teacher.parameters()) and not tracker.train().unsupervised.teacher.training


def test_views_are_found_in_names():
    names = ("paw_top", "nose_top", "obs_top", "nose_bot", "paw_bot", "ear_left", "eye_left", "ear_right", "eye_right")
    assert mirrored_views(names) == {"top": (0, 1), "bot": (4, 3)}
    assert mirrored_views(("paw_left", "ear_left", "paw_right", "ear_right")) == {}
    assert mirrored_views(("a_cam0", "b_cam0", "a_cam1", "b_cam1")) == {"cam0": (0, 1), "cam1": (2, 3)}


def test_metrics_learn_from_the_run_and_need_no_labels(tmp_path):
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 8)) * 10 + 100
    poses = TrainingPoses(
        keypoint_names=("a_top", "b_top", "a_bot", "b_bot"), keypoints=flat.reshape(60, 4, 2), views=((0, 1), (2, 3)),
        singleview=(0, 1, 2, 3),
    )  # fmt: skip
    save_poses(tmp_path / "p.npz", poses)
    read = load_poses(tmp_path / "p.npz")
    assert (
        read.views == poses.views
        and read.singleview == poses.singleview
        and read.keypoint_names == poses.keypoint_names
    )
    found = {m.name: m for m in build_metrics(read)}
    assert {"pixel_error", "temporal_norm", "pca_singleview_error", "pca_multiview_error"} <= found.keys()
    np.testing.assert_allclose(found["pca_singleview_error"](poses.keypoints), 0, atol=1e-6)
    off = poses.keypoints.copy()
    off[5, 2] += 30
    error = found["pca_singleview_error"](off)
    assert error[5].max() > 1 and np.allclose(np.delete(error, 5, 0), 0, atol=1e-6)
    norm = found["temporal_norm"](poses.keypoints)
    assert np.isnan(norm[0]).all() and norm[3, 1] == pytest.approx(
        np.hypot(*(poses.keypoints[3, 1] - poses.keypoints[2, 1]))
    )


def test_ground_truth_scores_what_its_own_subspace_leaves_over(words, project):
    """The reference scored 39.8 px on mirror-mouse's labels where 2.5 is right; here both ways of asking agree."""
    run = train(compose([*words, "training.max_epochs=1"]), say=silent)
    poses = load_poses(RunDir(run).poses)
    loss = losses.make("pca_singleview", components_to_keep=3, epsilon=0.0).build(poses)
    labels = torch.from_numpy(poses.keypoints)
    value = loss(stage="val", keypoints_pred=labels, valid=torch.ones(len(labels), dtype=torch.bool))[0]
    metric = metrics.make("pca_singleview_error", components_to_keep=3).build(poses)
    assert float(value) == pytest.approx(np.nanmean(metric(poses.keypoints)), rel=1e-6) and float(value) > 0.1


def test_video_metrics_lie_beside_predictions(words, project):
    run = train(compose([*words, "training.max_epochs=1"]), say=silent)
    evaluate(run, say=silent)
    table = run / "video.csv"
    table.write_text((run / "predictions.csv").read_text())
    written = write_video_metrics(run, table)
    assert [p.name for p in written] == ["video_pca_singleview_error.csv", "video_temporal_norm.csv"]
    rows = list(csv.reader(written[1].open()))
    assert (
        rows[0] == ["", "red", "blue"]
        and rows[1][1:] == ["", ""]
        and len(rows) == 1 + len(read_predictions(table).index)
    )
    assert write_video_metrics(run, table) == []  # they are newer than the predictions
    written[0].unlink()
    assert write_video_metrics(run, table) == [written[0]]


def test_a_checkpoint_that_is_none_is_one_sentence(words, project, tmp_path):
    run = train(compose([*words, "training.max_epochs=1"]), say=silent)
    (tmp_path / "half.ckpt").write_bytes(RunDir(run).last.read_bytes()[:5000])
    with pytest.raises(ConfigError, match=r"half\.ckpt cannot be read as a checkpoint \(.*\); give another"):
        load_model(run, tmp_path / "half.ckpt")
    with pytest.raises(ConfigError, match=r"checkpoint=.*gone\.ckpt does not exist"):
        load_model(run, tmp_path / "gone.ckpt")
