"""Poses that one network proposes for the whole frame, each found anew in its crop by another that is told the proposal.

Zhou, Stoffl, Mathis and Mathis 2023, "Rethinking pose estimation in crowds" (BUCTD).
"""

from typing import cast

import torch
from jaxtyping import Float, UInt8
from lp_core import Animals, ConfigError, Resize, Size
from lp_core.tensors import LabeledBatch, PoseModel
from torch import Tensor, nn

from lp_detectors.boxes import area, boxes_of
from lp_detectors.poses import by_animal, in_order
from lp_detectors.top_down import TopDownNet, TopDownOptions, stretched

MARGIN = 0.25  # round the keypoints of a proposal, which may lack some: a share of its longer side


def boxes_round(conditions: Float[Tensor, "*batch parts 2"]) -> Float[Tensor, "*batch 4"]:
    """The crops that are taken for proposed poses, in training as in prediction; no box for a pose that is all NaN."""
    return boxes_of(conditions, MARGIN)


class ConditionalNet(TopDownNet):
    """From uint8 frames to the keypoints of all animals, by a network that proposes poses and one that looks again.

    Args:
        pose: a `PoseModel` of a crop that takes the proposed keypoints, in pixels of the crop, as a second argument.
        animals: names of animals and parts.
        image_size: (height, width) of frames.
        options: those of `TopDownNet` that concern crops.
        proposer: a `PoseModel` of the same animals; see `use`.

    Raises:
        ConfigError: see `TopDownNet` and `use`.
    """

    def __init__(
        self,
        pose: nn.Module,
        *,
        animals: Animals,
        image_size: Size,
        options: TopDownOptions | None = None,
        proposer: nn.Module | None = None,
    ) -> None:
        super().__init__(None, pose, animals=animals, image_size=image_size, options=options)
        self.model_type = f"conditional_{cast(PoseModel, pose).model_type}"
        if proposer is not None:
            self.use(proposer)

    def use(self, proposer: nn.Module) -> None:
        """Let poses be proposed by this network.

        Raises:
            ConfigError: it is for other animals, or looks at several frames.
        """
        names = tuple(cast(PoseModel, proposer).keypoint_names)
        if names != self.keypoint_names:
            raise ConfigError(
                f"The network that proposes poses finds {', '.join(names)}, and this one is for "
                f"{', '.join(self.keypoint_names)}; train both on the same labels."
            )
        if getattr(proposer, "context", 0):
            raise ConfigError("A network that looks at several frames cannot propose poses; choose another.")
        self.detector = proposer

    def forward(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Frames → keypoints of the best animal, of the second, … in input pixels, confidence in 0–1."""
        return self.best(images, self.propose(images)[0])

    def propose(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch animals parts 2"], Float[Tensor, "batch animals parts"]]:
        """Frames → proposed poses in input pixels, best first, and their confidence.

        Raises:
            ConfigError: nobody proposes any.
        """
        if self.detector is None:
            raise ConfigError(
                "This network starts from proposed poses: give conditions=RUN, the folder of a training on the same labels "
                "that finds all animals by itself (head=dekr or paf, for instance)."
            )
        size = (images.shape[2], images.shape[3])
        own = size if getattr(self.detector, "any_size", False) else self.detector.image_size
        keypoints, confidence = self.detector(images if own == size else stretched(images, own))
        keypoints = Resize(size, own).inverse(keypoints.float())
        return by_animal(keypoints, self.animals), by_animal(confidence.float(), self.animals)

    def look(
        self, images: UInt8[Tensor, "batch 3 height width"], conditions: Float[Tensor, "batch animals parts 2"]
    ) -> tuple[Float[Tensor, "batch animals parts 2"], Float[Tensor, "batch animals parts"]]:
        """The animals that the conditions are of, in their order; NaN and 0 where a condition is all NaN."""
        return self.poses(images, boxes_round(conditions), conditions)

    def best(
        self, images: UInt8[Tensor, "batch 3 height width"], conditions: Float[Tensor, "batch animals parts 2"]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Like `look`, best first, of two that are the same animal the better one, in the form that a `PoseModel` gives."""
        keypoints, confidence = self.look(images, conditions)
        size = area(boxes_round(conditions)).nan_to_num()
        keypoints, confidence = in_order(keypoints, confidence, size, self.options.duplicate)
        return keypoints.flatten(1, 2), confidence.flatten(1, 2)


class Described(nn.Module):
    """A `PoseModel` by what it says of another, and a `lp_infer.torch_runtime.Walking` network."""

    def __init__(self, net: ConditionalNet) -> None:
        super().__init__()
        self.net = net
        self.keypoint_names, self.image_size, self.model_type = net.keypoint_names, net.image_size, net.model_type
        self.animals = net.animals


class GivenConditions(Described):
    """Poses round proposals that are known beforehand, frame by frame.

    Args:
        net: needs no proposer.
        conditions: for each frame of a video, or each labeled frame, in input pixels; NaN = none.
    """

    walks = False

    def __init__(self, net: ConditionalNet, conditions: Float[Tensor, "frames animals parts 2"]) -> None:
        super().__init__(net)
        self.register_buffer("conditions", conditions.float())

    def begin(self, frame: int) -> int:
        """The state before frame number `frame`: the number itself."""
        return frame

    def walk(
        self, images: UInt8[Tensor, "batch 3 height width"], state: int | None
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"], int]:
        """Frames from number `state` on → keypoints, confidence, the number of the next one."""
        first = state or 0
        rows = torch.arange(first, first + len(images), device=images.device).clamp_max(len(self.conditions) - 1)
        return *self.net.best(images, self.conditions[rows]), first + len(images)

    def forward(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """The first frames."""
        return self.walk(images, None)[:2]

    def predict(
        self, batch: LabeledBatch
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Labeled frames, by their rows in the label set."""
        return self.net.best(batch.images, self.conditions[batch.index])
