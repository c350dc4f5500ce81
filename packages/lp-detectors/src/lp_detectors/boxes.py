"""Boxes of animals: (left, top, right, bottom) in pixels whose centres are at integers; NaN = none."""

import torch
from jaxtyping import Float
from torch import Tensor

MARGIN = 0.1  # of an animal's longer side
LEAST = 16.0  # px; the side of a box round a single keypoint
TINY = 1e-6  # px²


def boxes_of(
    keypoints: Float[Tensor, "*batch parts 2"], margin: float = MARGIN, least: float = LEAST
) -> Float[Tensor, "*batch 4"]:
    """The box round the labeled parts of each animal, not cut at the frame's border.

    Args:
        keypoints: (x, y) of one animal's parts; NaN = not labeled. An animal without any has no box.
        margin: added on every side, as a share of the animal's longer side.
        least: no side of a box is shorter, in pixels.
    """
    labeled = keypoints.isfinite().all(-1, keepdim=True)
    low = keypoints.masked_fill(~labeled, torch.inf).amin(-2)
    high = keypoints.masked_fill(~labeled, -torch.inf).amax(-2)
    side = high - low
    half = (side / 2 + margin * side.amax(-1, keepdim=True)).clamp_min(least / 2)
    centre = (low + high) / 2  # inf - inf = NaN where nothing is labeled
    return torch.cat([centre - half, centre + half], dim=-1)


def present(boxes: Float[Tensor, "*batch 4"]) -> Tensor:
    """Which boxes there are."""
    return boxes.isfinite().all(-1)


def area(boxes: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """In square pixels; 0 for a box turned inside out."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1)


def overlap(one: Float[Tensor, "*batch n 4"], two: Float[Tensor, "*batch m 4"]) -> Float[Tensor, "*batch n m"]:
    """Intersection over union of each of `one` with each of `two`; 0 where either is no box."""
    a, b = one.unsqueeze(-2), two.unsqueeze(-3)
    shared = area(torch.cat([torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], dim=-1))
    return (shared / (area(a) + area(b) - shared).clamp_min(TINY)).nan_to_num(0.0)


def covered(similarity: Float[Tensor, "*batch n n"], limit: float) -> Tensor:
    """Which of n candidates, best first, are more alike than `limit` to one before them.

    One step for all (Bolya et al. 2019, "YOLACT", section 3.4), where the usual way goes candidate by candidate: a
    candidate that is itself covered still covers others.
    """
    return (similarity.triu(diagonal=1) > limit).any(-2)


def best(
    boxes: Float[Tensor, "batch candidates 4"], scores: Float[Tensor, "batch candidates"], animals: int
) -> tuple[Float[Tensor, "batch {animals} 4"], Float[Tensor, "batch {animals}"]]:
    """The `animals` boxes of highest score, best first; NaN and 0 for those of score 0."""
    lacking = max(animals - scores.shape[1], 0)
    scores = torch.nn.functional.pad(scores, (0, lacking))
    boxes = torch.nn.functional.pad(boxes, (0, 0, 0, lacking))
    top, order = scores.topk(animals, dim=1)
    chosen = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    return torch.where(top[..., None] > 0, chosen, torch.nan), top


def jittered(
    boxes: Float[Tensor, "*batch 4"], generator: torch.Generator, shift: float = 0.1, scale: float = 0.25
) -> Float[Tensor, "*batch 4"]:
    """Boxes as a detector might give them, to train the network of the crops on.

    Args:
        generator: of any device.
        shift: largest move of a box, as a share of its side.
        scale: sides are multiplied by up to 1 + scale and divided by as much, log-uniformly: the median box is as it was.
    """
    draws = torch.rand((*boxes.shape[:-1], 3), generator=generator, device=generator.device).to(boxes) * 2 - 1
    side = boxes[..., 2:] - boxes[..., :2]
    centre = (boxes[..., 2:] + boxes[..., :2]) / 2 + draws[..., :2] * shift * side
    half = side / 2 * (1 + scale) ** draws[..., 2:]
    return torch.cat([centre - half, centre + half], dim=-1)


def matched(
    truth: Float[Tensor, "batch animals 4"], found: Float[Tensor, "batch found 4"], limit: float = 0.5
) -> Float[Tensor, "batch animals 4"]:
    """For every true box the found one that overlaps it most; the true one where none overlaps by `limit`."""
    most, which = overlap(truth, found).max(-1)
    chosen = found.gather(1, which[..., None].expand(-1, -1, 4))
    return torch.where(most[..., None] >= limit, chosen, truth)
