"""What `centers` learns, and how it is told: targets of all animals of a batch at once, on its device."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from lp_detectors.boxes import present

SPREAD = 0.09  # standard deviation of a target's Gaussian, as a share of the box's side
NARROWEST = 0.6  # cells; of that standard deviation
NEAR = 0.3  # boxes are learned where the Gaussian is at least so high
HARD, FADE = 2.0, 4.0  # exponents of the focal loss, alpha and beta in the paper


@dataclass(frozen=True, slots=True)
class Targets:
    """Of a batch, per cell of the map.

    Attributes:
        heat: 1 in the cell nearest to each centre, falling off round it as a Gaussian.
        centre: (x, y) of the nearest animal's centre in input pixels.
        side: (width, height) of its box in pixels.
        weight: of the cell for centre and side; 0 away from animals.
    """

    heat: Float[Tensor, "batch h w"]
    centre: Float[Tensor, "batch 2 h w"]
    side: Float[Tensor, "batch 2 h w"]
    weight: Float[Tensor, "batch h w"]


def cells(size: tuple[int, int], stride: int, like: Tensor) -> Float[Tensor, "2 h w"]:
    """(x, y) of the centre of every cell in input pixels."""
    y, x = (stride * (torch.arange(n, dtype=torch.float32, device=like.device) + 0.5) - 0.5 for n in size)
    return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1])


def encode(boxes: Float[Tensor, "batch animals 4"], size: tuple[int, int], stride: int) -> Targets:
    """Boxes in input pixels (NaN = none) → targets for a map of `size` cells (height, width)."""
    exists = present(boxes)
    boxes = torch.where(exists[..., None], boxes.float(), 0.0)
    centre, side = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]).clamp_min(1.0)
    grid = cells(size, stride, boxes)
    last = grid.new_tensor([size[1] - 1, size[0] - 1])
    peak = stride * (((centre + 0.5) / stride - 0.5).round().clamp_min(0).minimum(last) + 0.5) - 0.5
    sigma = (SPREAD * side).clamp_min(NARROWEST * stride)
    apart = (grid - peak[..., None, None]) / sigma[..., None, None]  # (batch, animals, 2, h, w)
    heat, nearest = (torch.exp(-0.5 * apart.square().sum(2)) * exists[..., None, None]).max(1)
    pick = nearest[:, None].expand(-1, 2, -1, -1).flatten(2)
    own = [v.mT.gather(2, pick).unflatten(2, size) for v in (centre, side)]
    return Targets(heat, own[0], own[1], torch.where(heat >= NEAR, heat, 0.0))


def focal(logits: Float[Tensor, "batch h w"], heat: Float[Tensor, "batch h w"]) -> Float[Tensor, ""]:
    """Penalty-reduced focal loss per animal (Law and Deng 2018, "CornerNet", equation 1)."""
    p, peak = logits.sigmoid(), heat >= 1
    hit = (1 - p) ** HARD * F.logsigmoid(logits)
    miss = (1 - heat) ** FADE * p**HARD * F.logsigmoid(-logits)
    return -torch.where(peak, hit, miss).sum() / peak.sum().clamp_min(1)


def box_error(
    centre: Float[Tensor, "batch 2 h w"], log_side: Float[Tensor, "batch 2 h w"], targets: Targets
) -> Float[Tensor, ""]:
    """Mean absolute error of the centre, as a share of the box's side, and of the logarithm of the side."""
    moved = (centre - targets.centre).abs() / targets.side
    grown = (log_side - targets.side.log()).abs()
    total = ((2 * moved + grown).sum(1) * targets.weight).sum()
    return total / targets.weight.sum().clamp_min(1)
