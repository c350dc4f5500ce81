"""The recipe every loss follows: remove_nans, compute_loss, rectify_epsilon, reduce_loss, log_loss."""

import abc
import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

LABELED, UNLABELED = frozenset({"labeled"}), frozenset({"unlabeled"})  # the streams a loss may run on


def masked_mean(values: Float[Tensor, "*shape"], valid: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """The mean of the valid values; zero, with a gradient path, if there are none. Never waits for the device."""
    kept = torch.where(valid, values, torch.zeros_like(values))
    return kept.sum() / valid.sum().clamp_min(1)


class Loss(nn.Module, abc.ABC):
    """Base of losses; a subclass says what it needs and computes one value per element.

    Args:
        epsilon: values below it count as zero, and it is taken off those above; one number, or one per keypoint.
        log_weight: the loss counts with weight `1 / (2 exp(log_weight))`.

    Attributes:
        scale: of a head's own loss, its value in training as a multiple of `heatmap_kl`'s, roughly. Beside it losses without
            labels count by so much, so that their `log_weight` means the same for every head.
    """

    name: str
    needs: frozenset[str]
    streams: frozenset[str] = LABELED
    scale: float = 1.0

    def __init__(self, *, epsilon: float | Sequence[float] = 0.0, log_weight: float = 0.0) -> None:
        super().__init__()
        self.log_weight = log_weight
        self._hinged = epsilon != 0.0
        if self._hinged:
            self.register_buffer("epsilon", torch.as_tensor(epsilon, dtype=torch.float32))

    @property
    def weight(self) -> float:
        """`1 / (2 exp(log_weight))`."""
        return 0.5 * math.exp(-self.log_weight)

    def forward(self, *, stage: str, **inputs: Tensor) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The unweighted scalar, and what to log; inputs the loss does not need are ignored."""
        needed = {key: inputs[key] for key in self.needs}
        valid = self.remove_nans(**needed)
        values = self.rectify_epsilon(self.compute_loss(**needed))
        scalar = self.reduce_loss(values, valid)
        return scalar, self.log_loss(scalar, stage)

    @abc.abstractmethod
    def remove_nans(self, **inputs: Tensor) -> Bool[Tensor, "..."]:
        """Which elements of `compute_loss`'s result count. A mask, not a selection: shapes stay fixed."""

    @abc.abstractmethod
    def compute_loss(self, **inputs: Tensor) -> Float[Tensor, "..."]:
        """The loss per element; whatever it gives for elements that do not count must have a finite gradient."""

    def rectify_epsilon(self, values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """`relu(values - epsilon)`."""
        return torch.relu(values - self.epsilon) if self._hinged else values

    def reduce_loss(self, values: Float[Tensor, "*shape"], valid: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
        """The mean over what counts."""
        return masked_mean(values, valid)

    def log_loss(self, scalar: Float[Tensor, ""], stage: str) -> dict[str, Tensor]:
        """What appears in the logs, under keys that start with `stage`."""
        return {f"{stage}_{self.name}_loss": scalar.detach()}
