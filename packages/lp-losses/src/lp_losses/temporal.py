"""Keypoints do not jump between consecutive frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from lp_core import ConfigError, LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.animal_loss import AnimalLoss, Followed
from lp_losses.base import UNLABELED, Loss
from lp_losses.regression import NEAR

Poses = Float[Tensor, "frames keypoints 2"]
Confidences = Float[Tensor, "frames keypoints"]
Frames = Bool[Tensor, " frames"]
Pairs = Float[Tensor, "pairs keypoints"]


def temporal_norm(keypoints: Poses) -> Pairs:
    """Distance of each keypoint between frames t - 1 and t, in the pixels of `keypoints`."""
    return (keypoints[1:] - keypoints[:-1]).square().sum(-1).clamp_min(NEAR).sqrt()


def both_confident(confidences: Confidences, threshold: float) -> Bool[Tensor, "pairs keypoints"]:
    """Pairs of consecutive frames in both of which the confidence reaches the threshold."""
    sure = confidences.detach() >= threshold
    return sure[1:] & sure[:-1]


class PairLoss(Loss):
    """A loss on pairs of consecutive frames. Unsure pairs count as zero, padding does not count."""

    streams = UNLABELED

    def __init__(self, *, prob_threshold: float, epsilon: float | Sequence[float], log_weight: float) -> None:
        super().__init__(epsilon=epsilon, log_weight=log_weight)
        self.prob_threshold = prob_threshold

    def remove_nans(self, *, confidences: Confidences, valid: Frames, **_: Tensor) -> Bool[Tensor, "pairs keypoints"]:
        """Pairs of frames that are both there."""
        return (valid[1:] & valid[:-1])[:, None].expand(-1, confidences.shape[1])


class Temporal(PairLoss):
    """`mean relu(‖x_t - x_{t-1}‖ - ε)` over pairs of frames and keypoints, in original pixels.

    Biderman, Whiteway et al., "Lightning Pose", Nature Methods 2024, "temporal difference loss".
    """

    name = "temporal"
    needs = frozenset({"keypoints_pred", "confidences", "valid"})

    def compute_loss(self, *, keypoints_pred: Poses, confidences: Confidences, valid: Frames) -> Pairs:
        """The distance, zero where it is not known well enough."""
        distance = temporal_norm(keypoints_pred)
        return torch.where(both_confident(confidences, self.prob_threshold), distance, torch.zeros_like(distance))


@dataclass(slots=True, kw_only=True)
class TemporalConfig(LossConfig):
    """Keypoints that move more than `epsilon` pixels between frames are pulled back.

    Attributes:
        epsilon: pixels of the original video per frame that are normal; one number, or one per keypoint (of several
            animals: per part, the same for each, then per unique point).
        prob_threshold: pairs of frames with a confidence below it do not count.
    """

    log_weight: float = 5.0
    epsilon: Any = 20.0
    prob_threshold: float = 0.05

    def __post_init__(self) -> None:
        values = list(self.epsilon) if isinstance(self.epsilon, Sequence) else [self.epsilon]
        if not values or not all(isinstance(v, int | float) and v >= 0 for v in values):
            raise ConfigError(
                f"losses.temporal.epsilon={self.epsilon} must be pixels: one number, or one per keypoint."
            )

    def build(self, poses: TrainingPoses | None = None) -> Temporal | AnimalLoss:
        """The loss.

        Raises:
            ConfigError: not one epsilon per keypoint.
        """
        animals = poses.animals if poses else None
        names = (*animals.parts, *animals.unique) if animals else poses.keypoint_names if poses else ()
        epsilon, count = self.epsilon, len(self.epsilon) if isinstance(self.epsilon, Sequence) else 0
        if poses and count and count != len(names):
            raise ConfigError(
                f"losses.temporal.epsilon has {count} values for {len(names)} keypoints; "
                "give one number, or one per keypoint."
            )
        if animals and count:
            parts = len(animals.parts)
            epsilon = [*list(epsilon[:parts]) * len(animals.individuals), *epsilon[parts:]]
        loss = Temporal(prob_threshold=self.prob_threshold, epsilon=epsilon, log_weight=self.log_weight)
        return Followed(loss, animals) if animals else loss
