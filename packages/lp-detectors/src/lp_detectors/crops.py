"""Cut boxes out of frames, and the way back for points."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Shaped
from lp_core import Size
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Crops:
    """Windows of frames stretched to `size`, alike in both directions.

    The centre of a window is the centre of its crop. A crop of width W covers [-0.5, W - 0.5] in its own pixels and
    `W * scale` pixels of the frame.

    Attributes:
        centre: (x, y) of each window in frame pixels.
        scale: frame pixels per crop pixel.
        size: (height, width) of every crop.
        shown: (x, y), half the extent in frame pixels of what is seen of each window, the rest is black; None = everything.
    """

    centre: Float[Tensor, "*batch 2"]
    scale: Float[Tensor, "*batch"]
    size: Size
    shown: Float[Tensor, "*batch 2"] | None = None

    @classmethod
    def of(cls, boxes: Float[Tensor, "*batch 4"], size: Size, *, context: bool = True) -> "Crops":
        """The smallest windows of the shape of `size` that hold the boxes; NaN where there is no box.

        Args:
            context: show what lies beside the box too.
        """
        extent = torch.tensor([size[1], size[0]], dtype=boxes.dtype, device=boxes.device)
        side = boxes[..., 2:] - boxes[..., :2]
        shown = None if context else side / 2
        return cls((boxes[..., 2:] + boxes[..., :2]) / 2, (side / extent).amax(-1), size, shown)

    @property
    def transforms(self) -> Float[Tensor, "*batch 2 3"]:
        """Affine maps, frame pixels → crop pixels."""
        linear = torch.diag_embed((1 / self.scale)[..., None].expand(*self.scale.shape, 2))
        shift = self._middle - self.centre / self.scale[..., None]
        return torch.cat([linear, shift[..., None]], dim=-1)

    def to_crop(self, points: Float[Tensor, "*batch points 2"]) -> Float[Tensor, "*batch points 2"]:
        """Points in frame pixels → the crop's; NaN stays NaN."""
        return (points - self.centre[..., None, :]) / self.scale[..., None, None] + self._middle

    def to_frame(self, points: Float[Tensor, "*batch points 2"]) -> Float[Tensor, "*batch points 2"]:
        """Points in pixels of the crop → the frame's."""
        return (points - self._middle) * self.scale[..., None, None] + self.centre[..., None, :]

    @property
    def _middle(self) -> Float[Tensor, " 2"]:
        height, width = self.size
        return torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=self.scale.dtype, device=self.scale.device)


def cut(
    frames: Shaped[Tensor, "batch channels height width"], crops: Crops, samples: int = 1
) -> Float[Tensor, "batch animals channels h w"]:
    """The crops (batch, animals) of each frame, bilinear, black outside of the frame and of what is shown.

    Differentiable in the frames' values and in the windows. No frame is copied for its animals.

    Args:
        samples: along each side of a crop's pixel, which is their mean. With 1, detail is lost unevenly in windows more
            than twice as large as their crop.
    """
    if samples > 1:
        height, width = crops.size
        fine = cut(frames, replace(crops, scale=crops.scale / samples, size=(height * samples, width * samples)))
        return F.avg_pool2d(fine.flatten(0, 1), samples).unflatten(0, fine.shape[:2])
    x, y = _along(crops, 1), _along(crops, 0)  # (batch, animals, w) and (batch, animals, h) in frame pixels
    height, width = frames.shape[-2:]
    animals, (h, w) = x.shape[1], crops.size
    grid = torch.stack(
        [
            ((2 * x + 1) / width - 1)[..., None, :].expand(-1, -1, h, -1),
            ((2 * y + 1) / height - 1)[..., :, None].expand(-1, -1, -1, w),
        ],
        dim=-1,
    )
    images = F.grid_sample(
        frames.to(grid.dtype), grid.flatten(1, 2), mode="bilinear", padding_mode="border", align_corners=False
    )
    images = images.unflatten(2, (animals, h)).transpose(1, 2)
    seen_x, seen_y = _within(x, width), _within(y, height)
    if crops.shown is not None:
        seen_x, seen_y = (
            seen & ((place - crops.centre[..., axis, None]).abs() <= crops.shown[..., axis, None])
            for seen, place, axis in ((seen_x, x, 0), (seen_y, y, 1))
        )
    inside = seen_y[..., :, None] & seen_x[..., None, :]
    return images * inside[:, :, None]


def _along(crops: Crops, axis: int) -> Float[Tensor, "batch animals length"]:
    """Where the pixels of a row (axis 1) or column (axis 0) of each crop lie in its frame."""
    length = crops.size[axis]
    steps = torch.arange(length, dtype=crops.scale.dtype, device=crops.scale.device) - (length - 1) / 2
    return crops.centre[..., 1 - axis, None] + steps * crops.scale[..., None]


def _within(position: Tensor, length: int) -> Tensor:
    return (position >= -0.5) & (position <= length - 0.5)
