"""Score maps, and in each cell the way from its centre to the keypoint."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from lp_core import LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.criterions import weighted_bce, weighted_huber, weighted_mse
from lp_losses.summed import REDUCTIONS, SummedLoss, not_negative, one_of

CRITERIONS = {"bce": weighted_bce, "mse": weighted_mse}
ROLES = ("pred", "targ", "weight_targ")


class Locref(SummedLoss):
    """Score maps by cross-entropy or squares, location refinement by Huber's loss.

    Insafutdinov et al., "DeeperCut", 2016. Tensors are (batch, channels, height, width); weights broadcast to that. A head
    of several stages may give the earlier ones too, under `…_stages_pred` (batch, stages, …): each counts as much as
    the last.

    Args:
        criterion: bce, where `scoremaps_pred` are logits, or mse.
        shares: of the terms; a term whose share is zero is left out, and the head need not have it.
    """

    name = "locref"
    scale = 0.05  # means over all cells
    optional = frozenset({"scoremaps_stages_pred", "locref_stages_pred"})

    def __init__(self, *, criterion: str, shares: Mapping[str, float], reduction: str, log_weight: float) -> None:
        super().__init__({n: s for n, s in shares.items() if s}, reduction=reduction, log_weight=log_weight)
        self.criterion = CRITERIONS[criterion]
        self.needs = frozenset(f"{n}_{role}" for n in self.terms for role in ROLES) - self.optional

    def compute_loss(self, **inputs: Tensor) -> Float[Tensor, " terms"]:
        """The score maps, and the refinement."""
        return torch.stack([self._term(name, inputs) for name in self.terms])

    def _term(self, name: str, inputs: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        pred, targ, weight = (inputs[f"{name}_{role}"] for role in ROLES)
        earlier = inputs.get(f"{name}_stages_pred")
        if earlier is not None:
            pred, targ, weight = torch.cat([earlier, pred[:, None]], dim=1), targ[:, None], weight[:, None]
        return (self.criterion if name == "scoremaps" else weighted_huber)(targ.expand_as(pred), pred, weight)


def check_options(name: str, options: "LocrefConfig") -> None:
    """Raise `ConfigError` if an option of `losses.<name>` is impossible."""
    one_of(f"losses.{name}.criterion", options.criterion, tuple(CRITERIONS))
    one_of(f"losses.{name}.reduction", options.reduction, REDUCTIONS)
    not_negative(f"losses.{name}.locref_weight", options.locref_weight)


@dataclass(slots=True, kw_only=True)
class LocrefConfig(LossConfig):
    """Score maps and location refinement.

    Attributes:
        criterion: of score maps: bce (the head gives logits) or mse.
        locref_weight: share of the refinement; 0 for a head that has none.
        reduction: sum of the terms, or mean, as DeepLabCut has it.
    """

    criterion: str = "bce"
    locref_weight: float = 0.05
    reduction: str = "sum"

    def __post_init__(self) -> None:
        check_options("locref", self)

    def build(self, poses: TrainingPoses | None = None) -> Locref:
        """The loss."""
        return Locref(
            criterion=self.criterion, shares={"scoremaps": 1.0, "locref": self.locref_weight},
            reduction=self.reduction, log_weight=self.log_weight,
        )  # fmt: skip
