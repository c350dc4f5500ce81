"""Several animals in a frame: which predicted one is which labeled one."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from lp_core import Animals
from torch import Tensor

from lp_train.animal_metrics import match


def match_animals(
    predicted: Float[np.ndarray, "frames keypoints 2"],
    confidence: Float[np.ndarray, "frames keypoints"],
    labeled: Float[np.ndarray, "frames keypoints 2"],
    animals: Animals,
) -> tuple[Float[np.ndarray, "frames keypoints 2"], Float[np.ndarray, "frames keypoints"]]:
    """Predictions with the animals of each frame in the order of the labeled ones: the assignment with the smallest sum of
    mean distances. Animals without a partner keep their order in the places that are left.
    """
    points, sure = predicted.copy(), confidence.copy()
    found, certain, truth = (apart(values, animals) for values in (predicted, confidence, labeled))
    order = _whole(match(found, truth).partner)
    points[:, : animals.owned] = np.take_along_axis(found, order[..., None, None], 1).reshape(len(points), -1, 2)
    sure[:, : animals.owned] = np.take_along_axis(certain, order[..., None], 1).reshape(len(points), -1)
    return points, sure


def matched_keypoints(
    predicted: Float[Tensor, "frames keypoints 2"],
    labeled: Float[Tensor, "frames keypoints 2"],
    animals: Animals | None,
) -> Float[Tensor, "frames keypoints 2"]:
    """`match_animals` of tensors, without confidence; of one animal, what came in."""
    if animals is None:
        return predicted
    arrays = [points.detach().cpu().double().numpy() for points in (predicted, labeled)]
    found, _ = match_animals(arrays[0], np.zeros(arrays[0].shape[:2]), arrays[1], animals)
    return torch.from_numpy(found).to(predicted)


def apart(
    values: Shaped[np.ndarray, "frames keypoints *rest"], animals: Animals
) -> Shaped[np.ndarray, "frames animals parts *rest"]:
    """Each animal's own, without the points that a frame has once."""
    shape = (len(values), len(animals.individuals), len(animals.parts), *values.shape[2:])
    return values[:, : animals.owned].reshape(shape)


def with_skeleton(animals: Animals | None, skeleton: Sequence[Sequence[int]]) -> Animals | None:
    """The same animals, with pairs of numbers of parts that came from a file."""
    return dataclasses.replace(animals, skeleton=tuple((a, b) for a, b in skeleton)) if animals else None


def _whole(partner: Int[np.ndarray, "frames animals"]) -> Int[np.ndarray, "frames animals"]:
    """The same, with those that nobody has in the places that are left (−1)."""
    order = partner.copy()
    for row in order:
        row[row < 0] = np.setdiff1d(np.arange(len(row)), row)
    return order
