"""The regression head: coordinates straight from pooled features."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from lp_core import VISIBLE, HeadConfig, PredictorConfig, Size, TargetGeneratorConfig
from torch import Tensor, nn


class KeypointTargets:
    """Labels as they are; NaN where the position is not known."""

    def __call__(
        self, keypoints: Float[Tensor, "batch keypoints 2"], visibility: Int[Tensor, "batch keypoints"]
    ) -> dict[str, Tensor]:
        """Keypoints in input pixels → `keypoints_targ`."""
        return {"keypoints_targ": torch.where((visibility == VISIBLE)[..., None], keypoints, torch.nan)}


class KeypointOutputs:
    """Takes the coordinates as they are. Regression knows no confidence: 1 is reported, so that nothing gets hidden."""

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """`keypoints_pred` → keypoints in input pixels, ones."""
        keypoints = outputs["keypoints_pred"]
        return keypoints, torch.ones_like(keypoints[..., 0])


class RegressionHead(nn.Module):
    """Global average pooling and one linear layer, in units of the image size from its centre."""

    target_generator: KeypointTargets
    predictor: KeypointOutputs

    def __init__(self, channels: int, num_keypoints: int, image_size: Size) -> None:
        super().__init__()
        self.linear_layer = nn.Linear(channels, 2 * num_keypoints)
        self.target_generator, self.predictor = KeypointTargets(), KeypointOutputs()
        self.register_buffer(
            "extent", torch.tensor([image_size[1], image_size[0]], dtype=torch.float32), persistent=False
        )

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → `keypoints_pred` (batch, keypoints, 2) in input pixels."""
        relative = self.linear_layer(features.mean((-1, -2))).unflatten(-1, (-1, 2))
        return {"keypoints_pred": (relative + 0.5) * self.extent - 0.5}


@dataclass(slots=True, kw_only=True)
class RegressionConfig(HeadConfig):
    """Coordinates by a linear layer on pooled features."""

    @property
    def supervised_loss(self) -> str:
        """`regression_mse`."""
        return "regression_mse"

    @property
    def model_type(self) -> str:
        """`regression`."""
        return "regression"

    def build(self, *, channels: int, stride: int, num_keypoints: int, image_size: Size) -> RegressionHead:
        """The head for features of `channels`."""
        return RegressionHead(channels, num_keypoints, image_size)


@dataclass(slots=True, kw_only=True)
class KeypointTargetsConfig(TargetGeneratorConfig):
    """The labels themselves, for regression."""

    def build(self, *, image_size: Size, stride: float) -> KeypointTargets:
        """The generator."""
        return KeypointTargets()


@dataclass(slots=True, kw_only=True)
class KeypointOutputsConfig(PredictorConfig):
    """The coordinates themselves, for regression."""

    def build(self, *, image_size: Size, stride: float) -> KeypointOutputs:
        """The predictor."""
        return KeypointOutputs()
