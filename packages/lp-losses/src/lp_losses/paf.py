"""Score maps, location refinement, and the fields that point from part to part of the same animal."""

from dataclasses import dataclass

from jaxtyping import Float
from lp_core import TrainingPoses
from torch import Tensor

from lp_losses.locref import Locref, LocrefConfig, check_options
from lp_losses.summed import not_negative


class PAF(Locref):
    """The terms of `Locref`, and part affinity fields by Huber's loss (Cao et al., "Realtime multi-person 2D pose
    estimation using part affinity fields", 2017).

    Without `paf_weight_targ`, the fields count in every cell of the frames in which any score map counts.
    """

    name = "paf"
    optional = Locref.optional | {"paf_stages_pred", "paf_weight_targ"}

    def compute_loss(self, **inputs: Tensor) -> Float[Tensor, " terms"]:
        """The score maps, the refinement, and the fields."""
        if "paf_weight_targ" not in inputs:
            counts = (inputs["scoremaps_weight_targ"] != 0).flatten(1).any(1)
            inputs["paf_weight_targ"] = counts[:, None, None, None].to(inputs["scoremaps_pred"].dtype)
        return super().compute_loss(**inputs)


@dataclass(slots=True, kw_only=True)
class PAFConfig(LocrefConfig):
    """Score maps, location refinement and part affinity fields.

    Attributes:
        paf_weight: share of the fields.
    """

    paf_weight: float = 0.1

    def __post_init__(self) -> None:
        check_options("paf", self)
        not_negative("losses.paf.paf_weight", self.paf_weight)

    def build(self, poses: TrainingPoses | None = None) -> PAF:
        """The loss."""
        return PAF(
            criterion=self.criterion,
            shares={"scoremaps": 1.0, "locref": self.locref_weight, "paf": self.paf_weight},
            reduction=self.reduction, log_weight=self.log_weight,
        )  # fmt: skip
