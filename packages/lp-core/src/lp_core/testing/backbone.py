"""What every backbone must do."""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from lp_core import backbones
from lp_core.tensors import Backbone


class BackboneContract:
    """Subclass in a plugin's tests and set `name`; `options` are given to the config."""

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012
    size = (64, 96)  # (height, width), not square on purpose

    def build(self, seed: int = 0) -> Any:
        torch.manual_seed(seed)
        return backbones.make(self.name, **self.options).build(self.size)

    def images(self) -> Tensor:
        return torch.randn(2, 3, *self.size, generator=torch.Generator().manual_seed(1))

    def test_its_config_is_a_slots_and_keyword_only_dataclass(self) -> None:
        cls = backbones[self.name]
        assert dataclasses.is_dataclass(cls) and hasattr(cls, "__slots__")
        assert all(field.kw_only for field in dataclasses.fields(cls))

    def test_features_have_the_stated_shape_and_gradients_flow(self) -> None:
        net = self.build()
        assert isinstance(net, nn.Module) and isinstance(net, Backbone)
        assert len(net.mean) == len(net.std) == 3 and all(0 < m < 1 for m in (*net.mean, *net.std))
        images = self.images().requires_grad_()
        features = net(images)
        assert features.shape == (2, net.channels, self.size[0] // net.stride, self.size[1] // net.stride)
        features.square().mean().backward()
        grads = [images.grad, *(p.grad for p in net.parameters() if p.grad is not None)]
        assert (
            len(grads) > 1 and all(g is not None and g.isfinite().all() for g in grads) and images.grad.abs().sum() > 0
        )  # pyright: ignore

    @torch.no_grad()
    def test_channels_last_and_state_dict_round_trip(self) -> None:
        """Built from another seed, so that equal features can only come from the state."""
        one, two = self.build().eval(), self.build(seed=1).eval()
        expected = one(self.images())
        assert expected.std() > 0
        two.load_state_dict(one.state_dict())
        found = two(self.images().contiguous(memory_format=torch.channels_last))
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()

    def test_the_same_seed_builds_the_same_backbone(self) -> None:
        one, two = self.build().state_dict(), self.build().state_dict()
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
