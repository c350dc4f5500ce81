"""Animals followed by a conditional network: their poses in a frame are what it is told to look for in the next one."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from lp_core import ConfigError
from torch import Tensor

from lp_detectors.boxes import area, boxes_of, covered
from lp_detectors.conditional import ConditionalNet, Described, boxes_round
from lp_detectors.poses import similarity

SHRUNK = 0.4  # of the longest that an animal was seen: a shorter pose is none


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowOptions:
    """When the network that proposes poses is asked, and what it can change.

    Attributes:
        every: it is asked in every n-th frame, whatever happens; 0 = only while an animal is missing. Animals are then looked
            for where it sees them, so that a small error cannot grow from frame to frame.
        pause: while an animal is missing, it is asked in every n-th frame.
        new: a proposal that is less like every followed animal than this (object keypoint similarity) is none of them, and
            takes the place of a missing animal, or of one that no proposal is like.
        min_confidence: an animal is lost when the mean confidence of its keypoints is below this.
        duplicate: of two animals that are more alike the less sure one is lost.
    """

    every: int = 3
    pause: int = 5
    new: float = 0.25
    min_confidence: float = 0.1
    duplicate: float = 0.8

    def __post_init__(self) -> None:
        for name in ("every", "pause"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < (name == "pause"):
                raise ConfigError(
                    f"tracker.{name}={value} must be a number of frames{', 0 or more' * (name == 'every')}."
                )
        for name in ("new", "min_confidence", "duplicate"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value <= 1):
                raise ConfigError(f"tracker.{name}={value} must lie in [0, 1].")


@dataclass(frozen=True, slots=True)
class Followed:
    """What is known of a video up to a frame.

    Attributes:
        frame: number of the next one.
        keypoints: of the animals in the frame before, in input pixels; NaN = lost.
        last: where each animal was seen last; NaN = never.
        side: the longest that each was seen, in input pixels.
    """

    frame: int
    keypoints: Float[Tensor, "animals parts 2"]
    last: Float[Tensor, "animals parts 2"]
    side: Float[Tensor, " animals"]


class FollowingNet(Described):
    """A `PoseModel` of consecutive frames of one video, whose animals keep their places.

    Whether to ask for proposals is decided frame by frame, so that a GPU waits for the CPU once per frame.

    Args:
        net: with a proposer.
        options: when it is asked.
    """

    walks = True
    options: FollowOptions

    def __init__(self, net: ConditionalNet, options: FollowOptions | None = None) -> None:
        super().__init__(net)
        self.options = o = options or FollowOptions()
        self.register_buffer("settings", torch.tensor([o.every, o.pause, o.new, o.min_confidence, o.duplicate]))

    def begin(self, frame: int) -> None:
        """The state before the first frame.

        Raises:
            ConfigError: it is another one.
        """
        if frame:
            raise ConfigError("Animals can be followed from the first frame of a video only, by one process.")

    def walk(
        self, images: UInt8[Tensor, "batch 3 height width"], state: Followed | None
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"], Followed]:
        """Frames that come after `state` → keypoints in input pixels, confidence, the state behind them."""
        nobody = images.new_full(
            (len(self.animals.individuals), len(self.animals.parts), 2), torch.nan, dtype=torch.float
        )
        known = state or Followed(0, nobody, nobody, extent(nobody))
        poses = []
        for image in images.split(1):
            keypoints, confidence = self._next(image, known)
            found = keypoints.isfinite().flatten(1).any(1)
            last = torch.where(found[:, None, None], keypoints, known.last)
            known = Followed(known.frame + 1, keypoints, last, torch.maximum(known.side, extent(keypoints)))
            poses.append((keypoints.flatten(0, 1), confidence.flatten()))
        keypoints, confidence = (torch.stack(values) for values in zip(*poses, strict=True))
        return keypoints, confidence, known

    def forward(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """The first frames of a video."""
        return self.walk(images, None)[:2]

    def _next(self, image: Tensor, known: Followed) -> tuple[Tensor, Tensor]:
        keypoints, confidence = self._kept(*self.net.look(image, known.keypoints[None]), known.side)
        if not self._asks(known.frame, keypoints):
            return keypoints, confidence
        proposed, sure = self.net.propose(image)
        conditions = self._assigned((keypoints, confidence), (proposed[0], sure[0]), known.last)
        if not conditions.isfinite().any():
            return keypoints, confidence
        more, sure = self.net.look(image, conditions[None])
        new = conditions.isfinite().flatten(1).any(1)
        keypoints = torch.where(new[:, None, None], more[0], keypoints)
        confidence = torch.where(new[:, None], sure[0], confidence)
        return self._kept(keypoints[None], confidence[None], known.side)

    def _asks(self, frame: int, keypoints: Float[Tensor, "animals parts 2"]) -> bool:
        if self.options.every and frame % self.options.every == 0:
            return True
        return frame % self.options.pause == 0 and bool(keypoints.isnan().flatten(1).all(1).any())

    def _kept(
        self,
        keypoints: Float[Tensor, "1 animals parts 2"],
        confidence: Float[Tensor, "1 animals parts"],
        side: Float[Tensor, " animals"],
    ) -> tuple[Float[Tensor, "animals parts 2"], Float[Tensor, "animals parts"]]:
        """Without animals that are not sure enough, are the same as a surer one, or have shrunk to a point."""
        order = confidence.mean(-1).argsort(dim=1, descending=True, stable=True)[0]
        size = area(boxes_round(keypoints)).nan_to_num()
        alike = similarity(keypoints[:, order], confidence[:, order], size[:, order])
        again = torch.empty_like(order, dtype=torch.bool)
        again[order] = covered(alike, self.options.duplicate)[0]
        lost = again | (confidence[0].mean(-1) < self.options.min_confidence) | (extent(keypoints[0]) < SHRUNK * side)
        lost = lost[:, None]
        return keypoints[0].masked_fill(lost[..., None], torch.nan), confidence[0].masked_fill(lost, 0.0)

    def _assigned(
        self,
        found: tuple[Float[Tensor, "animals parts 2"], Float[Tensor, "animals parts"]],
        proposed: tuple[Float[Tensor, "animals parts 2"], Float[Tensor, "animals parts"]],
        last: Float[Tensor, "animals parts 2"],
    ) -> Float[Tensor, "animals parts 2"]:
        """For every animal the proposal that is it; one that is nobody goes to the nearest that has none."""
        count, poses = len(last), proposed[0]
        both, weights = (torch.cat(values)[None] for values in zip(found, proposed, strict=True))
        size = area(boxes_round(both)).nan_to_num()
        likeness = similarity(both, weights, size)[0, count:, :count].T  # (animals, proposals)
        nobody = (likeness.amax(0) < self.options.new) & poses.isfinite().flatten(1).any(1)
        cost = torch.where(nobody, apart(poses, last), torch.inf)
        cost = torch.where(likeness >= self.options.new, -likeness, cost)
        conditions = torch.full_like(poses, torch.nan)
        for animal, proposal in _pairs(cost):
            conditions[animal] = poses[proposal]
        return conditions


def extent(poses: Float[Tensor, "*batch parts 2"]) -> Float[Tensor, "*batch"]:
    """The longer side of the box of each pose; 0 where there is none."""
    box = boxes_of(poses, margin=0, least=0)
    return (box[..., 2:] - box[..., :2]).amax(-1).nan_to_num()


def apart(
    poses: Float[Tensor, "poses parts 2"], last: Float[Tensor, "animals parts 2"]
) -> Float[Tensor, "animals poses"]:
    """Distance of the middle of each pose from that of each animal; of one that was never seen, far, and from the left."""
    here, there = poses.nanmean(1), last.nanmean(1)
    distance = (there[:, None] - here[None]).norm(dim=-1)
    return torch.where(distance.isnan(), 1e6 + here[None, :, 0], distance)


def _pairs(cost: Float[Tensor, "animals poses"]) -> list[tuple[int, int]]:
    """(animal, pose), the cheapest first; infinite = never."""
    left, pairs = cost.cpu().clone(), list[tuple[int, int]]()
    while left.isfinite().any():
        animal, pose = divmod(int(left.argmin()), left.shape[1])
        pairs.append((animal, pose))
        left[animal], left[:, pose] = torch.inf, torch.inf
    return pairs
