"""Several losses as one."""

from collections.abc import Collection, Mapping

import torch
from jaxtyping import Float
from lp_core import ConfigError
from lp_core import tensors as lp
from torch import Tensor, nn


class LossFactory(nn.Module):
    """The weighted sum of losses, each of which takes what it needs from the step's outputs.

    Args:
        losses: by name. Those that are modules have their state saved with the model.
    """

    losses: dict[str, lp.Loss]
    modules_with_state: nn.ModuleDict

    def __init__(self, losses: Mapping[str, lp.Loss]) -> None:
        super().__init__()
        self.losses = dict(losses)
        self.modules_with_state = nn.ModuleDict({n: m for n, m in losses.items() if isinstance(m, nn.Module)})

    @property
    def needs(self) -> frozenset[str]:
        """Every input any loss needs."""
        return frozenset[str]().union(*(loss.needs for loss in self.losses.values()))

    @property
    def streams(self) -> frozenset[str]:
        """Every stream any loss runs on."""
        return frozenset[str]().union(*(loss.streams for loss in self.losses.values()))

    def check(self, produced: Collection[str]) -> None:
        """Raise `ConfigError` if a loss needs an input that is not among those `produced`."""
        for name, loss in self.losses.items():
            if missing := loss.needs - set(produced):
                raise ConfigError(
                    f"losses.{name} needs {', '.join(sorted(missing))}, which this model does not produce; "
                    "choose another loss or head."
                )

    def forward(
        self, stage: str, inputs: Mapping[str, Tensor], anneal: float | Tensor = 1.0, *, stream: str = "labeled"
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """`Σ anneal · weight · loss` over the losses that run on `stream`, and the logs: each loss raw and weighted, and
        its weight.

        Raises:
            ConfigError: a loss needs what the step does not produce.
        """
        total = torch.zeros((), device=next(iter(inputs.values())).device)
        logs: dict[str, Tensor] = {}
        for name, loss in self.losses.items():
            if stream not in loss.streams:
                continue
            if not loss.needs <= inputs.keys():
                self.check(inputs)
            scalar, log = loss(stage=stage, **inputs)
            weighted = anneal * loss.weight * scalar
            total = total + weighted if loss.weight else total
            weight = torch.as_tensor(anneal * loss.weight, device=total.device)
            logs |= log | {f"{stage}_{name}_loss_weighted": weighted.detach(), f"{stage}_{name}_weight": weight}
        return total, logs
