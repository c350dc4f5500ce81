"""Frames of several animals as crops of one each: what a network for one animal is trained on."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from lp_core import Animals, ConfigError, Size
from lp_core.tensors import Augmented, Clip, LabeledBatch
from lp_data.augmentation.geometry import Affine, compose
from lp_data.augmentation.pipeline import flip_order
from lp_detectors.boxes import boxes_of, jittered, present
from lp_detectors.conditional import boxes_round
from lp_detectors.conditions import ConditionOptions, draw_conditions
from lp_detectors.crops import Crops, cut
from lp_detectors.poses import by_animal
from lp_heads.gaussian_heatmap import inside
from lp_losses.animals import order_of_animals
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Augmented):
    """Crops for a conditional network.

    Attributes:
        conditions: the pose that it is told, in pixels of the crop; NaN = none.
    """

    conditions: Float[Tensor, "batch keypoints 2"]


@dataclass(frozen=True, slots=True)
class CropRule:
    """How crops are taken.

    Attributes:
        animals: how the keypoints of a frame are divided.
        frame_size, size: (height, width) of the frames and of the crops.
        limit: crops of a step of training, drawn from those there are.
        errors: for a conditional network, of the poses it is told; crops are taken round these.
        context: see `TopDownOptions`.
    """

    animals: Animals
    frame_size: Size
    size: Size
    limit: int
    errors: ConditionOptions | None = None
    context: bool = True

    def boxes(self, keypoints: Float[Tensor, "batch keypoints 2"]) -> Float[Tensor, "batch animals 4"]:
        """The box round each animal's keypoints."""
        return boxes_of(by_animal(keypoints, self.animals))

    def training(
        self, batch: LabeledBatch, frames: Augmented, generator: torch.Generator
    ) -> tuple[LabeledBatch, Augmented]:
        """Crops of augmented frames, round boxes as a detector might give them, or poses as a network might propose them."""
        conditions = self._conditions(frames.keypoints, generator)
        boxes = jittered(self.boxes(frames.keypoints), generator) if conditions is None else boxes_round(conditions)
        rows, animals = present(boxes).nonzero(as_tuple=True)
        if len(rows) > self.limit:
            chosen = torch.randperm(len(rows), generator=generator)[: self.limit].sort().values.to(rows.device)
            rows, animals = rows[chosen], animals[chosen]
        return self._cropped(batch, frames, boxes, (rows, animals), conditions)

    def validation(self, batch: LabeledBatch) -> tuple[LabeledBatch, Augmented]:
        """Crops of frames as they are, round the labeled animals; conditions are the same every time."""
        unmoved = torch.eye(2, 3).expand(len(batch), -1, -1)
        frames = Augmented(
            images=batch.images.float(), keypoints=batch.keypoints, visibility=batch.visibility, transforms=unmoved
        )
        conditions = self._conditions(batch.keypoints, torch.Generator().manual_seed(int(batch.index[0])))
        boxes = self.boxes(batch.keypoints) if conditions is None else boxes_round(conditions)
        return self._cropped(batch, frames, boxes, present(boxes).nonzero(as_tuple=True), conditions)

    def _conditions(self, keypoints: Tensor, generator: torch.Generator) -> Tensor | None:
        """For every animal a pose with errors."""
        if self.errors is None:
            return None
        truth = by_animal(keypoints, self.animals)
        return draw_conditions(truth, self.errors, generator, mirror=mirror_parts(self.animals.parts))[0]

    def _cropped(
        self,
        batch: LabeledBatch,
        frames: Augmented,
        every: Float[Tensor, "batch animals 4"],
        which: tuple[Int[Tensor, " crops"], ...],
        conditions: Float[Tensor, "batch animals parts 2"] | None,
    ) -> tuple[LabeledBatch, Augmented]:
        rows, animals = which
        boxes = every[rows, animals]
        if not len(rows):  # one crop without labels, as networks are not made for no images
            rows = animals = rows.new_zeros(1)
            boxes = torch.tensor([[0.0, 0.0, self.frame_size[1] - 1, self.frame_size[0] - 1]], device=rows.device)
        crops = Crops.of(boxes, self.size, context=self.context)
        images = cut_each(frames.images, crops, rows)
        keypoints = crops.to_crop(by_animal(frames.keypoints, self.animals)[rows, animals])
        visibility = by_animal(frames.visibility, self.animals)[rows, animals]
        out = ~inside(keypoints, self.size)
        cropped = Augmented(
            images=images,
            keypoints=keypoints.masked_fill(out[..., None], torch.nan),
            visibility=visibility.masked_fill(out, 0),
            transforms=self.through(frames.transforms[rows.cpu()], crops),
        )
        labels = LabeledBatch(
            images=images.round().byte(),
            keypoints=cropped.keypoints,
            visibility=cropped.visibility,
            index=batch.index[rows],
            original_size=batch.original_size[rows],
        )
        if conditions is None:
            return labels, cropped
        fields = {name: getattr(cropped, name) for name in Augmented.__slots__}
        return labels, Told(**fields, conditions=crops.to_crop(conditions[rows, animals]))

    def through(self, transforms: Affine, crops: Crops) -> Affine:
        """From un-augmented frames stretched to the size of a crop, which is what a network for crops takes for its
        input, to pixels of the crop: what undoes crop and augmentation for its predictions.
        """
        (height, width), (h, w) = self.frame_size, self.size
        x, y = width / w, height / h
        stretch = torch.tensor([[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2]]).expand(len(transforms), -1, -1)
        return compose(crops.transforms.cpu().float(), compose(transforms.cpu(), stretch))

    def clips(self, clip: Clip, boxes: Float[Tensor, "frames animals 4"]) -> list[Clip]:
        """For each animal that was found the whole time or in part, the clip of its crops.

        Args:
            boxes: of the animals found in each frame, in any order; NaN = none.
        """
        corners = boxes.unflatten(2, (2, 2)).cpu().double().numpy()
        order = torch.from_numpy(order_of_animals(corners)).to(boxes.device)
        followed = boxes.gather(1, order[..., None].expand(-1, -1, 4)).unbind(1)
        return [self._clip(clip, filled(own), present(own)) for own in followed if present(own).any()]

    def _clip(self, clip: Clip, boxes: Float[Tensor, "frames 4"], found: Tensor) -> Clip:
        crops = Crops.of(boxes, self.size, context=self.context)
        images = cut_each(clip.images, crops, torch.arange(len(clip), device=boxes.device))
        transforms = self.through(clip.transform.expand(len(clip), -1, -1), crops)
        return replace(clip, images=images.round().byte(), valid=clip.valid & found, transform=transforms)


def mirror_parts(parts: tuple[str, ...]) -> tuple[int, ...]:
    """For each part the one of the other side, by their names; () if a side is missing."""
    try:
        return tuple(flip_order(parts).tolist())
    except ConfigError:
        return ()


def cut_each(frames: Tensor, crops: Crops, rows: Int[Tensor, " crops"]) -> Float[Tensor, "crops 3 height width"]:
    """One crop out of frame `rows[i]` for each i."""
    shown = None if crops.shown is None else crops.shown[:, None]
    single = Crops(crops.centre[:, None], crops.scale[:, None], crops.size, shown)
    return cut(frames[rows].float(), single)[:, 0]


def filled(boxes: Float[Tensor, "frames 4"]) -> Float[Tensor, "frames 4"]:
    """Missing boxes are those of the nearest frame that has one."""
    have = np.flatnonzero(present(boxes).cpu().numpy())
    nearest = np.abs(np.arange(len(boxes))[:, None] - have).argmin(1)
    return boxes[torch.from_numpy(have[nearest]).to(boxes.device)]
