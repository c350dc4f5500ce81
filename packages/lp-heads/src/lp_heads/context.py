"""The context head: a map from each frame alone, and one from the frames round it, by two convolutional recurrences."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from lp_core import ConfigError, HeadConfig, Size
from lp_core.tensors import Predictor
from torch import Tensor, nn

from lp_heads.heatmap import LOSSES, HeatmapConfig, HeatmapHead, initialise, normalised, upsampling

MEMORY = 16  # channels per keypoint between the recurrence's convolution and its transpose


def consecutive_windows(frames: int, context: int, device: torch.device | str = "cpu") -> Int[Tensor, "frames window"]:
    """For each of `frames` consecutive frames the numbers of those from `context` before to `context` after it; beyond
    the first and the last frame these are repeated."""
    offsets = torch.arange(-context, context + 1, device=device)
    return (torch.arange(frames, device=device)[:, None] + offsets).clamp(0, frames - 1)


class Recurrence(nn.Module):
    """`h_t = W x_t + H h_{t-1}` without non-linearity; H is a grouped convolution to half the size and back."""

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        self.encode = nn.ConvTranspose2d(keypoints, keypoints, 3, stride=2, padding=1, output_padding=1)
        self.down = nn.Conv2d(keypoints, MEMORY * keypoints, 2, stride=2, groups=keypoints)
        self.up = nn.ConvTranspose2d(MEMORY * keypoints, keypoints, 2, stride=2, groups=keypoints)

    def forward(
        self, maps: Float[Tensor, "frames channels h w"], windows: Int[Tensor, "outputs window"]
    ) -> Float[Tensor, "outputs keypoints h2 w2"]:
        """The state after the last frame of each window; every frame is encoded once, whatever number of windows it is in."""
        encoded = self.encode(maps)
        state = encoded[windows[:, 0]]
        for place in range(1, windows.shape[1]):
            state = encoded[windows[:, place]] + self.up(self.down(state))
        return state


class ContextHead(nn.Module):
    """Lightning Pose's `heatmap_mhcrnn`: a heatmap head per frame, and a recurrence through the frames of a window in
    each direction, whose last states are averaged. Both maps are trained; per keypoint the surer one is the prediction.
    """

    single: HeatmapHead
    context: int
    onward: Recurrence
    backward_: Recurrence
    predictor: "Surer"

    def __init__(self, single: HeatmapHead, channels: int, num_keypoints: int, upsamplings: int, context: int) -> None:
        super().__init__()
        self.single, self.context = single, context
        self.shared = upsampling(channels, num_keypoints, upsamplings - 1, hidden=0)
        self.onward, self.backward_ = Recurrence(num_keypoints), Recurrence(num_keypoints)
        for layers in (self.shared, self.onward, self.backward_):
            initialise(layers, gain=1.0, last=1.0)
        self.target_generator = single.target_generator
        self.predictor = Surer(single.predictor)

    def forward(
        self, features: Float[Tensor, "frames channels h w"], windows: Int[Tensor, "outputs window"] | None = None
    ) -> dict[str, Tensor]:
        """Features of frames → `heatmaps_pred` and `heatmaps_context_pred` (outputs, keypoints, H, W).

        Args:
            windows: rows of `features` for each output, its own frame in the middle; consecutive frames if not given.
        """
        if windows is None:
            windows = consecutive_windows(len(features), self.context, features.device)
        shared = self.shared(features)
        maps = 0.5 * (self.onward(shared, windows) + self.backward_(shared, windows.flip(1)))
        middle = windows[:, windows.shape[1] // 2]
        return {**self.single(features[middle]), "heatmaps_context_pred": normalised(maps)}


class Surer:
    """Decodes the map of the frame alone and the map of its window, and takes per keypoint the more confident one."""

    def __init__(self, decoder: Predictor) -> None:
        self.decoder = decoder

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """`heatmaps_pred`, `heatmaps_context_pred` → keypoints in input pixels, confidence."""
        alone, sure_alone = self.decoder(outputs)
        together, sure_together = self.decoder({"heatmaps_pred": outputs["heatmaps_context_pred"]})
        better = sure_together.detach() > sure_alone.detach()
        return torch.where(better[..., None], together, alone), torch.where(better, sure_together, sure_alone)


@dataclass(slots=True, kw_only=True)
class ContextConfig(HeadConfig):
    """Heatmaps from several frames: what is hidden in one is seen in its neighbours.

    Attributes:
        frames: that are looked at before and after each one; the reference's 2 makes windows of 5.
        loss, downsample_factor, sigma, uniform_for_unlabeled, predictor: as those of the heatmap head.
    """

    frames: int = 2
    loss: str = "kl"
    downsample_factor: int = 2
    sigma: float = 1.25
    uniform_for_unlabeled: bool = True
    predictor: str = "soft_argmax"

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(f"head.frames={self.frames} must be at least 1; for single frames use head=heatmap.")
        if self.loss not in LOSSES:
            raise ConfigError(f"head.loss={self.loss} is unknown; choose mse, kl or js.")

    @property
    def supervised_loss(self) -> str:
        """`heatmap_mse`, `heatmap_kl` or `heatmap_js`."""
        return f"heatmap_{self.loss}"

    @property
    def supervised_outputs(self) -> tuple[str, ...]:
        """Both maps."""
        return ("heatmaps_context_pred",)

    @property
    def context(self) -> int:
        """`frames`."""
        return self.frames

    @property
    def model_type(self) -> str:
        """`heatmap_mhcrnn`."""
        return "heatmap_mhcrnn"

    def build(self, *, channels: int, stride: int, num_keypoints: int, image_size: Size) -> ContextHead:
        """The head for features of `channels` at `stride`.

        Raises:
            ConfigError: the maps cannot be made from features of that stride.
        """
        upsamplings = int(math.log2(stride)) - self.downsample_factor - 1
        if upsamplings < 1:
            raise ConfigError(
                f"head=heatmap_mhcrnn with head.downsample_factor={self.downsample_factor} needs a backbone of stride "
                f"{2 ** (self.downsample_factor + 2)} or more, not {stride}."
            )
        single = HeatmapConfig(
            loss=self.loss, downsample_factor=self.downsample_factor, sigma=self.sigma,
            uniform_for_unlabeled=self.uniform_for_unlabeled, predictor=self.predictor,
        ).build(channels=channels, stride=stride, num_keypoints=num_keypoints, image_size=image_size)  # fmt: skip
        return ContextHead(single, channels, num_keypoints, upsamplings, self.frames)
