"""Losses between coordinates in input pixels."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from lp_core import LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.base import Loss

Points = Float[Tensor, "batch keypoints 2"]
NEAR = 1e-12  # px²: keeps the gradient of a distance finite where prediction and label coincide


def squared_error(keypoints_targ: Points, keypoints_pred: Points) -> Points:
    """`(ŷ - y)²` per coordinate in px²; zero where the label is NaN."""
    return (keypoints_pred - torch.where(keypoints_targ.isnan(), keypoints_pred.detach(), keypoints_targ)).square()


def distance(keypoints_targ: Points, keypoints_pred: Points) -> Float[Tensor, "batch keypoints"]:
    """Euclidean distance in px; zero where the label is NaN."""
    squares = squared_error(keypoints_targ, keypoints_pred).sum(-1)
    return squares.clamp_min(NEAR).sqrt()


class RegressionMSE(Loss):
    """Mean squared error over labeled coordinates, px²."""

    name = "regression_mse"
    needs = frozenset({"keypoints_targ", "keypoints_pred"})

    def remove_nans(self, *, keypoints_targ: Points, keypoints_pred: Points) -> Bool[Tensor, "batch keypoints 2"]:
        """Labeled coordinates."""
        return ~keypoints_targ.isnan()

    def compute_loss(self, *, keypoints_targ: Points, keypoints_pred: Points) -> Points:
        """Per coordinate."""
        return squared_error(keypoints_targ, keypoints_pred)


class RegressionRMSE(Loss):
    """Mean Euclidean distance over labeled keypoints, px. For the logs only: its weight is zero.

    (The reference logs the distance divided by √2 under this name.)
    """

    name = "regression_rmse"
    needs = frozenset({"keypoints_targ", "keypoints_pred"})
    weight = 0.0  # pyright: ignore[reportAssignmentType]

    def remove_nans(self, *, keypoints_targ: Points, keypoints_pred: Points) -> Bool[Tensor, "batch keypoints"]:
        """Labeled keypoints."""
        return ~keypoints_targ.isnan().any(-1)

    def compute_loss(self, *, keypoints_targ: Points, keypoints_pred: Points) -> Float[Tensor, "batch keypoints"]:
        """Per keypoint."""
        return distance(keypoints_targ, keypoints_pred)


@dataclass(slots=True, kw_only=True)
class RegressionMSEConfig(LossConfig):
    """Mean squared error of coordinates."""

    def build(self, poses: TrainingPoses | None = None) -> RegressionMSE:
        """The loss."""
        return RegressionMSE(log_weight=self.log_weight)


@dataclass(slots=True, kw_only=True)
class RegressionRMSEConfig(LossConfig):
    """Mean distance of keypoints in input pixels, for the logs only."""

    def build(self, poses: TrainingPoses | None = None) -> RegressionRMSE:
        """The loss."""
        return RegressionRMSE(log_weight=self.log_weight)
