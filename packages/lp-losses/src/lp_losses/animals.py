"""Which animal of one frame is which of the frame before."""

import numpy as np
import torch
from jaxtyping import Float, Int
from lp_core import Animals
from scipy.optimize import linear_sum_assignment
from torch import Tensor

Points = Float[Tensor, "frames keypoints 2"]
PerPoint = Float[Tensor, "frames keypoints"]
PerMap = Float[Tensor, "frames maps"]


def follow(keypoints: Points, confidences: PerPoint, animals: int, parts: int) -> tuple[Points, PerPoint]:
    """The same values, with each animal in the same place of the axis in every frame; gradients go through.

    Animals are assigned to those of the frame before so that the sum of their mean distances is smallest. One that is
    missing (all NaN) keeps its place and its last position; one that was never seen takes a place that nobody had.

    Args:
        keypoints: all parts of one animal, of the next, …, then points that are unique, which stay where they are.
    """
    if animals < 2:
        return keypoints, confidences
    owned = keypoints[:, : animals * parts].detach().unflatten(1, (animals, parts))
    order = torch.from_numpy(order_of_animals(owned.cpu().double().numpy())).to(keypoints.device)
    index = (order[..., None] * parts + torch.arange(parts, device=order.device)).flatten(1)
    unique = torch.arange(animals * parts, keypoints.shape[1], device=order.device).expand(len(index), -1)
    index = torch.cat([index, unique], dim=1)
    return keypoints.gather(1, index[..., None].expand(-1, -1, 2)), confidences.gather(1, index)


def order_of_animals(poses: Float[np.ndarray, "frames animals parts 2"]) -> Int[np.ndarray, "frames animals"]:
    """For each frame, the animal that takes the first place, the second, …"""
    order = np.empty(poses.shape[:2], dtype=np.int64)
    everyone = np.arange(poses.shape[1])
    last = np.full(poses.shape[1:], np.nan)
    for places, pose in zip(order, poses, strict=True):
        found = np.flatnonzero(np.isfinite(pose).all(-1).any(-1))
        rows, columns = linear_sum_assignment(_distances(last, pose[found]))
        places[rows] = found[columns]
        places[np.setdiff1d(everyone, rows)] = np.setdiff1d(everyone, found)
        last[rows] = pose[found[columns]]
    return order


def _distances(
    last: Float[np.ndarray, "places parts 2"], found: Float[np.ndarray, "found parts 2"]
) -> Float[np.ndarray, "places found"]:
    """Mean over the parts that both have, or from centre to centre if they share none; in a place that nobody had, more
    than all others together.
    """
    apart = _mean(np.linalg.norm(last[:, None] - found[None], axis=-1))
    centres = [_mean(points.swapaxes(-1, -2)) for points in (last, found)]
    cost = np.where(np.isfinite(apart), apart, np.linalg.norm(centres[0][:, None] - centres[1][None], axis=-1))
    known = np.isfinite(cost)
    return np.where(known, cost, 1 + len(last) * np.max(cost, initial=0, where=known))


def _mean(values: Float[np.ndarray, "*shape n"]) -> Float[np.ndarray, "*shape"]:
    """Over what is known of the last axis; NaN where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(-1) / known.sum(-1)


def confidence_of_maps(confidences: PerPoint, animals: Animals) -> PerMap:
    """Per part and unique point: of the animals that were found (above zero) the least sure one's; zero if there is none.

    A map shows all animals, so it is known no better than that.
    """
    owned = confidences[:, : animals.owned].unflatten(1, (len(animals.individuals), len(animals.parts)))
    found = owned > 0
    least = torch.where(found, owned, torch.inf).amin(1)
    return torch.cat([torch.where(found.any(1), least, 0.0), confidences[:, animals.owned :]], dim=1)
