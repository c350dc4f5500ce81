"""A detector learns from video what the network of the crops is sure of."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from lp_core import ConfigError, LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.base import UNLABELED, Loss


class PseudoBoxes(Loss):
    """The detector's own objective on unlabeled frames, with boxes round poses that are certain.

    Two networks teach each other (Blum and Mitchell, "Combining labeled and unlabeled data with co-training", 1998): the
    detector proposes, the network of the crops confirms or rejects. In a crop without an animal it is sure of nothing.

    Attributes:
        prob_threshold: a pose whose mean confidence reaches it is an animal.
        empty_threshold: one of lower mean confidence is none. Frames with a pose between the two teach nothing.
    """

    name = "pseudo_boxes"
    needs = frozenset({"detection_pred", "valid"})
    streams = UNLABELED

    def __init__(self, *, prob_threshold: float, empty_threshold: float, log_weight: float) -> None:
        super().__init__(log_weight=log_weight)
        self.prob_threshold, self.empty_threshold = prob_threshold, empty_threshold

    def remove_nans(self, *, valid: Bool[Tensor, " batches"], **_: Tensor) -> Bool[Tensor, " batches"]:
        """Batches with frames that are known well enough."""
        return valid

    def compute_loss(self, *, detection_pred: Float[Tensor, " batches"], **_: Tensor) -> Float[Tensor, " batches"]:
        """What the detector says of each batch of frames."""
        return detection_pred


@dataclass(slots=True, kw_only=True)
class PseudoBoxesConfig(LossConfig):
    """The detector must find in video the animals whose poses are certain, and nothing where there is none.

    Attributes:
        prob_threshold: a pose with this mean confidence is an animal.
        empty_threshold: below this mean confidence there is none.
    """

    log_weight: float = 0.0
    prob_threshold: float = 0.5
    empty_threshold: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.empty_threshold <= self.prob_threshold <= 1:
            raise ConfigError(
                f"losses.pseudo_boxes.empty_threshold={self.empty_threshold} and prob_threshold={self.prob_threshold} "
                "must be 0 to 1, the first not above the second."
            )

    def build(self, poses: TrainingPoses | None = None) -> PseudoBoxes:
        """The loss."""
        return PseudoBoxes(
            prob_threshold=self.prob_threshold, empty_threshold=self.empty_threshold, log_weight=self.log_weight
        )
