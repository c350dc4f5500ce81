"""The loss of heads that find animals by their centre, and their keypoints by offsets from it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from lp_core import LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.criterions import dekr_heatmap, dekr_offset, weighted_mse
from lp_losses.summed import REDUCTIONS, SummedLoss, not_negative, one_of


class DEKR(SummedLoss):
    """Score maps by squares, offsets by the smooth L1 distance (Geng et al., "Bottom-up human pose estimation via
    disentangled keypoint regression", 2021).

    Score maps are values, not logits. Tensors are (batch, channels, height, width); weights broadcast to that. Cells of
    weight zero are not counted; with `mean` they are in the score maps' denominator, as in DeepLabCut.
    """

    name = "dekr"
    scale = 0.007  # means over all cells
    needs = frozenset(
        {"scoremaps_pred", "scoremaps_targ", "scoremaps_weight_targ"}
        | {"offsets_pred", "offsets_targ", "offsets_weight_targ"}
    )

    def __init__(self, *, offset_weight: float, reduction: str, log_weight: float) -> None:
        super().__init__({"scoremaps": 1.0, "offsets": offset_weight}, reduction=reduction, log_weight=log_weight)
        self.criterion = dekr_heatmap if reduction == "mean" else weighted_mse

    def compute_loss(self, **inputs: Tensor) -> Float[Tensor, " terms"]:
        """The score maps, and the offsets."""
        scores, offsets = (
            [inputs[f"{name}_{role}"] for role in ("targ", "pred", "weight_targ")] for name in self.terms
        )
        return torch.stack([self.criterion(*scores), dekr_offset(*offsets)])


@dataclass(slots=True, kw_only=True)
class DEKRConfig(LossConfig):
    """Score maps of parts and centres, and offsets from the centre to each part.

    Attributes:
        offset_weight: share of the offsets.
        reduction: sum of the terms, or mean, as DeepLabCut has it.
    """

    offset_weight: float = 0.03
    reduction: str = "sum"

    def __post_init__(self) -> None:
        one_of("losses.dekr.reduction", self.reduction, REDUCTIONS)
        not_negative("losses.dekr.offset_weight", self.offset_weight)

    def build(self, poses: TrainingPoses | None = None) -> DEKR:
        """The loss."""
        return DEKR(offset_weight=self.offset_weight, reduction=self.reduction, log_weight=self.log_weight)
