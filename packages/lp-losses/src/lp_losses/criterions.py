"""How far outputs are from targets where each element has a weight; pure functions.

All return one number: `Σ w · distance / #(w ≠ 0)`, the sum over elements, and zero where every weight is zero. Weights
may have any shape that broadcasts to the target's; targets may be anything, NaN too, where the weight is zero.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from lp_losses.simcc import Bins, classification_kl

Target = Float[Tensor, "*shape"]
Weight = Float[Tensor, "..."]
Number = Float[Tensor, ""]
DEKR_BETA = 1 / 9  # Geng et al., "Bottom-up human pose estimation via disentangled keypoint regression", 2021


def weighted_mean(values: Target, weight: Weight) -> Number:
    """`Σ w · v / #(w ≠ 0)`: a weight of one half halves an element, it does not remove it from the count."""
    return (values * weight).sum() / (weight != 0).expand_as(values).sum().clamp_min(1)


def weighted_mse(targ: Target, pred: Target, weight: Weight) -> Number:
    """`(p - t)²`."""
    return weighted_mean((pred - _known(targ, weight)).square(), weight)


def weighted_huber(targ: Target, pred: Target, weight: Weight, *, delta: float = 1.0) -> Number:
    """`½ d²` up to a distance of `delta`, from there on a straight line, `delta · (|d| - delta / 2)`."""
    return weighted_mean(F.huber_loss(pred, _known(targ, weight), reduction="none", delta=delta), weight)


def weighted_bce(targ: Target, logits: Target, weight: Weight) -> Number:
    """`-t log σ(z) - (1 - t) log(1 - σ(z))`."""
    values = F.binary_cross_entropy_with_logits(logits, _known(targ, weight), reduction="none")
    return weighted_mean(values, weight)


def weighted_kl(
    targ: Bins, logits: Bins, weight: Weight, *, beta: float = 1.0, label_beta: float | None = None
) -> Number:
    """`classification_kl` with a weight per keypoint; it does not grow with the batch.

    DeepLabCut's and mmpose's value is this one times `#(w ≠ 0) / (keypoints · bins)`.
    """
    known = _known(targ, weight[..., None])
    return weighted_mean(classification_kl(known, logits, beta=beta, label_beta=label_beta), weight)


def dekr_heatmap(targ: Target, pred: Target, weight: Weight) -> Number:
    """`Σ w (p - t)² / #cells`: over all cells, those of weight zero included (Geng et al., 2021)."""
    return ((pred - _known(targ, weight)).square() * weight).mean()


def dekr_offset(targ: Target, pred: Target, weight: Weight, *, beta: float = DEKR_BETA) -> Number:
    """`½ d² / beta` up to a distance of `beta`, from there on `|d| - beta / 2`."""
    return weighted_mean(F.smooth_l1_loss(pred, _known(targ, weight), reduction="none", beta=beta), weight)


def _known(targ: Target, weight: Weight) -> Target:
    """The target, zero where it does not count: NaN times a weight of zero would be NaN."""
    return torch.where(weight != 0, targ, torch.zeros_like(targ))
