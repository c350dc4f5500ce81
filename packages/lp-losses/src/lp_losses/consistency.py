"""What the teacher sees in a plain frame, the student must see in the augmented one."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from lp_core import LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.animal_loss import AnimalLoss, several_peaks
from lp_losses.base import UNLABELED, Loss
from lp_losses.heatmap import heatmap_kl

Maps = Float[Tensor, "frames keypoints height width"]
PerMap = Float[Tensor, "frames keypoints"]


class Consistency(Loss):
    """`mean c · KL(teacher ‖ student)` over maps, c the teacher's confidence where it reaches a threshold, else 0.

    The teacher is the running mean of the student's weights (Tarvainen and Valpola, "Mean teachers are better role
    models", 2017); it sees the frame as it was, its keypoints are carried along with the augmentation, and only what it
    is sure of teaches (Sohn et al., "FixMatch", 2020).
    """

    name = "consistency"
    needs = frozenset({"heatmaps_pred", "heatmaps_teacher", "confidences_teacher", "valid"})
    streams = UNLABELED

    def __init__(self, *, prob_threshold: float, log_weight: float) -> None:
        super().__init__(log_weight=log_weight)
        self.prob_threshold = prob_threshold

    def remove_nans(
        self, *, valid: Bool[Tensor, " frames"], confidences_teacher: PerMap, **_: Tensor
    ) -> Bool[Tensor, "frames keypoints"]:
        """Frames that are not padding."""
        return valid[:, None].expand_as(confidences_teacher)

    def compute_loss(
        self, *, heatmaps_pred: Maps, heatmaps_teacher: Maps, confidences_teacher: PerMap, **_: Tensor
    ) -> PerMap:
        """The divergence per map, weighted."""
        sure = confidences_teacher.detach()
        weight = torch.where(sure >= self.prob_threshold, sure, torch.zeros_like(sure))
        return weight * heatmap_kl(heatmaps_teacher.detach(), heatmaps_pred)


@dataclass(slots=True, kw_only=True)
class ConsistencyConfig(LossConfig):
    """The augmented frame must give what a running mean of the network sees in the plain one.

    Attributes:
        prob_threshold: keypoints of which the teacher is less sure do not count.
    """

    log_weight: float = 2.0
    prob_threshold: float = 0.5

    def build(self, poses: TrainingPoses | None = None) -> Consistency | AnimalLoss:
        """The loss."""
        return several_peaks(Consistency(prob_threshold=self.prob_threshold, log_weight=self.log_weight), poses)
