"""Several losses as one."""

from collections.abc import Mapping

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

    def __init__(self, losses: Mapping[str, lp.Loss]) -> None:
        super().__init__()
        self.losses = dict(losses)
        self.modules_with_state = nn.ModuleDict({n: m for n, m in losses.items() if isinstance(m, nn.Module)})

    @property
    def needs(self) -> frozenset[str]:
        """Every input any loss needs."""
        return frozenset[str]().union(*(loss.needs for loss in self.losses.values()))

    def forward(
        self, stage: str, inputs: Mapping[str, Tensor], anneal: float | Tensor = 1.0
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """`Σ anneal · weight · loss`, and the logs: each loss raw and weighted, and its weight.

        Raises:
            ConfigError: a loss needs what the step does not produce.
        """
        total = torch.zeros((), device=next(iter(inputs.values())).device)
        logs: dict[str, Tensor] = {}
        for name, loss in self.losses.items():
            if missing := loss.needs - inputs.keys():
                raise ConfigError(
                    f"losses.{name} needs {', '.join(sorted(missing))}, which this model does not produce; "
                    "choose another loss or head."
                )
            scalar, log = loss(stage=stage, **inputs)
            weighted = anneal * loss.weight * scalar
            total = total + weighted if loss.weight else total
            weight = torch.as_tensor(anneal * loss.weight, device=total.device)
            logs |= log | {f"{stage}_{name}_loss_weighted": weighted.detach(), f"{name}_weight": weight}
        return total, logs
