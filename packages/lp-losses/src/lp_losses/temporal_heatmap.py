"""Heatmaps do not change much between consecutive frames."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from lp_core import LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.animal_loss import AnimalLoss, several_peaks
from lp_losses.heatmap import heatmap_kl
from lp_losses.temporal import Confidences, Frames, PairLoss, Pairs, both_confident

Maps = Float[Tensor, "frames keypoints height width"]


def mean_squared_difference(before: Maps, after: Maps) -> Pairs:
    """Mean over cells of `(h_t - h_{t+1})²`."""
    return (before - after).square().mean((-1, -2))


class TemporalHeatmap(PairLoss):
    """A distance between the maps of frames t and t + 1, in augmented input space: a clip has one transform."""

    needs = frozenset({"heatmaps_pred", "confidences", "valid"})

    def __init__(
        self,
        name: str,
        distance: Callable[[Maps, Maps], Pairs],
        *,
        prob_threshold: float,
        epsilon: float,
        log_weight: float,
    ) -> None:
        super().__init__(prob_threshold=prob_threshold, epsilon=epsilon, log_weight=log_weight)
        self.name, self.distance = name, distance

    def compute_loss(self, *, heatmaps_pred: Maps, confidences: Confidences, valid: Frames) -> Pairs:
        """The distance, zero where a keypoint is not seen in both frames."""
        values = self.distance(heatmaps_pred[:-1], heatmaps_pred[1:])
        return torch.where(both_confident(confidences, self.prob_threshold), values, torch.zeros_like(values))


@dataclass(slots=True, kw_only=True)
class TemporalHeatmapMSEConfig(LossConfig):
    """Squared differences between the heatmaps of consecutive frames.

    Attributes:
        epsilon: a mean squared difference that is normal.
        prob_threshold: pairs of frames with a confidence below it do not count.
    """

    epsilon: float = 0.0
    prob_threshold: float = 0.05

    def build(self, poses: TrainingPoses | None = None) -> TemporalHeatmap | AnimalLoss:
        """The loss."""
        loss = TemporalHeatmap(
            "temporal_heatmap_mse", mean_squared_difference,
            prob_threshold=self.prob_threshold, epsilon=self.epsilon, log_weight=self.log_weight,
        )  # fmt: skip
        return several_peaks(loss, poses)


@dataclass(slots=True, kw_only=True)
class TemporalHeatmapKLConfig(LossConfig):
    """Kullback-Leibler divergence between the heatmaps of consecutive frames.

    Attributes:
        epsilon: a divergence that is normal.
        prob_threshold: pairs of frames with a confidence below it do not count.
    """

    log_weight: float = 5.0
    epsilon: float = 0.0
    prob_threshold: float = 0.05

    def build(self, poses: TrainingPoses | None = None) -> TemporalHeatmap | AnimalLoss:
        """The loss."""
        loss = TemporalHeatmap(
            "temporal_heatmap_kl", heatmap_kl,
            prob_threshold=self.prob_threshold, epsilon=self.epsilon, log_weight=self.log_weight,
        )  # fmt: skip
        return several_peaks(loss, poses)
