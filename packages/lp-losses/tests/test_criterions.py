"""Weighted criterions and the losses of DeepLabCut's heads, against float64 NumPy statements and the contract."""

import numpy as np
import pytest
import torch
from lp_core import ConfigError, losses
from lp_core.testing.loss import LossContract
from lp_losses import criterions

SHAPE = (3, 4, 6, 5)


def huber(t, p, delta=1.0):
    d = abs(p - t)
    return np.where(d < delta, d**2 / 2, delta * (d - delta / 2))


def smooth_l1(t, p, beta=1 / 9):
    d = abs(p - t)
    return np.where(d < beta, d**2 / (2 * beta), d - beta / 2)


def square(t, p):
    return (p - t) ** 2


def bce(t, z):
    return -t * np.log(1 / (1 + np.exp(-z))) - (1 - t) * np.log(1 - 1 / (1 + np.exp(-z)))


def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


def averaged(values, weight):
    weight = np.broadcast_to(weight, values.shape)
    kept = weight != 0
    return (values[kept] * weight[kept]).sum() / max(kept.sum(), 1)


def bins():
    """Target (positive), logits, and a weight per keypoint; NaN where that is zero."""
    _, logits, weight = example((3, 4), (3, 4))
    g = torch.Generator().manual_seed(4)
    targ, logits = torch.rand(3, 4, 7, generator=g).double(), logits[..., None] * torch.rand(7, generator=g).double()
    return torch.where(weight[..., None] == 0, torch.nan, targ), logits, weight


ELEMENTWISE = {
    "weighted_mse": (square, {}),
    "weighted_huber": (huber, {"delta": 0.7}),
    "weighted_bce": (bce, {}),
    "dekr_offset": (smooth_l1, {"beta": 0.4}),
}


def example(weight_shape=SHAPE, shape=SHAPE):
    """Target, prediction and weight, of which a third are zero; where it is, the target is NaN."""
    g = torch.Generator().manual_seed(3)
    targ, pred = torch.rand(shape, generator=g).double(), 3 * torch.randn(shape, generator=g).double()
    weight = torch.rand(weight_shape, generator=g).double()
    weight = torch.where(weight < 0.33, 0.0, weight)
    assert (weight == 0).any() and (weight > 0).any()
    return torch.where(weight == 0, torch.nan, targ), pred, weight


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("weight_shape", [SHAPE, (3, 4, 1, 1), (1, 4, 6, 5)])
def test_elementwise_criterions(name, weight_shape):
    targ, pred, weight = example(weight_shape)
    statement, options = ELEMENTWISE[name]
    value = getattr(criterions, name)(targ, pred, weight, **options)
    expected = averaged(statement(targ.numpy(), pred.numpy(), **options), weight.numpy())
    assert float(value) == pytest.approx(expected, rel=1e-6)


def test_the_defaults_are_those_of_deeplabcut():
    targ, pred, weight = example()
    arrays = targ.numpy(), pred.numpy()
    assert float(criterions.weighted_huber(targ, pred, weight)) == pytest.approx(
        averaged(huber(*arrays), weight.numpy())
    )
    assert float(criterions.dekr_offset(targ, pred, weight)) == pytest.approx(
        averaged(smooth_l1(*arrays), weight.numpy())
    )


def test_dekr_heatmap_is_a_mean_over_all_cells():
    targ, pred, weight = example()
    expected = np.nan_to_num(square(targ.numpy(), pred.numpy()) * weight.numpy()).sum() / targ.numel()
    assert float(criterions.dekr_heatmap(targ, pred, weight)) == pytest.approx(expected, rel=1e-6)


def kl_statement(targ, logits, beta, label_beta):
    share = targ if label_beta is None else softmax(label_beta * targ)
    return (share * (np.log(share) - np.log(softmax(beta * logits)))).sum(-1)


@pytest.mark.parametrize(("beta", "label_beta"), [(1.0, None), (10.0, 10.0), (2.0, None)])
def test_weighted_kl(beta, label_beta):
    targ, logits, weight = bins()
    targ = targ if label_beta else targ / targ.sum(-1, keepdim=True)
    value = criterions.weighted_kl(targ, logits, weight, beta=beta, label_beta=label_beta)
    values = kl_statement(targ.numpy(), logits.numpy(), beta, label_beta)
    assert float(value) == pytest.approx(averaged(values, weight.numpy()), rel=1e-6)
    kept = weight.numpy() != 0
    deeplabcut = (np.where(kept, values / 7, 0) * weight.numpy()).sum() / 4  # mean over bins, divided by the keypoints
    assert float(value) * kept.sum() / (4 * 7) == pytest.approx(deeplabcut, rel=1e-6)
    twice = [torch.cat([t, t]) for t in (targ, logits, weight)]
    torch.testing.assert_close(criterions.weighted_kl(*twice, beta=beta, label_beta=label_beta), value)


CRITERIONS = [*ELEMENTWISE, "dekr_heatmap", "weighted_kl"]


@pytest.mark.parametrize("name", CRITERIONS)
def test_gradients(name):
    targ, pred, weight = bins() if name == "weighted_kl" else example()
    function = getattr(criterions, name)
    assert torch.autograd.gradcheck(lambda p: function(targ, p, weight), [pred.requires_grad_()])


@pytest.mark.parametrize("name", CRITERIONS)
def test_no_weight_at_all_is_zero_with_a_gradient_path(name):
    _, pred, weight = bins() if name == "weighted_kl" else example()
    value = getattr(criterions, name)(torch.full_like(pred, torch.nan), pred.requires_grad_(), torch.zeros_like(weight))
    value.backward()
    assert value == 0 and (pred.grad == 0).all()


def test_options_of_simcc():
    inputs = LossContract().inputs()
    loss = losses.make("simcc_kl", beta=10.0, label_beta=5.0).build()
    pairs = [(inputs[f"simcc_{a}_targ"].numpy(), inputs[f"simcc_{a}_pred"].numpy()) for a in "xy"]
    expected = np.mean([kl_statement(*pair, 10.0, 5.0) for pair in pairs])
    assert float(loss(stage="train", **inputs)[0]) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ConfigError, match=r"losses\.simcc_kl: beta=0 "):
        losses.make("simcc_kl", beta=0.0)


def head_outputs():
    """Of a head with 4 score maps, 4 refinements and 3 fields in x and y."""
    g = torch.Generator().manual_seed(1)
    out = {}
    for name, channels in (("scoremaps", 4), ("locref", 8), ("paf", 6), ("offsets", 8)):
        out[f"{name}_pred"] = 2 * torch.randn(3, channels, 6, 5, generator=g).double()
        out[f"{name}_targ"] = torch.rand(3, channels, 6, 5, generator=g).double()
        weight = torch.rand(3, channels, 6, 5, generator=g).double()
        out[f"{name}_weight_targ"] = torch.where(weight < 0.3, 0.0, weight)
    del out["paf_weight_targ"]
    return out


class HeadContract(LossContract):
    def inputs(self):
        return super().inputs() | head_outputs()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("locref", {}),
        ("locref", {"criterion": "mse", "reduction": "mean"}),
        ("locref", {"locref_weight": 0.0}),
        ("paf", {}),
        ("paf", {"criterion": "mse", "locref_weight": 0.0}),
        ("dekr", {}),
    ],
)
class TestContract(HeadContract):
    @pytest.fixture(autouse=True)
    def _name(self, name, options):
        self.name, self.options = name, options


def statements(i):
    """Each term by itself."""

    def term(name, statement):
        return averaged(statement(i[f"{name}_targ"], i[f"{name}_pred"]), i.get(f"{name}_weight_targ", np.ones(1)))

    return {
        "bce": term("scoremaps", bce),
        "mse": term("scoremaps", square),
        "locref": term("locref", huber),
        "paf": term("paf", huber),
        "offsets": term("offsets", smooth_l1),
        "dekr": (square(i["scoremaps_targ"], i["scoremaps_pred"]) * i["scoremaps_weight_targ"]).mean(),
    }


FORMULAS = {
    ("locref", ()): lambda s: s["bce"] + 0.05 * s["locref"],
    ("locref", (("criterion", "mse"), ("locref_weight", 0.5), ("reduction", "mean"))): lambda s: (
        (s["mse"] + 0.5 * s["locref"]) / 2
    ),
    ("locref", (("locref_weight", 0.0), ("reduction", "mean"))): lambda s: s["bce"],
    ("paf", ()): lambda s: s["bce"] + 0.05 * s["locref"] + 0.1 * s["paf"],
    ("paf", (("paf_weight", 0.3), ("reduction", "mean"))): lambda s: (
        (s["bce"] + 0.05 * s["locref"] + 0.3 * s["paf"]) / 3
    ),
    ("paf", (("paf_weight", 0.0),)): lambda s: s["bce"] + 0.05 * s["locref"],
    ("dekr", ()): lambda s: s["mse"] + 0.03 * s["offsets"],
    ("dekr", (("reduction", "mean"),)): lambda s: (s["dekr"] + 0.03 * s["offsets"]) / 2,
}


@pytest.mark.parametrize(("name", "options"), FORMULAS)
def test_formula(name, options):
    inputs = head_outputs()
    expected = FORMULAS[name, options](statements({k: v.numpy() for k, v in inputs.items()}))
    value = losses.make(name, **dict(options)).build()(stage="train", **inputs)[0]
    assert float(value) == pytest.approx(expected, rel=1e-6)


def test_terms_are_logged_without_their_share():
    inputs = head_outputs()
    expected = statements({k: v.numpy() for k, v in inputs.items()})
    _, logs = losses.make("paf", paf_weight=9.0).build()(stage="val", **inputs)
    assert logs.keys() == {"val_paf_loss", "val_paf_scoremaps_loss", "val_paf_locref_loss", "val_paf_paf_loss"}
    assert float(logs["val_paf_paf_loss"]) == pytest.approx(expected["paf"], rel=1e-6)


def test_fields_have_a_weight_if_the_head_gives_one():
    inputs = head_outputs()
    weight = torch.zeros(3, 6, 6, 5).double()
    weight[1, 2] = 0.5
    _, logs = losses.make("paf").build()(stage="val", **inputs, paf_weight_targ=weight)
    values = huber(inputs["paf_targ"].numpy(), inputs["paf_pred"].numpy())
    assert float(logs["val_paf_paf_loss"]) == pytest.approx(0.5 * values[1, 2].mean(), rel=1e-6)


def test_earlier_stages_count_as_much_as_the_last():
    inputs = head_outputs()
    loss, other = losses.make("paf").build(), head_outputs()["paf_pred"] + 1
    value = loss(stage="val", **inputs, paf_stages_pred=torch.stack([other, other], dim=1))[1]["val_paf_paf_loss"]
    last, earlier = (
        loss(stage="val", **{**inputs, "paf_pred": pred})[1]["val_paf_paf_loss"] for pred in (inputs["paf_pred"], other)
    )
    assert float(value) == pytest.approx(float(last + 2 * earlier) / 3, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("locref", {"criterion": "kl"}, r"losses\.locref\.criterion=kl must be bce or mse"),
        ("paf", {"reduction": "max"}, r"losses\.paf\.reduction=max must be sum or mean"),
        ("paf", {"paf_weight": -1.0}, r"losses\.paf\.paf_weight=-1 must not be below zero"),
        ("dekr", {"offset_weight": -1.0}, r"losses\.dekr\.offset_weight=-1"),
    ],
)
def test_impossible_options(name, options, message):
    with pytest.raises(ConfigError, match=message):
        losses.make(name, **options)
