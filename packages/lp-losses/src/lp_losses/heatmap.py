"""Losses between target and predicted heatmaps, each map summing to one."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float
from lp_core import LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.base import Loss

Maps = Float[Tensor, "batch keypoints height width"]
PerMap = Float[Tensor, "batch keypoints"]
FLOOR = 1e-10  # the reference's, added to both maps before their logarithms


def heatmap_mse(heatmaps_targ: Maps, heatmaps_pred: Maps) -> PerMap:
    """Mean over cells of `(p̂ - p)² · H · W`: the sum of squares, so that the value does not depend on the map's size."""
    return (heatmaps_pred - heatmaps_targ).square().sum((-1, -2))


def heatmap_kl(heatmaps_targ: Maps, heatmaps_pred: Maps) -> PerMap:
    """`KL(p ‖ p̂) = Σ p log(p / p̂)`."""
    p, q = heatmaps_targ + FLOOR, heatmaps_pred + FLOOR
    return (p * (p.log() - q.log())).sum((-1, -2))


def heatmap_js(heatmaps_targ: Maps, heatmaps_pred: Maps) -> PerMap:
    """`½ KL(p ‖ m) + ½ KL(p̂ ‖ m)` with m the mean of both (Lin, "Divergence measures based on the Shannon entropy", 1991)."""
    middle = 0.5 * (heatmaps_targ + heatmaps_pred)
    return 0.5 * (heatmap_kl(heatmaps_targ, middle) + heatmap_kl(heatmaps_pred, middle))


class HeatmapLoss(Loss):
    """One of the functions above, over the maps whose target is not all zero."""

    needs = frozenset({"heatmaps_targ", "heatmaps_pred"})

    def __init__(self, name: str, distance: Callable[[Maps, Maps], PerMap], *, log_weight: float) -> None:
        super().__init__(log_weight=log_weight)
        self.name, self.distance = name, distance

    def remove_nans(self, *, heatmaps_targ: Maps, heatmaps_pred: Maps) -> Bool[Tensor, "batch keypoints"]:
        """An all-zero target means: not labeled."""
        return heatmaps_targ.sum((-1, -2)) > 0

    def compute_loss(self, *, heatmaps_targ: Maps, heatmaps_pred: Maps) -> PerMap:
        """The distance per map."""
        return self.distance(heatmaps_targ, heatmaps_pred)


@dataclass(slots=True, kw_only=True)
class HeatmapMSEConfig(LossConfig):
    """Sum of squared differences between heatmaps."""

    def build(self, poses: TrainingPoses | None = None) -> HeatmapLoss:
        """The loss."""
        return HeatmapLoss("heatmap_mse", heatmap_mse, log_weight=self.log_weight)


@dataclass(slots=True, kw_only=True)
class HeatmapKLConfig(LossConfig):
    """Kullback-Leibler divergence of predicted from target heatmaps."""

    def build(self, poses: TrainingPoses | None = None) -> HeatmapLoss:
        """The loss."""
        return HeatmapLoss("heatmap_kl", heatmap_kl, log_weight=self.log_weight)


@dataclass(slots=True, kw_only=True)
class HeatmapJSConfig(LossConfig):
    """Jensen-Shannon divergence between heatmaps."""

    def build(self, poses: TrainingPoses | None = None) -> HeatmapLoss:
        """The loss."""
        return HeatmapLoss("heatmap_js", heatmap_js, log_weight=self.log_weight)
