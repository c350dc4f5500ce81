"""Networks learn from video what is certain there, as if it were labeled."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from lp_core import ConfigError, LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.base import UNLABELED, Loss


class PseudoLabels(Loss):
    """The head's own losses on unlabeled frames, with the poses of a running mean of the network that it is sure of.

    Lee, "Pseudo-label", 2013; Sohn et al., "FixMatch", 2020. Of several animals only frames count in which nothing is
    left open, because an animal without a label would be taught as background.

    Attributes:
        prob_threshold: a pose whose mean confidence reaches it is an animal; of one animal, a keypoint is known.
        empty_threshold: a pose of lower mean confidence is none. Frames with one between the two teach nothing.
    """

    name = "pseudo_labels"
    needs = frozenset({"supervised_pred", "valid"})
    streams = UNLABELED

    def __init__(self, *, prob_threshold: float, empty_threshold: float, log_weight: float) -> None:
        super().__init__(log_weight=log_weight)
        self.prob_threshold, self.empty_threshold = prob_threshold, empty_threshold

    def remove_nans(self, *, valid: Bool[Tensor, " batches"], **_: Tensor) -> Bool[Tensor, " batches"]:
        """Batches with frames that are known well enough."""
        return valid

    def compute_loss(self, **inputs: Tensor) -> Float[Tensor, " batches"]:
        """What the network's own losses say of each batch of frames."""
        (value,) = (value for key, value in inputs.items() if key.endswith("_pred"))
        return value


class PseudoBoxes(PseudoLabels):
    """The detector's own objective on unlabeled frames, with boxes round poses that are certain.

    Two networks teach each other (Blum and Mitchell, "Combining labeled and unlabeled data with co-training", 1998): the
    detector proposes, the network of the crops confirms or rejects. In a crop without an animal it is sure of nothing.
    """

    name = "pseudo_boxes"
    needs = frozenset({"detection_pred", "valid"})


@dataclass(slots=True, kw_only=True)
class PseudoLabelsConfig(LossConfig):
    """Poses that a running mean of the network is sure of in video are learned as if they were labels.

    Attributes:
        prob_threshold: a pose with this mean confidence is an animal; of one animal, a keypoint is known.
        empty_threshold: below this mean confidence there is none.
    """

    log_weight: float = 0.0
    prob_threshold: float = 0.5
    empty_threshold: float = 0.25

    def __post_init__(self) -> None:
        _in_order("pseudo_labels", self.empty_threshold, self.prob_threshold)

    def build(self, poses: TrainingPoses | None = None) -> PseudoLabels:
        """The loss."""
        return PseudoLabels(
            prob_threshold=self.prob_threshold, empty_threshold=self.empty_threshold, log_weight=self.log_weight
        )


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
        _in_order("pseudo_boxes", self.empty_threshold, self.prob_threshold)

    def build(self, poses: TrainingPoses | None = None) -> PseudoBoxes:
        """The loss."""
        return PseudoBoxes(
            prob_threshold=self.prob_threshold, empty_threshold=self.empty_threshold, log_weight=self.log_weight
        )


def _in_order(name: str, empty: float, sure: float) -> None:
    if not 0 <= empty <= sure <= 1:
        raise ConfigError(
            f"losses.{name}.empty_threshold={empty} and prob_threshold={sure} must be 0 to 1, the first not above the second."
        )
