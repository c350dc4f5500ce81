"""A heatmap has one peak: it looks like the target map of its own prediction."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from lp_core import LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.animal_loss import AnimalLoss, several_peaks
from lp_losses.base import LABELED, UNLABELED, Loss
from lp_losses.heatmap import heatmap_js, heatmap_kl, heatmap_mse

Maps = Float[Tensor, "frames keypoints height width"]
PerMap = Float[Tensor, "frames keypoints"]
DISTANCES: dict[str, Callable[[Maps, Maps], PerMap]] = {
    "unimodal_mse": heatmap_mse,
    "unimodal_kl": heatmap_kl,
    "unimodal_js": heatmap_js,
}


class Unimodal(Loss):
    """Distance of each predicted map from `heatmaps_unimodal`, the target map at the keypoint decoded from it.

    The target is held fixed. Maps whose confidence is below `prob_threshold` count as zero.
    Biderman, Whiteway et al., "Lightning Pose", 2023 (first preprint), "unimodal loss".
    """

    needs = frozenset({"heatmaps_pred", "heatmaps_unimodal", "confidences", "valid"})
    prob_threshold: float

    def __init__(self, name: str, *, prob_threshold: float, on_labeled: bool, log_weight: float) -> None:
        super().__init__(log_weight=log_weight)
        self.name, self.distance, self.prob_threshold = name, DISTANCES[name], prob_threshold
        self.streams = UNLABELED | LABELED if on_labeled else UNLABELED

    def remove_nans(
        self, *, valid: Bool[Tensor, " frames"], confidences: PerMap, **_: Tensor
    ) -> Bool[Tensor, "frames keypoints"]:
        """Frames that are not padding."""
        return valid[:, None].expand_as(confidences)

    def compute_loss(self, *, heatmaps_pred: Maps, heatmaps_unimodal: Maps, confidences: PerMap, **_: Tensor) -> PerMap:
        """The distance per map."""
        values = self.distance(heatmaps_unimodal.detach(), heatmaps_pred)
        return torch.where(confidences.detach() >= self.prob_threshold, values, torch.zeros_like(values))


@dataclass(slots=True, kw_only=True)
class UnimodalMSEConfig(LossConfig):
    """One peak per heatmap, by squared differences.

    Attributes:
        prob_threshold: maps with a confidence below it do not count.
        on_labeled: labeled frames count too.
    """

    prob_threshold: float = 0.05
    on_labeled: bool = True

    def build(self, poses: TrainingPoses | None = None) -> Unimodal | AnimalLoss:
        """The loss."""
        return self._named("unimodal_mse", poses)

    def _named(self, name: str, poses: TrainingPoses | None) -> Unimodal | AnimalLoss:
        loss = Unimodal(
            name, prob_threshold=self.prob_threshold, on_labeled=self.on_labeled, log_weight=self.log_weight
        )
        return several_peaks(loss, poses)


@dataclass(slots=True, kw_only=True)
class UnimodalKLConfig(UnimodalMSEConfig):
    """One peak per heatmap, by the Kullback-Leibler divergence."""

    log_weight: float = 5.0

    def build(self, poses: TrainingPoses | None = None) -> Unimodal | AnimalLoss:
        """The loss."""
        return self._named("unimodal_kl", poses)


@dataclass(slots=True, kw_only=True)
class UnimodalJSConfig(UnimodalMSEConfig):
    """One peak per heatmap, by the Jensen-Shannon divergence."""

    log_weight: float = 3.0

    def build(self, poses: TrainingPoses | None = None) -> Unimodal | AnimalLoss:
        """The loss."""
        return self._named("unimodal_js", poses)
