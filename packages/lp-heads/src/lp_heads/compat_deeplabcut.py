"""The single-animal head of DeepLabCut's PyTorch engine, and its decoder."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lp_heads.regression import KeypointTargets

LOCREF_STD = 7.2801  # input pixels per unit of location refinement


@dataclass(frozen=True, slots=True, kw_only=True)
class Deconvolution:
    """The shape of a stack of transposed convolutions.

    Attributes:
        channels: of the features and after each layer.
        kernels: one per layer.
        strides: one per layer.
        final: (channels, kernel size) of a convolution at the end, if there is one.
    """

    channels: Sequence[int]
    kernels: Sequence[int]
    strides: Sequence[int]
    final: tuple[int, int] | None = None

    @property
    def stride(self) -> int:
        """Cells per feature pixel."""
        return math.prod(self.strides)

    def build(self) -> "Deconvolutions":
        """The layers."""
        return Deconvolutions(self)


class Deconvolutions(nn.Module):
    """Transposed convolutions without padding, ReLU between them, and a convolution at the end or none."""

    def __init__(self, shape: Deconvolution) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for (before, after), kernel, stride in zip(
            itertools.pairwise(shape.channels), shape.kernels, shape.strides, strict=True
        ):
            layers += [nn.ConvTranspose2d(before, after, kernel, stride=stride), nn.ReLU()]
        self.deconv_layers = nn.Sequential(*layers[:-1])
        self.final_conv = nn.Conv2d(shape.channels[-1], *shape.final) if shape.final else nn.Identity()

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch maps H W"]:
        """Features → maps."""
        return self.final_conv(self.deconv_layers(features))


class LocationRefinementHead(nn.Module):
    """Score maps and, per keypoint, two maps of offsets from each cell's centre.

    Args:
        heatmap: layers that make one score map per keypoint.
        locref: layers that make the offsets (x, y) of each keypoint in turn; None: cells' centres are the answer.
        stride: input pixels per cell.
        sigmoid: apply it to the scores.
        clip: limit the scores to 0–1.
        std: input pixels per unit of the offset maps.
    """

    heatmap_head: Deconvolutions
    locref_head: Deconvolutions | None
    target_generator: KeypointTargets
    predictor: "RefinedPeak"

    def __init__(
        self,
        heatmap: Deconvolution,
        locref: Deconvolution | None,
        stride: float,
        *,
        sigmoid: bool = False,
        clip: bool = True,
        std: float = LOCREF_STD,
    ) -> None:
        super().__init__()
        self.heatmap_head = heatmap.build()
        self.locref_head = locref.build() if locref else None
        self.target_generator = KeypointTargets()
        self.predictor = RefinedPeak(stride, sigmoid=sigmoid, clip=clip, std=std)

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → `heatmaps_pred` (batch, keypoints, H, W) and `locref_pred` (batch, 2 keypoints, H, W)."""
        outputs = {"heatmaps_pred": self.heatmap_head(features)}
        if self.locref_head is not None:
            outputs["locref_pred"] = self.locref_head(features)
        return outputs


class RefinedPeak:
    """The cell with the best score, moved by its offset: DeepLabCut's `HeatmapPredictor`, with its pixels.

    Cell i stands for input pixel `(i + 0.5) * stride`.
    """

    stride: float
    sigmoid: bool
    clip: bool
    std: float

    def __init__(self, stride: float, *, sigmoid: bool, clip: bool, std: float = LOCREF_STD) -> None:
        self.stride, self.sigmoid, self.clip, self.std = stride, sigmoid, clip, std

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """`heatmaps_pred`, `locref_pred` if there is one → keypoints in input pixels, scores."""
        maps = outputs["heatmaps_pred"].sigmoid() if self.sigmoid else outputs["heatmaps_pred"]
        scores, best = maps.flatten(-2).max(-1)
        cells = torch.stack([best % maps.shape[-1], best // maps.shape[-1]], dim=-1)
        keypoints = (cells.to(maps.dtype) + 0.5) * self.stride
        if "locref_pred" in outputs:
            offsets = outputs["locref_pred"].flatten(-2).unflatten(1, (-1, 2))
            keypoints = keypoints + self.std * offsets.gather(-1, best[..., None, None].expand(-1, -1, 2, 1))[..., 0]
        return keypoints, scores.clamp(0, 1) if self.clip else scores
