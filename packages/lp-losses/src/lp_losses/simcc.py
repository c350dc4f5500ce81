"""The loss of SimCC heads."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from lp_core import ConfigError, LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.base import Loss

Bins = Float[Tensor, "batch keypoints bins"]


def classification_kl(
    targ: Bins, logits: Bins, *, beta: float = 1.0, label_beta: float | None = None
) -> Float[Tensor, "batch keypoints"]:
    """`Σ t (log t - log softmax(beta · logits))` with 0 log 0 = 0; zero for an all-zero target.

    Args:
        beta: a factor of the logits.
        label_beta: the target is `softmax(label_beta · targ)`; None = it is a distribution already.
    """
    share = targ if label_beta is None else torch.softmax(label_beta * targ, dim=-1)
    return (torch.xlogy(share, share) - share * torch.log_softmax(beta * logits, dim=-1)).sum(-1)


class SimCCKL(Loss):
    """Kullback-Leibler divergence per axis (Jiang et al., "RTMPose", 2023, section 3), mean over labeled axes."""

    name = "simcc_kl"
    needs = frozenset({"simcc_x_targ", "simcc_y_targ", "simcc_x_pred", "simcc_y_pred"})
    beta: float
    label_beta: float | None

    def __init__(self, *, beta: float = 1.0, label_beta: float | None = None, log_weight: float = 0.0) -> None:
        super().__init__(log_weight=log_weight)
        self.beta, self.label_beta = beta, label_beta

    def remove_nans(self, **inputs: Tensor) -> Bool[Tensor, "2 batch keypoints"]:
        """An all-zero target means: not labeled."""
        return torch.stack([inputs[f"simcc_{axis}_targ"].sum(-1) > 0 for axis in "xy"])

    def compute_loss(self, **inputs: Tensor) -> Float[Tensor, "2 batch keypoints"]:
        """Per axis and keypoint."""
        pairs = [(inputs[f"simcc_{axis}_targ"], inputs[f"simcc_{axis}_pred"]) for axis in "xy"]
        return torch.stack([classification_kl(*pair, beta=self.beta, label_beta=self.label_beta) for pair in pairs])


@dataclass(slots=True, kw_only=True)
class SimCCKLConfig(LossConfig):
    """Kullback-Leibler divergence of SimCC's classifications.

    Attributes:
        beta: the logits are multiplied with it.
        label_beta: the target is the softmax of this times the target; null = it is a distribution already.
    """

    beta: float = 1.0
    label_beta: float | None = None

    def __post_init__(self) -> None:
        if self.beta <= 0 or (self.label_beta is not None and self.label_beta <= 0):
            raise ConfigError(
                f"losses.simcc_kl: beta={self.beta:g} and label_beta={self.label_beta} must be above zero."
            )

    def build(self, poses: TrainingPoses | None = None) -> SimCCKL:
        """The loss."""
        return SimCCKL(beta=self.beta, label_beta=self.label_beta, log_weight=self.log_weight)
