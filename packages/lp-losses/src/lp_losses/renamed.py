"""The same loss on another output."""

from jaxtyping import Float
from lp_core import tensors as lp
from torch import Tensor, nn


class Renamed(nn.Module):
    """A loss that reads some of its inputs under other keys.

    Args:
        loss: the loss.
        name: its name in logs.
        keys: what the loss calls an input → what the step calls it.
    """

    loss: lp.Loss
    name: str
    keys: dict[str, str]
    needs: frozenset[str]
    streams: frozenset[str]
    weight: float

    def __init__(self, loss: lp.Loss, name: str, keys: dict[str, str]) -> None:
        super().__init__()
        self.loss, self.name, self.keys = loss, name, keys
        self.needs = frozenset(keys.get(key, key) for key in loss.needs)
        self.streams, self.weight = loss.streams, loss.weight

    def forward(self, *, stage: str, **inputs: Tensor) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The loss of the renamed inputs."""
        scalar, _ = self.loss(stage=stage, **{key: inputs[self.keys.get(key, key)] for key in self.loss.needs})
        return scalar, {f"{stage}_{self.name}_loss": scalar.detach()}
