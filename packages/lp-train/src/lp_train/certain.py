"""Animals that are certain in a clip of video: what a detector can learn from without labels."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from lp_core.tensors import Clip
from lp_detectors.boxes import area, boxes_of, overlap
from lp_detectors.poses import in_order
from lp_detectors.top_down import TopDownNet
from lp_losses.animals import order_of_animals
from torch import Tensor, nn

SAME = 0.3  # overlap of the boxes of two poses of one animal
Poses = Float[Tensor, "frames animals parts 2"]


@dataclass(frozen=True, slots=True)
class Certain:
    """What is known of a clip.

    Attributes:
        boxes: that the detector proposed, best first; NaN = none.
        poses: in input pixels, every animal in its place in all frames; NaN = not there.
        known: frames in which nothing is left open: all animals of the clip are there, and no pose is doubtful.
    """

    boxes: Float[Tensor, "frames boxes 4"]
    poses: Poses
    known: Bool[Tensor, " frames"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Mean confidences of the parts of a pose.

    Attributes:
        sure: from which it is an animal.
        empty: up to which it is none.
    """

    sure: float
    empty: float


@torch.no_grad()
def certain_animals(net: TopDownNet, teacher: nn.Module, clip: Clip, limits: Limits) -> Certain:
    """The detector proposes boxes, and `teacher`, a network for its crops, says which of them show an animal.

    An animal that is certain before and after a gap is put into it, on a straight line: there the detector learns what
    it cannot see in one frame. A pose has all of its parts, unsure ones too, as the box is round all of them.
    """
    looked = TopDownNet(net.detector, teacher, animals=net.animals, image_size=net.image_size, options=net.options)
    boxes = proposed(net.detector, clip.images)
    keypoints, confidence = looked.poses(clip.images, boxes)
    keypoints, confidence = in_order(keypoints, confidence, area(boxes).nan_to_num(), net.options.duplicate)
    level, animals = confidence.mean(-1), len(net.animals.individuals)
    kept = (level >= limits.sure) & clip.valid[:, None]
    poses = bridged(_followed(torch.where(kept[..., None, None], keypoints, torch.nan)[:, :animals]))
    there = poses.isfinite().all(-1).any(-1)
    missing = there.any(0) & ~there
    doubtful = (level > limits.empty) & (level < limits.sure) & ~_explained(keypoints, poses)
    return Certain(boxes, poses, clip.valid & there.any(1) & ~missing.any(1) & ~doubtful.any(1))


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
