"""Poses of several animals in a frame: how alike they are, duplicates, order."""

import torch
from jaxtyping import Float
from lp_core import Animals, ConfigError
from torch import Tensor

from lp_detectors.boxes import covered

SIGMA = 0.1  # of object keypoint similarity, the same for every part
TINY = 1e-9


def by_animal(values: Tensor, animals: Animals) -> Tensor:
    """(batch, keypoints, …) → (batch, animals, parts, …), without the unique points."""
    return values[:, : animals.owned].unflatten(1, (len(animals.individuals), len(animals.parts)))


def without_unique(animals: Animals) -> Animals:
    """`animals`, checked.

    Raises:
        ConfigError: there are unique points, which belong to no animal's crop.
    """
    if animals.unique:
        raise ConfigError(
            f"Points that a frame has once ({', '.join(animals.unique)}) are in no animal's crop; "
            "leave them out of the labels, or choose a head that sees the whole frame."
        )
    return animals


def similarity(
    keypoints: Float[Tensor, "batch animals parts 2"],
    confidence: Float[Tensor, "batch animals parts"],
    area: Float[Tensor, "batch animals"],
    sigma: float = SIGMA,
) -> Float[Tensor, "batch animals animals"]:
    """Object keypoint similarity of each animal (row) with each other (column); 0 where one is not there.

    The mean over parts of exp(-d² / (2 S (2 sigma)²)) (Lin et al. 2014, COCO's keypoint evaluation) with S the row's
    area, each part counted by the product of both confidences.
    """
    apart = (keypoints[:, :, None] - keypoints[:, None]).square().sum(-1)
    like = torch.exp(-apart / (2 * area[:, :, None, None].clamp_min(1.0) * (2 * sigma) ** 2)).nan_to_num(0.0)
    weight = confidence[:, :, None] * confidence[:, None]
    return (like * weight).sum(-1) / weight.sum(-1).clamp_min(TINY)


def in_order(
    keypoints: Float[Tensor, "batch animals parts 2"],
    confidence: Float[Tensor, "batch animals parts"],
    area: Float[Tensor, "batch animals"],
    duplicate: float,
) -> tuple[Float[Tensor, "batch animals parts 2"], Float[Tensor, "batch animals parts"]]:
    """Animals of highest mean confidence first; NaN and 0 for those that repeat a better one, which come last.

    Args:
        area: of each animal's box in square pixels.
        duplicate: similarity from which an animal is another's repetition.
    """
    keypoints, confidence, area = _sorted(confidence, keypoints, confidence, area)
    again = covered(similarity(keypoints, confidence, area), duplicate)[..., None]
    confidence = torch.where(again, 0.0, confidence)
    keypoints = torch.where(again[..., None], torch.nan, keypoints)
    keypoints, confidence = _sorted(confidence, keypoints, confidence)
    return keypoints, confidence


def _sorted(confidence: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    order = confidence.mean(-1).topk(confidence.shape[1], dim=1).indices
    return tuple(v.gather(1, order.reshape(*order.shape, *[1] * (v.ndim - 2)).expand_as(v)) for v in values)
