"""TensorBoard's files, read by TensorBoard's own reader."""

import csv
from unittest.mock import Mock

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from lp_core.tensors import LabeledBatch
from lp_train import Drawers, RunDir, compose, evaluate, log_results, train
from lp_train.callbacks import ExampleImages
from lp_train.tensorboard import hyper_parameters, tag
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

LOSSES = {"temporal", "pca_multiview"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("train_supervised_loss", "loss/train_supervised"),
        ("val_supervised_loss", "loss/val_supervised"),
        ("train_unsupervised_loss", "loss/train_unsupervised"),
        ("train_detection_loss", "loss/train_detection"),
        ("val_pixel_error", "error/val_pixels"),
        ("lr-Adam/backbone", "learning_rate/backbone"),
        ("lr-SGD", "learning_rate/SGD"),
        ("train_temporal_loss", "unsupervised/temporal/train_raw"),
        ("train_temporal_loss_weighted", "unsupervised/temporal/train_weighted"),
        ("train_temporal_weight", "unsupervised/temporal/train_weight"),
        ("val_labeled_pca_multiview_loss", "unsupervised/pca_multiview/val_labeled_raw"),
        ("train_heatmap_kl_loss_weighted", "loss_terms/heatmap_kl/train_weighted"),
        ("val_heatmap_kl_weight", "loss_terms/heatmap_kl/val_weight"),
        ("epoch", "progress/epoch"),
    ],
)
def test_values_are_where_people_look(name, wanted):
    assert tag(name, LOSSES) == wanted


@pytest.fixture(scope="module")
def finished(tmp_path_factory, settings_and_project):
    """A run with pictures that are as wide as there are examples, so that they tell what was drawn."""
    settings, project = settings_and_project
    seen = {"labels": [], "heatmaps": [], "subspace": []}

    def keep(kind):
        def draw(*values):
            seen[kind].append(values)
            return np.zeros((4, 5, 3), np.uint8)

        return draw

    words = [*settings, f"data.root={project}", f"out={tmp_path_factory.mktemp('runs') / 'run'}", "training.max_epochs=6",
             "training.pictures_every_n_epochs=3"]  # fmt: skip
    run = train(compose(words), draw=Drawers(**{kind: keep(kind) for kind in seen}), say=lambda *_: None)
    results = evaluate(run, say=lambda *_: None)
    log_results(run, results)
    events = EventAccumulator(str(RunDir(run).logs), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return run, results, events, seen


@pytest.fixture(scope="module")
def settings_and_project(tmp_path_factory):
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("project")
    rows = ["scorer,me,me,me,me", "bodyparts,red,red,blue,blue", "coords,x,y,x,y"]
    for number in range(20):
        Image.fromarray(rng.integers(0, 255, (80, 100, 3), dtype=np.uint8)).save(root / f"img{number:02d}.png")
        rows.append(f"img{number:02d}.png," + ",".join(f"{v:.2f}" for v in rng.uniform(8, 72, 4)))
    (root / "CollectedData.csv").write_text("\n".join(rows) + "\n")
    words = [
        "backbone=timm", "backbone.model=resnet10t", "backbone.pretrained=false", "data.image_size=[64,64]",
        "training.batch_size=4", "training.accelerator=cpu", "training.precision=float32",
        "training.check_val_every_n_epoch=1", "data.split.train=0.7", "data.split.val=0.2",
    ]  # fmt: skip
    return words, root


def test_curves_are_those_of_metrics_csv(finished):
    run, _, events, _ = finished
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    for column, name in (("train_supervised_loss", "loss/train_supervised"), ("val_pixel_error", "error/val_pixels")):
        values = [event.value for event in events.Scalars(name)]
        np.testing.assert_allclose(values, [float(row[column]) for row in rows], rtol=1e-4)
    groups = {name.partition("/")[0] for name in events.Tags()["scalars"]}
    assert groups == {"loss", "loss_terms", "error", "error_per_keypoint", "learning_rate", "progress", "final"}


def test_errors_per_keypoint_average_to_the_error(finished):
    """Every keypoint is labeled in every frame, so that the mean of means is the mean."""
    _, _, events, _ = finished
    each = np.array([[e.value for e in events.Scalars(f"error_per_keypoint/{n}")] for n in ("red", "blue")])
    np.testing.assert_allclose(each.mean(0), [e.value for e in events.Scalars("error/val_pixels")], rtol=1e-4)


def test_pictures_come_as_often_as_asked(finished):
    _, _, events, seen = finished
    count = {name: len(events.Images(name)) for name in events.Tags()["images"]}
    assert count == {
        "examples/labels (circles) and predictions (dots)": 3, "examples/heatmaps": 3,
        "subspaces of the labels/pca_singleview": 1,
    }  # fmt: skip  # after epochs 1, 3 and 6
    (images, labels, predictions), (shown, maps) = seen["labels"][0], seen["heatmaps"][0]
    assert images.shape == shown.shape == (4, 64, 64, 3) and images.dtype == shown.dtype == np.uint8
    assert labels.shape == predictions.shape == (4, 2, 2) and maps.shape[:2] == (4, 2)
    assert np.array_equal(images, shown)


@pytest.mark.parametrize(
    ("epochs", "between", "every", "wanted"),
    [(6, 1, 3, [1, 3, 6]), (300, 5, None, [5, *range(30, 301, 30)]), (10, 5, 1, [5, 10]), (7, 2, 4, [2, 4, 6])],
)
def test_when_pictures_are_due(epochs, between, every, wanted):
    trainer = Mock(spec=pl.Trainer, max_epochs=epochs, check_val_every_n_epoch=between, current_epoch=0)
    nothing = torch.zeros(1, 1, 2)
    batch = LabeledBatch(
        images=torch.zeros(1, 3, 8, 8, dtype=torch.uint8), keypoints=nothing, visibility=torch.zeros(1, 1, dtype=torch.long),
        index=torch.zeros(1, dtype=torch.long), original_size=torch.tensor([[8, 8]]),
    )  # fmt: skip
    found = []
    for done in range(between, epochs + 1, between):
        trainer.current_epoch = done - 1
        if ExampleImages(batch, Drawers(), (), every)._due(trainer):
            found.append(done)
    assert found == wanted


def test_the_tab_of_hyper_parameters_has_them_and_what_came_of_them(finished):
    _, results, events, _ = finished
    content = {k: HParamsPluginData.FromString(v) for k, v in events.PluginTagToContent("hparams").items()}
    start = content["_hparams_/session_start_info"].session_start_info.hparams
    assert start["batch_size"].number_value == 4 and start["backbone"].string_value == "timm"
    assert start["losses"].string_value == "supervised only" and start["pretrained"].string_value == "false"
    metrics = {i.name.tag for i in content["_hparams_/experiment"].experiment.metric_infos}
    assert "final/validation_mean_pixels" in metrics and metrics <= set(
        events.Tags()["scalars"]
    )  # else the column is empty
    (event,) = events.Scalars("final/validation_mean_pixels")
    assert event.value == pytest.approx(results[0].splits["validation"].mean)
    assert content["_hparams_/session_end_info"].session_end_info.status == 1  # STATUS_SUCCESS


def test_hyper_parameters_are_plain_and_hold_no_path():
    found = hyper_parameters(compose(["data.root=/secret/place", "out=/secret/run", "losses=[temporal]"]))
    assert all(type(v) in (int, float, str) for v in found.values()) and "secret" not in str(found)
    assert found["losses"] == "temporal" and "temporal.log_weight" in found


def test_one_option_turns_pictures_off(settings_and_project, tmp_path):
    settings, project = settings_and_project
    words = [*settings, f"data.root={project}", f"out={tmp_path / 'run'}", "training.max_epochs=1"]
    run = train(
        compose([*words, "training.example_images=false"]),
        draw=Drawers(labels=lambda *_: pytest.fail("drawn")), say=lambda *_: None,
    )  # fmt: skip
    events = EventAccumulator(str(RunDir(run).logs))
    assert events.Reload().Tags()["images"] == [] and "error_per_keypoint/red" in events.Tags()["scalars"]
