"""What every loss must do."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lp_core import TrainingPoses, losses
from lp_core.tensors import Loss

SHAPE = {"batch": 3, "keypoints": 4, "height": 6, "width": 5}
BINS = 7


class LossContract:
    """Subclass in a plugin's tests and set `name`; override `inputs` for inputs of other names.

    `options` switch off what would make the loss zero on the inputs; `unlabeled` says how an input marks a keypoint
    that is not labeled; `directed` is for losses between consecutive frames that are another one backwards.
    """

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012
    unlabeled: dict[str, float] = {"keypoints_targ": float("nan")}  # noqa: RUF012
    directed = False

    def build(self, **options: Any) -> Loss:
        """The loss with its default options but for `options`."""
        return losses.make(self.name, **self.options, **options).build(self.poses())

    def poses(self) -> TrainingPoses:
        """Labels to learn from: four keypoints, two body parts in two views, in a subspace but for noise."""
        rng = np.random.default_rng(0)
        flat = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(40, 8)) + 5
        names = ("nose_top", "tail_top", "nose_bot", "tail_bot")
        return TrainingPoses(keypoint_names=names, keypoints=flat.reshape(40, 4, 2), views=((0, 1), (2, 3)))

    def inputs(self) -> dict[str, Tensor]:
        """Random inputs in float64 under the names of the vocabulary, all keypoints labeled."""
        g = torch.Generator().manual_seed(0)
        b, k, h, w = SHAPE.values()
        names = [f"heatmaps_{n}" for n in ("targ", "pred", "unimodal", "teacher")]
        maps = {n: torch.rand(b, k, h, w, generator=g, dtype=torch.float64) for n in names}
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
        sure = {n: torch.rand(b, k, generator=g, dtype=torch.float64) for n in ("confidences", "confidences_teacher")}
        return {**maps, **points, **bins, **sure, "valid": torch.ones(b, dtype=torch.bool)}

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

    def test_padding_changes_nothing(self) -> None:
        if "valid" not in self.build().needs:
            pytest.skip("the loss is for labeled frames, which are never padding")
        inputs = self.inputs()
        rest = {k: v[:-1] for k, v in inputs.items()}
        padded = {
            k: torch.cat([v[:-1], torch.rand_like(v[-1:]) if v.is_floating_point() else ~v[-1:]])
            for k, v in inputs.items()
        }
        torch.testing.assert_close(self.value(padded), self.value(rest))

    def test_nothing_but_padding_is_zero_with_a_gradient_path(self) -> None:
        if "valid" not in self.build().needs:
            pytest.skip("the loss is for labeled frames, which are never padding")
        inputs = self.inputs() | {"valid": torch.zeros(SHAPE["batch"], dtype=torch.bool)}
        predictions = [inputs[k].requires_grad_() for k in sorted(self.build().needs) if k.endswith("_pred")]
        value = self.value(inputs)
        value.backward()
        assert value == 0 and all(p.grad is not None and (p.grad == 0).all() for p in predictions)

    def test_it_runs_on_a_known_stream(self) -> None:
        streams = self.build().streams
        assert streams and streams <= {"labeled", "unlabeled"}
        assert "unlabeled" not in streams or not any(k.endswith("_targ") for k in self.build().needs)

    def test_batch_order_does_not_matter(self) -> None:
        if self.directed:
            pytest.skip("the loss has a direction in time")
        inputs = self.inputs()
        flipped = {k: v.flip(0) for k, v in inputs.items()}
        torch.testing.assert_close(self.value(flipped), self.value(inputs))

    def test_weight_follows_log_weight(self) -> None:
        one, two = self.build(log_weight=0.0), self.build(log_weight=1.0)
        assert one.weight == 0 or abs(one.weight / two.weight - 2.718281828459045) < 1e-9
        assert one.weight in (0, 0.5)

    def test_inputs_it_does_not_need_are_ignored(self) -> None:
        inputs = self.inputs()
        needed = {k: inputs[k] for k in self.build().needs}
        torch.testing.assert_close(self.value(inputs), self.value(needed))
