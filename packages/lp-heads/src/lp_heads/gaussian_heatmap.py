"""Gaussian heatmaps as targets."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from lp_core import OCCLUDED, VISIBLE, ConfigError, Size, TargetGeneratorConfig
from torch import Tensor

SIGMA = 1.25  # heatmap cells; the reference's value


def inside(keypoints: Float[Tensor, "*batch 2"], image_size: Size) -> Bool[Tensor, "*batch"]:
    """Whether points in input pixels lie in the image, which covers [-0.5, W - 0.5] × [-0.5, H - 0.5]; NaN does not."""
    limit = torch.linspace(image_size[1] - 0.5, image_size[0] - 0.5, 2, device=keypoints.device)  # nothing is copied
    return ((keypoints >= -0.5) & (keypoints <= limit)).all(-1)


def normalised_gaussian(centre: Float[Tensor, "*batch"], length: int, sigma: float) -> Float[Tensor, "*batch {length}"]:
    """A Gaussian sampled at 0, 1, …, length - 1, divided by its sum."""
    cells = torch.arange(length, device=centre.device, dtype=centre.dtype)
    return torch.softmax(-0.5 * ((cells - centre[..., None]) / sigma) ** 2, dim=-1)


class GaussianHeatmap:
    """Encodes labels as maps that sum to one.

    A visible keypoint is a Gaussian of `sigma` cells round its exact position: input pixel x is cell
    `(x + 0.5) / stride - 0.5`. An occluded one is the uniform map: it may be anywhere. One that is not labeled is the
    uniform map too, or an all-zero map that losses pass over. Lightning Pose's rule (`generate_heatmaps`), but for the
    half pixel.
    """

    image_size: Size
    stride: float
    sigma: float

    def __init__(self, image_size: Size, stride: float, sigma: float, uniform_for_unlabeled: bool) -> None:
        self.image_size, self.stride, self.sigma = image_size, stride, sigma
        self.uniform_for_unlabeled = uniform_for_unlabeled
        self.size: Size = (round(image_size[0] / stride), round(image_size[1] / stride))

    def __call__(
        self, keypoints: Float[Tensor, "batch keypoints 2"], visibility: Int[Tensor, "batch keypoints"]
    ) -> dict[str, Tensor]:
        """Keypoints in input pixels → `heatmaps_targ` (batch, keypoints, height / stride, width / stride)."""
        height, width = self.size
        visible = (visibility == VISIBLE) & inside(keypoints, self.image_size)
        cells = (torch.where(visible[..., None], keypoints, 0.0) + 0.5) / self.stride - 0.5
        columns = normalised_gaussian(cells[..., 0], width, self.sigma)
        rows = normalised_gaussian(cells[..., 1], height, self.sigma)
        uniform = torch.ones_like(visible) if self.uniform_for_unlabeled else visibility == OCCLUDED
        rows = torch.where(visible[..., None], rows, uniform[..., None].to(rows.dtype) / (height * width))
        columns = torch.where(visible[..., None], columns, 1.0)
        return {"heatmaps_targ": rows[..., :, None] * columns[..., None, :]}


@dataclass(slots=True, kw_only=True)
class GaussianHeatmapConfig(TargetGeneratorConfig):
    """A Gaussian per keypoint, uniform maps for occluded and unlabeled ones.

    Attributes:
        sigma: standard deviation in heatmap cells.
        uniform_for_unlabeled: teach "nowhere" for keypoints without a label, which makes confidence mean something where
            labelers left out what they could not see; false ignores them.
    """

    sigma: float = SIGMA
    uniform_for_unlabeled: bool = True

    def __post_init__(self) -> None:
        if self.sigma <= 0:
            raise ConfigError(f"sigma={self.sigma} must be above zero heatmap cells.")

    def build(self, *, image_size: Size, stride: float) -> GaussianHeatmap:
        """The generator for maps of one cell per `stride` input pixels."""
        return GaussianHeatmap(image_size, stride, self.sigma, self.uniform_for_unlabeled)
