"""What every head must do, together with its target generator and predictor."""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from lp_core import heads
from lp_core.tensors import Head

SIZE, CHANNELS, STRIDE, KEYPOINTS, BATCH = (64, 96), 32, 16, 5, 2


class HeadContract:
    """Subclass in a plugin's tests and set `name`; `options` are given to the config.

    `as_outputs` turns targets into the outputs that a perfect network would give, for the round trip.
    """

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012
    tolerance = 0.02  # px of the input

    def config(self) -> Any:
        return heads.make(self.name, **self.options)

    def build(self) -> Head:
        torch.manual_seed(0)
        return self.config().build(channels=CHANNELS, stride=STRIDE, num_keypoints=KEYPOINTS, image_size=SIZE)

    def features(self) -> Tensor:
        shape = (BATCH, CHANNELS, SIZE[0] // STRIDE, SIZE[1] // STRIDE)
        return torch.randn(shape, generator=torch.Generator().manual_seed(1))

    def as_outputs(self, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """`heatmaps_targ` → `heatmaps_pred` and so on."""
        return {key.removesuffix("_targ") + "_pred": value for key, value in targets.items()}

    def test_its_config_is_a_slots_dataclass(self) -> None:
        assert dataclasses.is_dataclass(heads[self.name]) and hasattr(heads[self.name], "__slots__")
        assert self.config().supervised_loss and self.config().model_type

    def test_it_is_a_module_that_satisfies_the_protocol(self) -> None:
        assert isinstance(self.build(), nn.Module) and isinstance(self.build(), Head)

    def test_outputs_and_targets_have_matching_names_and_shapes(self) -> None:
        head = self.build()
        outputs = head(self.features())
        keypoints = torch.rand(BATCH, KEYPOINTS, 2, generator=torch.Generator().manual_seed(2)) * 60
        targets = head.target_generator(keypoints, torch.full((BATCH, KEYPOINTS), 2))
        for key, value in self.as_outputs(targets).items():
            assert outputs[key].shape == value.shape and outputs[key].isfinite().all()

    def test_predictions(self) -> None:
        head = self.build()
        keypoints, confidence = head.predictor(head(self.features()))
        assert keypoints.shape == (BATCH, KEYPOINTS, 2) and confidence.shape == (BATCH, KEYPOINTS)
        assert keypoints.isfinite().all() and ((confidence >= 0) & (confidence <= 1)).all()

    def test_gradients_reach_features_and_parameters_through_the_predictor(self) -> None:
        head = self.build()
        features = self.features().requires_grad_()
        head.predictor(head(features))[0].square().mean().backward()
        assert features.grad is not None and features.grad.isfinite().all() and features.grad.abs().sum() > 0

    def test_encode_then_decode(self) -> None:
        """Every position, the border included: the image covers [-0.5, W - 0.5]."""
        head = self.build()
        g = torch.Generator().manual_seed(3)
        extent = torch.tensor([SIZE[1], SIZE[0]])
        points = torch.rand(400, KEYPOINTS, 2, generator=g) * extent - 0.5
        points[:50] = points[:50].round().clamp_min(0)
        points[50:60, :, 0], points[60:70, :, 1] = -0.5, SIZE[0] - 0.5
        targets = head.target_generator(points, torch.full(points.shape[:2], 2))
        decoded, confidence = head.predictor(self.as_outputs(targets))
        assert (decoded - points).abs().max() < self.tolerance
        assert confidence.min() > 0.9

    def test_the_same_seed_builds_the_same_head(self) -> None:
        a, b = self.build()(self.features()), self.build()(self.features())
        assert all(torch.equal(a[key], b[key]) for key in a)
