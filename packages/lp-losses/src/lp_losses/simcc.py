"""The loss of SimCC heads."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from lp_core import LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.base import Loss

Bins = Float[Tensor, "batch keypoints bins"]


def classification_kl(targ: Bins, logits: Bins) -> Float[Tensor, "batch keypoints"]:
    """`Σ t (log t - log softmax(logits))` with 0 log 0 = 0; zero for an all-zero target."""
    return (torch.xlogy(targ, targ) - targ * torch.log_softmax(logits, dim=-1)).sum(-1)


class SimCCKL(Loss):
    """Kullback-Leibler divergence per axis (Jiang et al., "RTMPose", 2023, section 3), mean over labeled axes."""

    name = "simcc_kl"
    needs = frozenset({"simcc_x_targ", "simcc_y_targ", "simcc_x_pred", "simcc_y_pred"})

    def remove_nans(self, **inputs: Tensor) -> Bool[Tensor, "2 batch keypoints"]:
        """An all-zero target means: not labeled."""
        return torch.stack([inputs[f"simcc_{axis}_targ"].sum(-1) > 0 for axis in "xy"])

    def compute_loss(self, **inputs: Tensor) -> Float[Tensor, "2 batch keypoints"]:
        """Per axis and keypoint."""
        return torch.stack(
            [classification_kl(inputs[f"simcc_{axis}_targ"], inputs[f"simcc_{axis}_pred"]) for axis in "xy"]
        )


@dataclass(slots=True, kw_only=True)
class SimCCKLConfig(LossConfig):
    """Kullback-Leibler divergence of SimCC's classifications."""

    def build(self, poses: TrainingPoses | None = None) -> SimCCKL:
        """The loss."""
        return SimCCKL(log_weight=self.log_weight)
