"""Heads and decoders that run checkpoints of Lightning Pose: its numbers, computed with fewer operations."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from lp_core import Size
from torch import Tensor, nn
from torch.nn import functional as F

from lp_heads.context import ContextHead
from lp_heads.heatmap import HeatmapHead, upsampling
from lp_heads.lightning_pose import CONFIDENCE_RADIUS, OFFSETS, TEMPERATURE
from lp_heads.regression import KeypointOutputs, KeypointTargets


def enlargement(length: int, doublings: int) -> Float[Tensor, "fine {length}"]:
    """The matrix that doubles one axis of a map so often: bicubic, then the kernel (1 4 6 4 1) / 16 with zeros outside.

    Both steps are linear and treat the axes one by one, so the reference's `upsample` is `M map Mᵀ` with this matrix.
    """
    matrix = torch.eye(length, dtype=torch.float64)
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=torch.float64).view(1, 1, 5, 1) / 16
    for _ in range(doublings):
        size = (2 * len(matrix), length)
        wide = F.interpolate(matrix[None, None], size=size, mode="bicubic", align_corners=False)
        matrix = F.conv2d(wide, kernel, padding=(2, 0))[0, 0]
    return matrix


class ReferenceSoftArgmax(nn.Module):
    """Lightning Pose's `run_subpixelmaxima` (2.4.3) as matrix products: the numbers of `LightningPoseDecoder`, sooner.

    Its pixels are the reference's: cell i of a map stands for input pixel `i * stride`.

    Args:
        downsample_factor: maps have 1 / 2^downsample_factor of the input's size.
        map_size: (height, width) of the maps.
    """

    rows: Tensor
    columns: Tensor
    offset: float

    def __init__(self, downsample_factor: int, map_size: Size) -> None:
        super().__init__()
        self.offset = OFFSETS.get(downsample_factor, 0.0)
        rows, columns = (enlargement(side, downsample_factor) for side in map_size)
        self.register_buffer("rows", (TEMPERATURE * rows).float(), persistent=False)
        self.register_buffer("columns", columns.T.float().contiguous(), persistent=False)

    def forward(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """`heatmaps_pred` → keypoints in the reference's input pixels, its confidence."""
        logits = self.rows @ outputs["heatmaps_pred"].contiguous() @ self.columns
        height, width = logits.shape[-2:]
        soft = torch.softmax(logits.flatten(-2), dim=-1).unflatten(-1, (height, width))
        cells = torch.arange(max(height, width), device=soft.device, dtype=soft.dtype)
        keypoints = torch.stack([soft.sum(-2) @ cells[:width], soft.sum(-1) @ cells[:height]], dim=-1)
        return keypoints - self.offset, mass_near(soft, keypoints.detach())


def mass_near(
    maps: Float[Tensor, "batch keypoints h w"], keypoints: Float[Tensor, "batch keypoints 2"]
) -> Float[Tensor, "batch keypoints"]:
    """What lies in the 5×5 cells round the truncated position; nothing lies outside a map."""
    height, width = maps.shape[-2:]
    side = torch.arange(-CONFIDENCE_RADIUS, CONFIDENCE_RADIUS + 1, device=maps.device)
    x, y = (keypoints.long()[..., axis, None] + side for axis in (0, 1))
    inside = ((y >= 0) & (y < height))[..., :, None] & ((x >= 0) & (x < width))[..., None, :]
    index = y.clamp(0, height - 1)[..., :, None] * width + x.clamp(0, width - 1)[..., None, :]
    return (maps.flatten(-2).gather(-1, index.flatten(-2)) * inside.flatten(-2)).sum(-1)


class PixelRegressionHead(nn.Module):
    """The reference's regression head: global average pooling and one linear layer, in input pixels."""

    target_generator: KeypointTargets
    predictor: KeypointOutputs

    def __init__(self, channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.linear_layer = nn.Linear(channels, 2 * num_keypoints)
        self.target_generator, self.predictor = KeypointTargets(), KeypointOutputs()

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → `keypoints_pred` (batch, keypoints, 2) in input pixels."""
        return {"keypoints_pred": self.linear_layer(features.mean((-1, -2))).unflatten(-1, (-1, 2))}


def reference_context_head(single: HeatmapHead, channels: int, num_keypoints: int, upsamplings: int) -> ContextHead:
    """The reference's head for five frames, on features of `channels`.

    At stride 32 it is `ContextHead`; at stride 16 (`upsamplings` 1) its recurrences start from the shuffled features
    themselves.
    """
    head = ContextHead(single, channels, num_keypoints, max(upsamplings, 2), context=2)
    if upsamplings == 1:
        head.shared = upsampling(channels, num_keypoints, 0, hidden=0)[:1]
        for recurrence in (head.onward, head.backward_):
            recurrence.encode = nn.ConvTranspose2d(
                channels // 4, num_keypoints, 3, stride=2, padding=1, output_padding=1
            )
    return head
