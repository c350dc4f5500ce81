"""Gathered statistics going forward, a batch norm's own gradient coming back."""

import pytest
import torch
from lp_train.normalisation import ScaleFree, as_at_prediction
from torch import nn

EPS = 1e-3


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 7)])
def test_the_gradient_is_a_batch_norms_times_the_deviation(shape):
    """Batch renormalisation (Ioffe, 2017): the correction to other statistics is a constant to the gradient."""
    values, gradient = (3 + 2 * draw(*shape)).requires_grad_(), draw(*shape, seed=1)
    dims = [d for d in range(len(shape)) if d != 1]
    mean, deviation = values.mean(dims, keepdim=True), (values.var(dims, correction=0, keepdim=True) + EPS).sqrt()
    expected = torch.autograd.grad((values - mean) / deviation * deviation.detach(), values, gradient)[0]
    same = ScaleFree.apply(values, EPS)
    (found,) = torch.autograd.grad(same, values, gradient)
    assert torch.equal(same, values)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, gradient, atol=0.1)


def network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-9), nn.ReLU(), nn.Conv2d(4, 2, 1))
    net = net.double()
    for _ in range(5):
        net(2 * draw(8, 3, 9, 9, seed=1))  # statistics that are not those of the frames below
    return net


def along_weights(net, frames):
    """For each output channel of the first layer, the share of the gradient that changes nothing but the scale."""
    net.zero_grad()
    net(frames).square().sum().backward()
    weight, gradient = net[0].weight.flatten(1), net[0].weight.grad.flatten(1)
    return (weight * gradient).sum(1).abs() / (weight.norm(dim=1) * gradient.norm(dim=1))


def test_frames_are_normalised_as_at_prediction_and_cannot_push_the_scale_of_weights():
    net, frames = network(), 3 + draw(4, 3, 9, 9)
    known = {key: value.clone() for key, value in net.state_dict().items()}
    expected = net.eval()(frames)
    pushed = along_weights(net, frames)
    net.train()
    with as_at_prediction(net):
        torch.testing.assert_close(net(frames), expected)
        still = along_weights(net, frames)
    assert pushed.max() > 0.05 and still.max() < 1e-6
    assert all(torch.equal(value, known[key]) for key, value in net.state_dict().items())


def test_afterwards_everything_is_as_before():
    net, frames = network(), draw(4, 3, 9, 9)
    net[1].eval()  # frozen by somebody else
    with pytest.raises(ZeroDivisionError), as_at_prediction(net):
        raise ZeroDivisionError
    assert net.training and not net[1].training
    net.train()
    with as_at_prediction(net):
        assert not net[1].training
    before = net[1].running_mean.clone()
    net(frames)
    assert net[1].training and not torch.equal(net[1].running_mean, before) and not net[1]._forward_pre_hooks
