"""A detector and the network of a crop, together one network of a frame."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, UInt8
from lp_core import Animals, ConfigError, Resize, Size
from lp_core.tensors import PoseModel
from torch import Tensor, nn
from torch.nn import functional as F

from lp_detectors.boxes import area, present
from lp_detectors.crops import Crops, cut
from lp_detectors.poses import in_order, without_unique


@dataclass(frozen=True, slots=True, kw_only=True)
class TopDownOptions:
    """How the two are joined.

    Attributes:
        detector_size: (height, width) of the frames that the detector sees; None = as they come in.
        skip_empty: poses of boxes only where there are boxes. Otherwise as many as there may be animals, whatever is
            found, as in an exported or compiled network, where it is always so.
        crops_at_once: at most, to bound memory; not when exported or compiled.
        samples: along each side of a crop's pixel; more than 1 for animals much larger than the crops. As in training.
        duplicate: object keypoint similarity from which of two poses the worse is left out.
        context: crops show what lies beside their box, where it has another shape; else it is black. As in training.
    """

    detector_size: Size | None = None
    skip_empty: bool = True
    crops_at_once: int = 64
    samples: int = 1
    duplicate: float = 0.8
    context: bool = True


class TopDownNet(nn.Module):
    """From uint8 frames to the keypoints of all animals: a `PoseModel` of many.

    The confidence of a keypoint is the one that the crop's network gives it, times the root of the score of the animal's
    box. Animals come in order of their mean confidence; one that is not there is NaN with confidence 0. A detector may give
    more boxes than there are animals: of the poses in them the best are kept, so that the network of the crops has its say.

    Args:
        detector: a `Detector`; None where boxes come from elsewhere.
        pose: a `PoseModel` of a crop, trained on crops of boxes with the detector's margin; its keypoints are the parts.
        animals: names of animals and parts.
        image_size: (height, width) of frames.

    Raises:
        ConfigError: unique points, parts that are not those of `pose`, or a `pose` that looks at several frames.
    """

    def __init__(
        self,
        detector: nn.Module | None,
        pose: nn.Module,
        *,
        animals: Animals,
        image_size: Size,
        options: TopDownOptions | None = None,
    ) -> None:
        super().__init__()
        self.animals, self.options = without_unique(animals), options or TopDownOptions()
        described = cast(PoseModel, pose)
        if getattr(pose, "context", 0):
            raise ConfigError("A network that looks at several frames cannot be used on crops; choose another head.")
        if len(described.keypoint_names) != len(animals.parts):
            raise ConfigError(
                f"The network of the crops gives {len(described.keypoint_names)} keypoints and the labels have "
                f"{len(animals.parts)} parts; train it on the same labels."
            )
        self.detector, self.pose = detector, pose
        self.keypoint_names, self.image_size = animals.keypoint_names, image_size
        self.crop_size: Size = (described.image_size[0], described.image_size[1])
        self.model_type = f"top_down_{described.model_type}"

    def forward(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Frames → keypoints of the best animal, of the second, … in input pixels, confidence in 0–1."""
        boxes, scores = self.detect(images)
        keypoints, confidence = self.poses(images, boxes)
        confidence = confidence * scores[..., None].sqrt()
        keypoints, confidence = in_order(keypoints, confidence, area(boxes).nan_to_num(), self.options.duplicate)
        kept = len(self.animals.individuals)
        return keypoints[:, :kept].flatten(1, 2), confidence[:, :kept].flatten(1, 2)

    def detect(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch boxes 4"], Float[Tensor, "batch boxes"]]:
        """Frames → boxes in input pixels, best first, and scores; NaN and 0 where fewer were found."""
        size, own = (images.shape[2], images.shape[3]), self.options.detector_size
        if own is None or own == size:
            boxes, scores = self.detector(images)
            return boxes.float(), scores.float()
        small = stretched(images, own)
        boxes, scores = self.detector(small)
        corners = boxes.float().unflatten(-1, (2, 2))
        return Resize(size, own).inverse(corners).flatten(-2), scores.float()

    def poses(
        self,
        images: UInt8[Tensor, "batch 3 height width"],
        boxes: Float[Tensor, "batch boxes 4"],
        conditions: Float[Tensor, "batch boxes parts 2"] | None = None,
    ) -> tuple[Float[Tensor, "batch boxes parts 2"], Float[Tensor, "batch boxes parts"]]:
        """The pose in each box, keypoints in input pixels; NaN and 0 where there is no box.

        Args:
            conditions: what the network of the crops is told besides, in input pixels (`lp_detectors.conditional`).
        """
        exists = present(boxes)
        if self.options.skip_empty and not torch.compiler.is_compiling():
            return self._poses_of_some(images, boxes, conditions)
        whole = boxes.new_tensor([-0.5, -0.5, images.shape[3] - 0.5, images.shape[2] - 0.5])
        crops = Crops.of(torch.where(exists[..., None], boxes, whole), self.crop_size, context=self.options.context)
        keypoints, confidence = self.pose(*self._seen(images, crops, conditions))
        shape = (-1, boxes.shape[1])
        keypoints = crops.to_frame(keypoints.float().unflatten(0, shape))
        confidence = confidence.float().unflatten(0, shape)
        return _masked(keypoints, confidence, exists)

    def _poses_of_some(self, images: Tensor, boxes: Tensor, conditions: Tensor | None) -> tuple[Tensor, Tensor]:
        """As above, without running the network on boxes that are not there."""
        exists = present(boxes)
        columns = int((exists.any(0) * torch.arange(1, boxes.shape[1] + 1, device=boxes.device)).amax().clamp_min(1))
        crops = Crops.of(boxes[:, :columns], self.crop_size, context=self.options.context)
        rows = exists[:, :columns].flatten().nonzero()[:, 0]
        if not len(rows):
            rows = rows.new_zeros(1)  # networks are not made for no images; what comes out is masked
        seen = self._seen(images, crops, None if conditions is None else conditions[:, :columns])
        pieces = zip(*(part[rows].split(self.options.crops_at_once) for part in seen), strict=True)
        parts = [self.pose(*some) for some in pieces]
        known = [torch.cat(values).float() for values in zip(*parts, strict=True)]
        chosen = Crops(crops.centre.flatten(0, 1)[rows], crops.scale.flatten()[rows], crops.size)
        places = (rows // columns, rows % columns)
        count = len(self.animals.parts)
        keypoints = boxes.new_zeros(*boxes.shape[:2], count, 2).index_put(places, chosen.to_frame(known[0]))
        confidence = boxes.new_zeros(*boxes.shape[:2], count).index_put(places, known[1])
        return _masked(keypoints, confidence, exists)

    def _seen(self, images: Tensor, crops: Crops, conditions: Tensor | None) -> tuple[Tensor, ...]:
        """What the network of the crops gets: all of them, and the conditions in their pixels if there are any."""
        with torch.autocast(images.device.type, enabled=False):
            pictures = cut(images, crops, self.options.samples).round().to(images.dtype).flatten(0, 1)
        return (pictures,) if conditions is None else (pictures, crops.to_crop(conditions).flatten(0, 1))


def stretched(images: UInt8[Tensor, "batch 3 height width"], size: Size) -> UInt8[Tensor, "batch 3 h w"]:
    """The images at another (height, width)."""
    small = F.interpolate(images.float(), size, mode="bilinear", align_corners=False, antialias=True)
    return small.round().to(images.dtype)


def _masked(keypoints: Tensor, confidence: Tensor, exists: Tensor) -> tuple[Tensor, Tensor]:
    found = exists[..., None]
    return torch.where(found[..., None], keypoints, torch.nan), torch.where(found, confidence, 0.0)
