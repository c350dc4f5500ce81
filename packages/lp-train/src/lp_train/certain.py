"""What is certain in a clip of video: networks can learn from it without labels."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from lp_core.tensors import Clip
from lp_detectors.boxes import area, boxes_of, overlap
from lp_detectors.poses import by_animal, in_order
from lp_detectors.top_down import TopDownNet
from lp_losses.animals import order_of_animals
from torch import Tensor, nn

from lp_train.network import PoseNet

SAME = 0.3  # overlap of the boxes of two poses of one animal
Poses = Float[Tensor, "frames animals parts 2"]


@dataclass(frozen=True, slots=True)
class Certain:
    """What is known of a clip.

    Attributes:
        poses: in input pixels, every animal in its place in all frames; NaN = not there.
        known: frames in which nothing is left open: all animals of the clip are there, and no pose is doubtful.
    """

    poses: Poses
    known: Bool[Tensor, " frames"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Mean confidences of the parts of a pose.

    Attributes:
        sure: from which it is an animal.
        empty: up to which it is none. Parts of less confidence are left out of a pose.
    """

    sure: float
    empty: float


@torch.no_grad()
def animals_in_boxes(net: TopDownNet, teacher: nn.Module, clip: Clip, limits: Limits) -> Certain:
    """The detector proposes boxes, and `teacher`, a network for its crops, says which of them show an animal."""
    looked = TopDownNet(net.detector, teacher, animals=net.animals, image_size=net.image_size, options=net.options)
    boxes = proposed(net.detector, clip.images)
    keypoints, confidence = looked.poses(clip.images, boxes)
    keypoints, confidence = in_order(keypoints, confidence, area(boxes).nan_to_num(), net.options.duplicate)
    level = confidence.mean(-1, keepdim=True).expand_as(confidence)  # a box is round all parts, unsure ones too
    return settled(keypoints, level, clip.valid, limits, len(net.animals.individuals))


def settled(
    keypoints: Float[Tensor, "frames found parts 2"],
    confidence: Float[Tensor, "frames found parts"],
    valid: Bool[Tensor, " frames"],
    limits: Limits,
    animals: int,
) -> Certain:
    """Poses found in consecutive frames, best first, as the animals of a clip, at most so many.

    An animal that is certain before and after a gap is put into it, on a straight line: there a network learns what it
    cannot see in one frame.
    """
    level = confidence.mean(-1, keepdim=True)
    kept = (level >= limits.sure) & (confidence >= limits.empty) & valid[:, None, None]
    poses = bridged(_followed(torch.where(kept[..., None], keypoints, torch.nan)[:, :animals]))
    there = poses.isfinite().all(-1).any(-1)
    missing = there.any(0) & ~there
    open_ = (level > limits.empty) & (level < limits.sure)
    doubtful = open_[..., 0] & ~_explained(keypoints, poses)
    return Certain(poses, valid & there.any(1) & ~missing.any(1) & ~doubtful.any(1))


@torch.no_grad()
def keypoints_of(teacher: PoseNet, clip: Clip, limits: Limits) -> tuple[Float[Tensor, "frames keypoints 2"], Tensor]:
    """The keypoints of a clip of which `teacher` is sure, NaN for others, and in which frames there is enough known."""
    points, sure = teacher(clip.images)
    points, sure = points.float(), sure.float()
    alone = torch.where((sure >= limits.sure)[..., None], points, torch.nan)
    animals = teacher.animals
    if animals is None:
        return alone, clip.valid & alone.isfinite().all(-1).any(1)
    poses, confidence = by_animal(points, animals), by_animal(sure, animals)
    found = settled(poses, confidence, clip.valid, limits, len(animals.individuals))
    once = sure[:, animals.owned :]
    known = found.known & ((once >= limits.sure) | (once <= limits.empty)).all(1)
    return torch.cat([found.poses.flatten(1, 2), alone[:, animals.owned :]], dim=1), known


@torch.no_grad()
def proposed(detector: nn.Module, images: Tensor) -> Float[Tensor, "frames boxes 4"]:
    """The boxes of a detector that is in training, as it would give them at prediction."""
    training = detector.training
    boxes, _ = detector.eval()(images)
    detector.train(training)
    return boxes


def bridged(poses: Poses) -> Poses:
    """Parts that are missing between two frames that have them, on a straight line between these."""
    values, frames = poses.cpu().double().numpy(), np.arange(len(poses))
    flat = values.reshape(len(poses), -1)
    for column in flat.T:
        have = np.flatnonzero(np.isfinite(column))
        if len(have):
            column[:] = np.interp(frames, have, column[have], left=np.nan, right=np.nan)
    return torch.from_numpy(flat.reshape(values.shape)).to(poses)


def _followed(poses: Poses) -> Poses:
    order = torch.from_numpy(order_of_animals(poses.cpu().double().numpy())).to(poses.device)
    return poses.gather(1, order[..., None, None].expand_as(poses))


def _explained(found: Float[Tensor, "frames boxes parts 2"], poses: Poses) -> Bool[Tensor, "frames boxes"]:
    """Which of the poses are where a certain one is."""
    return overlap(boxes_of(found), boxes_of(poses)).amax(-1) > SAME
