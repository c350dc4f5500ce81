"""Training on a small project: it learns, it freezes, it resumes to the bit."""

import copy
import csv
import dataclasses
import json
from unittest import mock

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from lp_core import ConfigError, DataError
from lp_train import RunDir, compose, evaluate, load_model, train
from lp_train.build import build_schedule, build_tracker
from lp_train.callbacks.plateau import Plateau
from lp_train.callbacks.progress import clock
from lp_train.data import load_data
from lp_train.metrics import ErrorSummary, pck, pixel_error
from lp_train.optimization import Schedule
from lp_train.seeding import step_seed
from lp_train.tracker import original_keypoints


def silent(*_):
    pass


def weights(run):
    return torch.load(RunDir(run).last, weights_only=True)["state_dict"]


def test_it_learns_and_writes_what_the_reference_writes(overrides, project):
    words = [
        *overrides,
        "training.max_epochs=50",
        "head.loss=kl",
        "augmentation=default",
        "backbone.output_stride=16",
        "training.learning_rate=3e-3",
    ]
    run = train(compose(words), say=silent)
    (project / "CollectedData_new.csv").write_text((project / "CollectedData.csv").read_text())
    results = evaluate(run, say=silent)
    assert results[0].splits["train"].mean < 5 and results[1].name == "CollectedData_new"  # chance is 35 px
    for name in ("predictions", "predictions_pixel_error", "predictions_new", "predictions_pixel_error_new"):
        assert (run / f"{name}.csv").exists()
    assert (run / "image_preds/CollectedData.csv/predictions.csv").read_text() == (run / "predictions.csv").read_text()
    rows = list(csv.reader((run / "predictions_pixel_error.csv").open()))
    assert rows[0] == ["", "red", "blue", "set"] and {r[-1] for r in rows[1:]} <= {"train", "validation", "test"}
    # the error column is the distance between the prediction column and the label, computed here once more
    predictions = list(csv.reader((run / "predictions.csv").open()))[3:]
    labels = list(csv.reader((project / "CollectedData.csv").open()))[3:]
    for p, t, e in zip(predictions, labels, rows[1:], strict=True):
        assert float(e[1]) == pytest.approx(np.hypot(float(p[1]) - float(t[1]), float(p[2]) - float(t[2])), abs=1e-6)
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["task"] == "one animal"
    assert sum(len(part) for part in provenance["split"].values()) == 20 and len(provenance["data"]["sha256"]) == 64
    metrics = list(csv.DictReader((run / "metrics.csv").open()))
    assert len(metrics) == 50 and float(metrics[-1]["val_pixel_error"]) < float(metrics[0]["val_pixel_error"])
    assert list((run / "tb_logs/model/version_0").glob("events*")) and RunDir(run).best().name.endswith("-best.ckpt")
    model = load_model(run)
    assert model.keypoint_names == ("red", "blue") and not model.training


@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["training.ema_decay=0.9", "training.schedule=cosine"],
        ["training.schedule=plateau", "training.patience=1", "backbone.drop_path=0.2"],
    ],
)
def test_a_resumed_run_ends_in_the_same_weights(overrides, tmp_path, killed, extra):
    """Interrupted after two of five epochs, with augmentation and a shuffled order: bit-equal."""
    words = [*overrides, *extra, "training.resume_interval_s=0"]
    whole = train(compose([*words, "training.max_epochs=5", f"out={tmp_path / 'whole'}"]), say=silent)
    config = compose([*words, "training.max_epochs=5", "training.resume=true"])

    killed(config, drawn=2)
    run = train(config, say=silent)
    one, two = weights(whole), weights(run)
    assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
    left, right = (
        [r["train_supervised_loss"] for r in csv.DictReader((r / "metrics.csv").open())] for r in (whole, run)
    )
    assert left == right and len(left) == 5


def test_a_run_is_not_overwritten_nor_resumed_as_another(overrides):
    words = [*overrides, "training.max_epochs=1"]
    train(compose(words), say=silent)
    with pytest.raises(
        ConfigError, match=r"already holds a run; choose another directory, or go on with training\.resume=true"
    ):
        train(compose(words), say=silent)
    with pytest.raises(ConfigError, match=r"training\.batch_size is 2 but the run .* was started with 4"):
        train(compose([*words, "training.resume=true", "training.batch_size=2"]), say=silent)


def test_a_frozen_backbone_costs_nothing_and_stays(overrides):
    config = compose([*overrides, "training.unfreezing_epoch=3"])
    data = load_data(config)
    tracker = build_tracker(config, data).train()
    tracker.schedule = dataclasses.replace(tracker.schedule, pretrained=True)
    tracker.on_train_epoch_start()
    before = copy.deepcopy(tracker.net.backbone.state_dict())
    inputs = tracker.get_loss_inputs_labeled(data.dataset.batch(data.split.train[:4]))
    loss, _ = tracker.losses("train", inputs)
    loss.backward()
    assert all(p.grad is None for p in tracker.net.backbone.parameters())
    assert all(p.grad is not None for p in tracker.net.head.parameters())
    after = tracker.net.backbone.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)  # batch norm's statistics too


def test_a_frozen_backbone_of_random_weights_gathers_statistics(overrides):
    """Its batch norm has none yet: without them what it gives is noise of any size."""
    config = compose([*overrides, "training.unfreezing_epoch=3"])
    data = load_data(config)
    tracker = build_tracker(config, data).train()
    tracker.on_train_epoch_start()
    before = copy.deepcopy(tracker.net.backbone.state_dict())
    tracker.get_loss_inputs_labeled(data.dataset.batch(data.split.train[:4]))
    after = tracker.net.backbone.state_dict()
    changed = {k.rpartition(".")[2] for k in before if not torch.equal(before[k], after[k])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}


def test_the_schedule_is_the_reference_s():
    config = compose(["training.max_epochs=300", "training.unfreezing_epoch=20"]).training
    schedule = Schedule(config, 20)
    assert [schedule.head(e) for e in (0, 149, 150, 200, 250)] == [1, 1, 0.5, 0.25, 0.125]
    assert (
        schedule.backbone(19) == 0
        and schedule.backbone(20) == pytest.approx(0.1)
        and schedule.backbone(22) == pytest.approx(0.225)
    )
    assert schedule.backbone(40) == 1 and schedule.backbone(160) == 0.5
    short = Schedule(
        dataclasses.replace(config, max_epochs=30), 2
    )  # a tenth of the epochs: the same shares of training
    assert [short.backbone(e) for e in range(30)] == pytest.approx([schedule.backbone(10 * e) for e in range(30)])
    cosine = Schedule(dataclasses.replace(config, schedule="cosine"), 0)
    assert cosine.head(0) == 1 and cosine.head(150) == pytest.approx(0.5)


def test_the_unfreezing_epoch_follows_the_weights():
    assert build_schedule(compose(["backbone.pretrained=false"])).unfreezing_epoch == 0
    assert build_schedule(compose(["backbone.pretrained=true"])).unfreezing_epoch == 20


def test_plateau_lowers_the_factor():
    trainer, module = mock.Mock(spec=pl.Trainer), mock.Mock(spec=pl.LightningModule)
    trainer.sanity_checking, module.plateau_factor = False, torch.ones(())
    plateau = Plateau(0.5, 2)
    factors = []
    for value in (1.0, 1.0, 1.0, 0.5, 0.6, 0.7):
        trainer.callback_metrics = {"val_supervised_loss": value}
        plateau.on_validation_end(trainer, module)
        factors.append(float(module.plateau_factor))
    assert factors == [1, 1, 0.5, 0.5, 0.5, 0.25]


def test_original_pixels():
    """Stretching 100 × 80 to 64 × 64 maps x to (x + 0.5) 0.64 - 0.5; this is the way back."""
    points = torch.tensor([[[31.5, 31.5]], [[0.0, 0.0]]])
    back = original_keypoints(points, torch.tensor([[80, 100], [64, 64]]), (64, 64))
    torch.testing.assert_close(back, torch.tensor([[[49.5, 39.5]], [[0.0, 0.0]]]))


def test_metrics():
    labeled = np.array([[[0.0, 0], [30, 40]], [[np.nan, np.nan], [1, 1]]])
    predicted = np.array([[[3.0, 4], [30, 40]], [[0, 0], [1, 2]]])
    error = pixel_error(predicted, labeled)
    np.testing.assert_array_equal(error, [[5, 0], [np.nan, 1]])
    assert pck(error, labeled, 0.1) == 100 and pck(error, labeled, 0.09) == 50  # the diagonal is 50 px
    summary = ErrorSummary.of(error)
    assert (summary.count, summary.mean, summary.percentiles[50]) == (3, 2.0, 1.0) and ErrorSummary.of(
        np.array([np.nan])
    ).count == 0


def test_small_things():
    assert clock(75) == "1:15" and clock(3700) == "1:01:40"
    assert len({step_seed(s, t, p) for s in range(3) for t in range(50) for p in (1, 2)}) == 300


def test_a_checkpoint_needs_no_download_and_no_label_file(overrides, project, monkeypatch):
    run = train(compose([*overrides, "training.max_epochs=1"]), say=silent)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("pretrained: false", "pretrained: true"))
    (project / "CollectedData.csv").unlink()
    monkeypatch.setattr("socket.socket.connect", None)
    assert load_model(run).image_size == (64, 64)


def test_a_keypoint_without_any_label_is_one_sentence(overrides, project):
    lines = (project / "CollectedData.csv").read_text().splitlines()
    rows = [",".join([*line.split(",")[:3], "", ""]) for line in lines[3:]]
    (project / "CollectedData.csv").write_text("\n".join([*lines[:3], *rows]))
    with pytest.raises(DataError, match="no label at all for blue"):
        load_data(compose(overrides))


def test_an_empty_directory_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match="must be the directory of a run"):
        load_model(tmp_path)
