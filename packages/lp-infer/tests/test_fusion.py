"""The optimised copy against the network it was made from, and what must not be fused."""

import pytest
import torch
from lp_infer import PredictOptions, Runner, optimize
from lp_infer.fusion import fuse_conv_bn
from torch import nn


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics that normalisation does not leave alone."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            for tensor, low, high in ((layer.weight, 0.5, 2), (layer.bias, -1, 1), (layer.running_mean, -1, 1)):
                if tensor is not None:
                    tensor.data.uniform_(low, high, generator=generator)
            layer.running_var.uniform_(0.2, 3, generator=generator)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules())


class BatchNormAct2d(nn.BatchNorm2d):
    """Shaped like timm's layer of this name."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.SiLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(super().forward(x)))


class Residual(nn.Module):
    """A grouped convolution, a strided one, a transposed one, a bias, and a sum: all can be fused."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False), BatchNormAct2d(8))
        self.side, self.side_norm = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8, affine=False)
        self.up = nn.Sequential(nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1), nn.BatchNorm2d(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x / 255)
        return self.up(self.deep(x) + self.side_norm(self.side(x)))


class Tempting(nn.Module):
    """Convolutions in front of a normalisation that must stay as they are."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.conv, self.norm = kind, nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.float() / 255
        if self.kind == "read twice":
            y = self.conv(x)
            return self.norm(y) + y
        if self.kind == "something between":
            return self.norm(self.conv(x).relu())
        if self.kind == "used twice":
            return self.norm(self.conv(self.norm(self.conv(x))))
        if self.kind == "norm first":
            return self.conv(self.norm(x))
        weight = self.conv.weight - self.conv.weight.mean()
        return self.norm(nn.functional.conv2d(x, weight, padding=1))


def frames(seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_every_pair_is_fused_and_the_output_stays():
    model = randomised(Residual()).double()
    images = frames().double()
    with torch.no_grad():
        expected = model(images)
        assert fuse_conv_bn(model, images) == 4 and norms(model) == 0
        torch.testing.assert_close(model(images), expected, rtol=1e-10, atol=1e-10)
    assert expected.std() > 0.1


@pytest.mark.parametrize("kind", ["read twice", "something between", "used twice", "norm first", "weights changed"])
def test_what_cannot_be_fused_is_not(kind):
    model = randomised(Tempting(kind))
    with torch.no_grad():
        expected = model(frames())
        assert fuse_conv_bn(model, frames()) == 0
        assert torch.equal(model(frames()), expected)


def test_keypoints_stay_to_a_thousandth_of_a_pixel(model):
    fast = optimize(model)
    assert norms(fast) == 0 and norms(model) == 1
    images = torch.randint(0, 256, (4, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        (points, sure), (fast_points, fast_sure) = model(images), fast(images)
    assert points.std() > 0.1
    torch.testing.assert_close(fast_points, points, rtol=0, atol=1e-3)
    torch.testing.assert_close(fast_sure, sure, rtol=0, atol=1e-5)


def test_timm_networks_lose_all_their_normalisation():
    timm = pytest.importorskip("timm", reason="timm is not part of this wheel's dependencies")
    for name, least in (("resnet18", 20), ("efficientnet_b0", 49), ("mobilenetv2_100", 52)):
        model = randomised(timm.create_model(name, num_classes=4))
        images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            expected = model(images)
            assert fuse_conv_bn(model, images) >= least
            assert norms(model) == 0
            torch.testing.assert_close(model(images), expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def test_unoptimised_runs_too(model):
    runner = Runner.of(model, PredictOptions(runtime_options={"optimize": False}, device="cpu"))
    assert norms(runner.runtime._network) == 1
