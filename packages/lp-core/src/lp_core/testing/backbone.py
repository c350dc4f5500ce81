"""What every backbone must do."""

import dataclasses
from typing import Any

import torch
from lp_core import backbones
from lp_core.tensors import Backbone
from torch import Tensor, nn


class BackboneContract:
    """Subclass in a plugin's tests and set `name`; `options` are given to the config."""

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012
    size = (64, 96)  # not square, on purpose

    def build(self) -> Any:
        torch.manual_seed(0)
        return backbones.make(self.name, **self.options).build(self.size)

    def images(self) -> Tensor:
        return torch.randn(2, 3, *self.size, generator=torch.Generator().manual_seed(1))

    def test_its_config_is_a_slots_dataclass(self) -> None:
        assert dataclasses.is_dataclass(backbones[self.name]) and hasattr(backbones[self.name], "__slots__")

    def test_features_have_the_stated_shape_and_reach_every_parameter(self) -> None:
        net = self.build()
        assert isinstance(net, nn.Module) and isinstance(net, Backbone)
        assert all(0 < m < 1 for m in (*net.mean, *net.std))
        images = self.images().requires_grad_()
        features = net(images)
        assert features.shape == (2, net.channels, self.size[0] // net.stride, self.size[1] // net.stride)
        features.square().mean().backward()
        assert images.grad is not None and images.grad.isfinite().all() and images.grad.abs().sum() > 0

    def test_memory_layout_and_state_do_not_matter(self) -> None:
        one, two = self.build().eval(), self.build().eval()
        two.load_state_dict(one.state_dict())
        with torch.no_grad():
            expected = one(self.images())
            found = two(self.images().contiguous(memory_format=torch.channels_last))
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
