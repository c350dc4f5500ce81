"""Several terms as one loss, each with a share."""

import abc
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from lp_core import ConfigError
from torch import Tensor

from lp_losses.base import Loss

REDUCTIONS = ("sum", "mean")


def one_of(key: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise `ConfigError` if `value` of the config's `key` is none of `choices`."""
    if value not in choices:
        raise ConfigError(f"{key}={value} must be {' or '.join(choices)}.")


def not_negative(key: str, value: float) -> None:
    """Raise `ConfigError` if `value` of the config's `key` is below zero."""
    if value < 0:
        raise ConfigError(f"{key}={value:g} must not be below zero.")


class SummedLoss(Loss):
    """`Σ share · term`; every term is logged, without its share.

    Args:
        shares: by the term's name.
        reduction: sum, or mean: divided by the number of terms, as DeepLabCut does.
    """

    optional: frozenset[str] = frozenset()  # inputs it takes if the step has them
    shares: Tensor
    terms: tuple[str, ...]
    divisor: int

    def __init__(self, shares: Mapping[str, float], *, reduction: str, log_weight: float) -> None:
        super().__init__(log_weight=log_weight)
        self.terms, self.divisor = tuple(shares), len(shares) if reduction == "mean" else 1
        self.register_buffer("shares", torch.tensor(list(shares.values())), persistent=False)

    def forward(self, *, stage: str, **inputs: Tensor) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The unweighted scalar, and what to log; inputs that are neither needed nor optional are ignored."""
        taken = {key: inputs[key] for key in (*self.needs, *(self.optional & inputs.keys()))}
        values = self.compute_loss(**taken)
        scalar = self.reduce_loss(values, self.remove_nans(**taken))
        logs = {f"{stage}_{self.name}_{n}_loss": v.detach() for n, v in zip(self.terms, values, strict=True)}
        return scalar, self.log_loss(scalar, stage) | logs

    def remove_nans(self, **inputs: Tensor) -> Bool[Tensor, " terms"]:
        """All terms; within them, weights say what counts."""
        return torch.ones_like(self.shares, dtype=torch.bool)

    def reduce_loss(self, values: Float[Tensor, " terms"], valid: Bool[Tensor, " terms"]) -> Float[Tensor, ""]:
        """The sum of the terms with their shares, or the mean."""
        return (values * self.shares).sum() / self.divisor

    @abc.abstractmethod
    def compute_loss(self, **inputs: Tensor) -> Float[Tensor, " terms"]:
        """The terms in the order of `shares`."""
