"""Steps, rates and snapshots: gradients of several batches, schedules against torch's own, and which checkpoints stay."""

import csv
import dataclasses

import pytest
import pytorch_lightning as pl
import torch
from lp_core import ConfigError
from lp_train import RunDir, compose, fit, train
from lp_train.callbacks.checkpoints import snapshots
from lp_train.optimization import Schedule
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

NO_BATCH_NORM = ["backbone.model=test_convnext", "data.split.train=0.8", "data.split.val=0.2"]  # layer norm; 16 train


def silent(*_):
    pass


def last(run):
    return torch.load(RunDir(run).last, weights_only=True)


def losses_of(run):
    return [float(row["train_supervised_loss"]) for row in csv.DictReader((run / "metrics.csv").open())]


def switched_off(config):
    """The configuration without any augmentation."""
    for field in dataclasses.fields(config.augmentation):
        part = getattr(config.augmentation, field.name)
        if hasattr(part, "p"):
            part.p = 0.0
    return config


def test_two_half_batches_make_the_step_of_a_whole_one(overrides, tmp_path):
    """All keypoints labeled, no augmentation, no batch norm: the first running mean of Adam is a tenth of the gradient."""
    runs = {}
    for size, count in ((16, 1), (8, 2), (4, 4)):
        words = [*overrides, *NO_BATCH_NORM, f"training.batch_size={size}", f"training.accumulate_batches={count}"]
        config = switched_off(compose([*words, "training.max_epochs=1", f"out={tmp_path / str(count)}"]))
        runs[count] = train(config, say=silent)
    one, two, four = (
        [s["exp_avg"] for s in last(run)["optimizer_states"][0]["state"].values()] for run in runs.values()
    )
    largest = max(float(gradient.abs().max()) for gradient in one)
    assert last(runs[2])["global_step"] == last(runs[1])["global_step"] == 1 and largest > 1e-7
    for whole, halves, quarters in zip(one, two, four, strict=True):
        torch.testing.assert_close(halves, whole, rtol=0, atol=1e-4 * largest)
        torch.testing.assert_close(quarters, whole, rtol=0, atol=1e-4 * largest)
    assert losses_of(runs[2]) == pytest.approx(losses_of(runs[1]), rel=1e-6)
    assert losses_of(runs[4]) == pytest.approx(losses_of(runs[1]), rel=1e-6)


def test_resuming_between_unequal_steps_is_exact(overrides, tmp_path, killed):
    """Four batches an epoch, three to a step: the last step of an epoch is of one. Killed after one of three epochs."""
    words = [*overrides, "training.accumulate_batches=3", "backbone.drop_path=0.2", "training.max_epochs=3"]
    words += ["training.resume_interval_s=0", "training.ema_decay=0.9"]
    whole = train(compose([*words, f"out={tmp_path / 'whole'}"]), say=silent)
    config = compose([*words, "training.resume=true"])

    killed(config, drawn=1)
    one, two = last(whole), last(train(config, say=silent))
    assert one["global_step"] == two["global_step"] == 6
    assert all(torch.equal(one["state_dict"][k], two["state_dict"][k]) for k in one["state_dict"])


def test_clipping_shortens_the_whole_gradient(overrides, tmp_path):
    """After one step Adam's first running mean is a tenth of the gradient: as long as allowed, in the same direction."""
    whole = {}
    for longest in (0.0, 1e-4):
        words = [*overrides, "training.steps_per_epoch=1", "training.max_epochs=1", f"training.gradient_clip={longest}"]
        run = train(switched_off(compose([*words, f"out={tmp_path / str(longest)}"])), say=silent)
        means = [s["exp_avg"].flatten() for s in last(run)["optimizer_states"][0]["state"].values()]
        whole[longest] = 10 * torch.cat(means).double()
    free, clipped = whole.values()
    assert free.norm() > 1e-3 and float(clipped.norm()) == pytest.approx(1e-4, rel=1e-2)
    torch.testing.assert_close(clipped / clipped.norm(), free / free.norm(), rtol=0, atol=1e-5)


def test_what_is_evaluated_is_the_running_mean_of_the_weights(overrides, tmp_path):
    """Of two steps with a decay of 0.75: three quarters of the first's weights and a quarter of the second's."""

    def weights(name, steps, decay=0.0):
        words = ["training.max_epochs=1", f"training.steps_per_epoch={steps}", f"training.ema_decay={decay}"]
        run = train(switched_off(compose([*overrides, *words, f"out={tmp_path / name}"])), say=silent)
        return torch.load(RunDir(run).best(), weights_only=True)["state_dict"]

    one, two, mean = weights("one", 1), weights("two", 2), weights("mean", 2, 0.75)
    trained = [k for k, v in one.items() if v.is_floating_point() and "running" not in k and not torch.equal(v, two[k])]
    assert len(trained) > 10
    for key in trained:
        torch.testing.assert_close(mean[key], 0.75 * one[key] + 0.25 * two[key], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision_is_that_of_convolutions_and_of_nothing_kept(precision, dtype, overrides, monkeypatch):
    """The backbone computes in it; the head's outputs, which losses are sensitive to, and the weights do not."""
    seen, build = {}, fit.build_tracker

    def watched(config, data):
        tracker = build(config, data)
        layer = next(m for m in tracker.pose.backbone.modules() if isinstance(m, torch.nn.Conv2d))
        layer.register_forward_hook(lambda module, given, out: seen.setdefault("backbone", set()).add(out.dtype))
        tracker.pose.head.register_forward_hook(
            lambda module, given, out: seen.setdefault("head", set()).update(v.dtype for v in out.values())
        )
        return tracker

    monkeypatch.setattr(fit, "build_tracker", watched)
    words = [*overrides, f"training.precision={precision}", "training.max_epochs=1", "training.steps_per_epoch=1"]
    run = train(compose(words), say=silent)
    assert seen == {"backbone": {dtype}, "head": {torch.float32}}
    kept = last(run)["state_dict"].values()
    assert {v.dtype for v in kept if v.is_floating_point()} == {torch.float32}


class Recorder(pl.loggers.CSVLogger):
    """In place of Weights & Biases."""

    seen: list[dict[str, float]] = []  # noqa: RUF012

    def log_metrics(self, metrics, step=None):
        self.seen.append({name: float(value) for name, value in metrics.items()})


def test_weights_and_biases_gets_what_metrics_csv_has(overrides, monkeypatch):
    monkeypatch.setattr(fit, "WandbLogger", Recorder)
    monkeypatch.setattr(Recorder, "seen", [])
    run = train(compose([*overrides, "training.wandb=true", "training.max_epochs=2"]), say=silent)
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    for name in ("val_supervised_loss", "train_supervised_loss"):
        theirs = [metrics[name] for metrics in Recorder.seen if name in metrics]
        assert theirs == pytest.approx([float(row[name]) for row in rows], rel=1e-4)


def test_weights_and_biases_that_is_not_installed_is_one_sentence(overrides, monkeypatch):
    def absent(**_):
        raise ModuleNotFoundError("No module named 'wandb'")

    monkeypatch.setattr(fit, "WandbLogger", absent)
    with pytest.raises(ConfigError, match=r"needs Weights & Biases: pip install 'lp-train\[wandb\]'\.$"):
        train(compose([*overrides, "training.wandb=true"]), say=silent)


def factors(schedule, epochs):
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)
    torch_s = schedule(optimizer)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"] / 1e-3)
        optimizer.step()
        torch_s.step()
    return rates


def ours(*words):
    options = compose([*words, "training.learning_rate=1e-3", "training.max_epochs=40"]).training
    return [Schedule(options, 0).head(epoch) for epoch in range(40)]


@pytest.mark.filterwarnings("ignore")
def test_rtmpose_s_schedule_is_that_of_torch():
    """DeepLabCut's rtmpose: LinearLR from 0.001, constant, then CosineAnnealingLR; here for a tenth of the epochs."""
    words = ["training.schedule=cosine", "training.warmup_epochs=5", "training.cosine_from_epoch=20"]
    expected = factors(
        lambda o: SequentialLR(
            o, [LinearLR(o, 0.001, total_iters=5), CosineAnnealingLR(o, T_max=20, eta_min=5e-5)], [20]
        ),
        40,
    )
    assert ours(*words, "training.final_rate=5e-5") == pytest.approx(expected, rel=1e-6)
    assert expected[10] == pytest.approx(1) and expected[30] == pytest.approx(0.525)


@pytest.mark.filterwarnings("ignore")
def test_warming_up_multiplies_whatever_the_schedule_says():
    expected = factors(lambda o: LinearLR(o, 0.001, total_iters=7), 40)
    assert ours("training.schedule=constant", "training.warmup_epochs=7") == pytest.approx(expected, rel=1e-6)
    steps = ["training.schedule=steps", "training.rates=[5e-4]", "training.rate_epochs=[3]"]
    assert ours(*steps, "training.warmup_epochs=7") == pytest.approx(
        [f * (0.5 if epoch >= 3 else 1) for epoch, f in enumerate(expected)], rel=1e-6
    )


def test_rates_hold_from_their_epochs_on():
    """DeepLabCut's LRListScheduler: at exactly these epochs the rate is set; a rising one is a warm-up by hand."""
    factor = ours("training.schedule=steps", "training.rates=[1e-2,1e-4,1e-5]", "training.rate_epochs=[5,30,36]")
    assert factor == pytest.approx([1.0] * 5 + [10.0] * 25 + [0.1] * 6 + [0.01] * 4)


def test_rates_are_those_that_training_logs(overrides):
    words = ["training.schedule=steps", "training.rates=[5e-4,1e-4]", "training.rate_epochs=[1,3]"]
    run = train(compose([*overrides, *words, "training.max_epochs=4", "training.learning_rate=1e-3"]), say=silent)
    rows = csv.DictReader((run / "metrics.csv").open())
    assert [float(row["lr_head"]) for row in rows] == pytest.approx([1e-3, 5e-4, 5e-4, 1e-4])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["training.rates=[1e-4]"], r"training\.schedule=steps and training\.rates=.* need each other"),
        (["training.schedule=steps"], "need each other"),
        (["training.schedule=steps", "training.rates=[1e-4]", "training.rate_epochs=[5,9]"], "as many rates as epochs"),
        (["training.schedule=steps", "training.rates=[1,2]", "training.rate_epochs=[9,5]"], "must grow"),
        (["training.final_rate=1e-5"], r"are for training\.schedule=cosine"),
        (["training.keep_last=2"], r"needs training\.checkpoint_every_n_epochs=N"),
        (["training.accumulate_batches=0"], r"training\.accumulate_batches=0 must be above zero"),
    ],
)
def test_what_does_not_fit_is_one_sentence(words, message):
    with pytest.raises(ConfigError, match=message) as error:
        compose(words)
    assert "\n" not in str(error.value)


def test_the_newest_snapshots_stay_and_the_best_and_last_with_them(overrides):
    """Every second of seven epochs, with a validation every fifth; the first epoch's is the best."""
    words = ["training.checkpoint_every_n_epochs=2", "training.max_epochs=7", "training.check_val_every_n_epoch=5"]
    run = RunDir(train(compose([*overrides, *words, "training.keep_last=2"]), say=silent))
    assert [path.name for path in snapshots(run.checkpoints)] == ["epoch=3-step=16.ckpt", "epoch=5-step=24.ckpt"]
    assert run.last.exists() and run.best().name == "epoch=4-step=20-best.ckpt"
    assert torch.load(snapshots(run.checkpoints)[0], weights_only=True)["epoch"] == 3
    assert not list(run.checkpoints.glob("*.tmp"))


def test_what_a_killed_run_left_is_made_up_for(overrides):
    """Also with fewer to keep than before: the folder says what there is."""
    words = [*overrides, "training.checkpoint_every_n_epochs=1", "training.resume_interval_s=0"]
    run = RunDir(train(compose([*words, "training.max_epochs=3"]), say=silent))
    assert len(snapshots(run.checkpoints)) == 3
    more = ["training.max_epochs=4", "training.keep_last=1", "training.resume=true"]
    train(compose([*words, *more]), say=silent)
    assert [path.name for path in snapshots(run.checkpoints)] == ["epoch=3-step=16.ckpt"] and run.best().exists()
