"""Every loss against a float64 NumPy statement of its formula, and against the contract."""

import numpy as np
import pytest
import torch
from lp_core import ConfigError, losses
from lp_core.testing.loss import LossContract
from lp_losses import LossFactory, Renamed


@pytest.mark.parametrize(
    "name", ["heatmap_mse", "heatmap_kl", "heatmap_js", "regression_mse", "regression_rmse", "simcc_kl"]
)
class TestContract(LossContract):
    @pytest.fixture(autouse=True)
    def _name(self, name):
        self.name = name


def test_the_same_loss_on_another_output():
    inputs = LossContract().inputs()
    again = Renamed(losses["heatmap_kl"]().build(), "heatmap_kl_context", {"heatmaps_pred": "heatmaps_context_pred"})
    assert again.needs == {"heatmaps_targ", "heatmaps_context_pred"}
    value, logs = again(stage="train", **{**inputs, "heatmaps_context_pred": inputs["heatmaps_unimodal"]})
    other = losses["heatmap_kl"]().build()(stage="train", **{**inputs, "heatmaps_pred": inputs["heatmaps_unimodal"]})[0]
    assert torch.equal(value, other) and list(logs) == ["train_heatmap_kl_context_loss"]


def kl(p, q, floor):
    p, q = p + floor, q + floor
    return (p * np.log(p / q)).sum()


def per_map(i, function):
    """The mean of `function(target, prediction)` over maps whose target is not all zero."""
    pairs = [
        (t, p) for t, p in zip(i["heatmaps_targ"].reshape(-1, 30), i["heatmaps_pred"].reshape(-1, 30), strict=True)
    ]
    return np.mean([function(t, p) for t, p in pairs if t.any()])


def labeled_pairs(i):
    pairs = zip(i["keypoints_targ"].reshape(-1, 2), i["keypoints_pred"].reshape(-1, 2), strict=True)
    return [(t, p) for t, p in pairs if not np.isnan(t).any()]


def simcc(i):
    values = []
    for axis in "xy":
        for t, z in zip(i[f"simcc_{axis}_targ"].reshape(-1, 7), i[f"simcc_{axis}_pred"].reshape(-1, 7), strict=True):
            if t.any():
                values.append(kl(t, np.exp(z) / np.exp(z).sum(), 0))
    return np.mean(values)


FORMULAS = {
    "heatmap_mse": lambda i: per_map(i, lambda t, p: 30 * np.mean((t - p) ** 2)),
    "heatmap_kl": lambda i: per_map(i, lambda t, p: kl(t, p, 1e-10)),
    "heatmap_js": lambda i: per_map(i, lambda t, p: 0.5 * kl(t, (t + p) / 2, 1e-10) + 0.5 * kl(p, (t + p) / 2, 1e-10)),
    "regression_mse": lambda i: np.mean([(t - p) ** 2 for t, p in labeled_pairs(i)]),
    "regression_rmse": lambda i: np.mean([np.hypot(*(t - p)) for t, p in labeled_pairs(i)]),
    "simcc_kl": simcc,
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_formula(name, dtype):
    contract = LossContract()
    inputs = contract.drop(contract.inputs(), slice(1, 2))
    value = losses[name]().build()(stage="train", **{k: v.to(dtype) for k, v in inputs.items()})[0]
    expected = FORMULAS[name]({k: v.numpy() for k, v in inputs.items()})
    assert float(value) == pytest.approx(expected, rel=1e-6 if dtype is torch.float64 else 2e-5)


def test_the_logged_distance_is_euclidean():
    """The reference logs 3.54 for an offset of (3, 4)."""
    loss = losses["regression_rmse"]().build()
    value, _ = loss(stage="val", keypoints_targ=torch.zeros(1, 2, 2), keypoints_pred=torch.tensor([[[3.0, 4.0]] * 2]))
    assert float(value) == pytest.approx(5.0)


def test_a_distance_of_zero_has_a_finite_gradient():
    points = torch.ones(1, 1, 2, requires_grad=True)
    losses["regression_rmse"]().build()(stage="train", keypoints_targ=torch.ones(1, 1, 2), keypoints_pred=points)[
        0
    ].backward()
    assert points.grad.isfinite().all()


def test_factory_adds_weighted_losses_and_logs_them():
    inputs = LossContract().inputs()
    chosen = {
        "heatmap_mse": losses["heatmap_mse"]().build(),
        "heatmap_kl": losses["heatmap_kl"](log_weight=2.0).build(),
    }
    total, logs = LossFactory(chosen)("train", inputs, anneal=0.5)
    raw = {name: loss(stage="train", **inputs)[0] for name, loss in chosen.items()}
    expected = 0.5 * (0.5 * raw["heatmap_mse"] + 0.5 * np.exp(-2) * raw["heatmap_kl"])
    assert float(total) == pytest.approx(float(expected))
    assert float(logs["train_heatmap_kl_loss_weighted"]) == pytest.approx(float(0.25 * np.exp(-2) * raw["heatmap_kl"]))
    assert {"train_heatmap_mse_loss", "train_heatmap_mse_weight"} <= logs.keys()


def test_a_loss_that_is_only_logged_does_not_count():
    inputs = LossContract().inputs()
    both = {name: losses[name]().build() for name in ("heatmap_mse", "regression_rmse")}
    alone = LossFactory({"heatmap_mse": both["heatmap_mse"]})("val", inputs)[0]
    total, logs = LossFactory(both)("val", inputs)
    assert torch.equal(total, alone) and logs["val_regression_rmse_loss"] > 0


def test_a_missing_input_names_loss_and_input():
    factory = LossFactory({"heatmap_mse": losses["heatmap_mse"]().build()})
    with pytest.raises(ConfigError, match=r"losses\.heatmap_mse needs heatmaps_pred"):
        factory("train", {"heatmaps_targ": torch.zeros(1, 1, 2, 2)})


def test_log_weight_is_an_option_of_the_config():
    assert losses["heatmap_mse"](log_weight=0.0).build().weight == 0.5
