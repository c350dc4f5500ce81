"""What every loss must do."""

import dataclasses

import pytest
import torch
from torch import Tensor

from lp_core import losses
from lp_core.tensors import Loss

SHAPE = {"batch": 3, "keypoints": 4, "height": 6, "width": 5}
BINS = 7


class LossContract:
    """Subclass in a plugin's tests and set `name`; override `inputs` for inputs of other names.

    `unlabeled` says how an input marks a keypoint that is not labeled.
    """

    name: str
    unlabeled: dict[str, float] = {"keypoints_targ": float("nan")}  # noqa: RUF012

    def build(self) -> Loss:
        """The loss with its default options."""
        return losses[self.name]().build()

    def inputs(self) -> dict[str, Tensor]:
        """Random inputs in float64 under the names of the vocabulary, all keypoints labeled."""
        g = torch.Generator().manual_seed(0)
        b, k, h, w = SHAPE.values()
        maps = {n: torch.rand(b, k, h, w, generator=g, dtype=torch.float64) for n in ("heatmaps_targ", "heatmaps_pred")}
        maps = {n: m / m.sum((-1, -2), keepdim=True) for n, m in maps.items()}
        points = {
            n: 9 * torch.rand(b, k, 2, generator=g, dtype=torch.float64) for n in ("keypoints_targ", "keypoints_pred")
        }
        bins = {
            f"simcc_{a}_{p}": torch.rand(b, k, BINS, generator=g, dtype=torch.float64)
            for a in "xy"
            for p in ("targ", "pred")
        }
        bins = {n: v / v.sum(-1, keepdim=True) if n.endswith("targ") else v for n, v in bins.items()}
        return {**maps, **points, **bins, "confidences": torch.rand(b, k, generator=g, dtype=torch.float64)}

    def drop(self, inputs: dict[str, Tensor], rows: slice) -> dict[str, Tensor]:
        """The same with the keypoints of `rows` marked as not labeled."""
        out = {}
        for key, value in inputs.items():
            out[key] = value.clone()
            if key.endswith("_targ"):
                out[key][rows] = self.unlabeled.get(key, 0.0)
        return out

    def value(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.build()(stage="train", **inputs)[0]

    def test_its_config_is_a_slots_dataclass(self) -> None:
        cls = losses[self.name]
        assert dataclasses.is_dataclass(cls) and hasattr(cls, "__slots__")

    def test_it_satisfies_the_protocol(self) -> None:
        loss = self.build()
        assert isinstance(loss, Loss) and loss.needs <= self.inputs().keys()

    def test_scalar_finite_and_logged(self) -> None:
        scalar, logs = self.build()(stage="val", **self.inputs())
        assert scalar.shape == () and scalar.isfinite() and scalar > 0
        assert logs and all(key.startswith("val_") and value.isfinite() for key, value in logs.items())

    def test_gradient(self) -> None:
        inputs = self.inputs()
        wanted = [k for k in sorted(self.build().needs) if k.endswith("_pred")]

        def of(*values: Tensor) -> Tensor:
            return self.value({**inputs, **dict(zip(wanted, values, strict=True))})

        assert torch.autograd.gradcheck(of, [inputs[k].requires_grad_() for k in wanted])

    def test_unlabeled_keypoints_change_nothing(self) -> None:
        if not any(k.endswith("_targ") for k in self.build().needs):
            pytest.skip("the loss uses no labels")
        inputs = self.inputs()
        rest = {k: v[:-1] for k, v in inputs.items()}
        torch.testing.assert_close(self.value(self.drop(inputs, slice(-1, None))), self.value(rest))

    def test_nothing_labeled_is_zero_with_a_gradient_path(self) -> None:
        if not any(k.endswith("_targ") for k in self.build().needs):
            pytest.skip("the loss uses no labels")
        inputs = self.drop(self.inputs(), slice(None))
        predictions = [inputs[k].requires_grad_() for k in sorted(self.build().needs) if k.endswith("_pred")]
        value = self.value(inputs)
        value.backward()
        assert value == 0 and all(p.grad is not None and (p.grad == 0).all() for p in predictions)

    def test_batch_order_does_not_matter(self) -> None:
        inputs = self.inputs()
        flipped = {k: v.flip(0) for k, v in inputs.items()}
        torch.testing.assert_close(self.value(flipped), self.value(inputs))

    def test_weight_follows_log_weight(self) -> None:
        one, two = losses[self.name]().build(), losses[self.name](log_weight=1.0).build()
        assert one.weight == 0 or abs(one.weight / two.weight - 2.718281828459045) < 1e-9
        assert one.weight in (0, 0.5)

    def test_inputs_it_does_not_need_are_ignored(self) -> None:
        inputs = self.inputs()
        needed = {k: inputs[k] for k in self.build().needs}
        torch.testing.assert_close(self.value(inputs), self.value(needed))
