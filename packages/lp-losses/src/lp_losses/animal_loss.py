"""The losses for one animal, on frames with several."""

import abc
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from lp_core import Animals, TrainingPoses
from torch import Tensor, nn

from lp_losses.animals import confidence_of_maps, follow
from lp_losses.base import Loss

Inputs = dict[str, Tensor]
AnyLoss = TypeVar("AnyLoss", bound=Loss)
FLOOR = 1e-6  # of a map's sum


class AnimalLoss(nn.Module, abc.ABC):
    """A loss for one animal that takes the inputs of several; the best comes first in each frame, in no lasting order.

    Elements of animals that were not found (NaN, confidence zero) do not count. The mean is over the elements of all
    animals, so that the value is about that of one.

    Args:
        loss: for one animal, made for as many keypoints as `arrange` gives.
        animals: how the axis of keypoints is divided.
    """

    loss: Loss
    animals: Animals
    name: str
    needs: frozenset[str]
    streams: frozenset[str]
    weight: float

    def __init__(self, loss: Loss, animals: Animals) -> None:
        super().__init__()
        self.loss, self.animals = loss, animals
        self.name, self.needs, self.streams, self.weight = loss.name, loss.needs, loss.streams, loss.weight

    def forward(self, *, stage: str, **inputs: Tensor) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The recipe of the loss, on rearranged inputs."""
        arranged, counts = self.arrange({key: inputs[key] for key in self.needs})
        valid = self.loss.remove_nans(**arranged) & counts
        values = self.loss.rectify_epsilon(self.loss.compute_loss(**arranged))
        scalar = self.loss.reduce_loss(values, valid)
        return scalar, self.loss.log_loss(scalar, stage)

    @abc.abstractmethod
    def arrange(self, inputs: Inputs) -> tuple[Inputs, Bool[Tensor, "..."]]:
        """What the loss is computed on, with no NaN in it, and which of its values count."""


class Followed(AnimalLoss):
    """For losses on pairs of consecutive frames: each animal is followed from frame to frame."""

    def arrange(self, inputs: Inputs) -> tuple[Inputs, Bool[Tensor, "pairs keypoints"]]:
        """The animals in one order; pairs count where a keypoint was found in both frames."""
        points = inputs["keypoints_pred"]
        points = torch.where(inputs["valid"][:, None, None], points, torch.nan)
        individuals, parts = len(self.animals.individuals), len(self.animals.parts)
        points, confidences = follow(points, inputs["confidences"], individuals, parts)
        points, found = _without_nan(points)
        return {**inputs, "keypoints_pred": points, "confidences": confidences}, found[1:] & found[:-1]


class Complete(AnimalLoss):
    """For losses on poses: an animal counts where all of its pose was found."""

    def arrange(self, inputs: Inputs) -> tuple[Inputs, Bool[Tensor, "frames groups 1"]]:
        """The keypoints as they are."""
        points, found = _without_nan(inputs["keypoints_pred"])
        return {**inputs, "keypoints_pred": points}, found[:, self.loss.get_buffer("columns")].all(-1, keepdim=True)


class SharedMaps(AnimalLoss):
    """For losses on heatmaps: one map per part, with a peak for every animal, and at the end one per unique point.

    `heatmaps_…` are values from 0 to 1; maps between these (a centre's) are left out.
    """

    def arrange(self, inputs: Inputs) -> tuple[Inputs, Bool[Tensor, ""]]:
        """Maps that sum to one; the confidence of each is that of its least sure animal."""
        out = dict(inputs)
        for key, value in inputs.items():
            if key.startswith("heatmaps_"):
                parts, unique = len(self.animals.parts), value.shape[1] - len(self.animals.unique)
                maps = torch.cat([value[:, :parts], value[:, unique:]], dim=1).clamp_min(0)
                out[key] = maps / maps.sum((-1, -2), keepdim=True).clamp_min(FLOOR)
            elif key.startswith("confidences"):
                out[key] = confidence_of_maps(value, self.animals)
        return out, torch.ones((), dtype=torch.bool, device=out["valid"].device)


def several_peaks(loss: AnyLoss, poses: TrainingPoses | None) -> AnyLoss | SharedMaps:
    """The loss itself, or for several animals the one on shared maps."""
    return SharedMaps(loss, poses.animals) if poses and poses.animals else loss


def _without_nan(
    points: Float[Tensor, "frames keypoints 2"],
) -> tuple[Float[Tensor, "frames keypoints 2"], Bool[Tensor, "frames keypoints"]]:
    """Zero where not found, with no gradient; and where found."""
    found = points.detach().isfinite().all(-1)
    return torch.where(found[..., None], points, torch.zeros_like(points)), found
