"""RTMPose's head: SimCC whose keypoints look at one another.

Jiang et al., "RTMPose: real-time multi-person pose estimation based on MMPose", 2023.
"""

import math
from dataclasses import dataclass

from jaxtyping import Float
from lp_core import ConfigError, HeadConfig, Size
from lp_core.tensors import Predictor, TargetGenerator
from torch import Tensor, nn

from lp_heads.gated_attention import GatedAttention, ScaleNorm
from lp_heads.simcc import BINS_PER_PIXEL, SimCCDecoder, SimCCTargets

SHARPNESS = 10.0  # RTMPose's loss multiplies the logits so; here they leave the head multiplied


def label_smoothing(image_size: Size) -> float:
    """RTMPose's in input pixels: 4.9, 5.66, 6 and 6.93 bins at 192, 256, 288 and 384 pixels are √(side / 8)."""
    return math.sqrt(math.sqrt(image_size[0] * image_size[1]) / 8) / BINS_PER_PIXEL


class RTMCCHead(nn.Module):
    """A 7×7 convolution to one small map per keypoint, a token from each map, one gated attention unit, bins per axis."""

    target_generator: TargetGenerator
    predictor: Predictor
    attention: GatedAttention

    def __init__(self, channels: int, num_keypoints: int, cells: int, bins: tuple[int, int], hidden: int) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(channels, num_keypoints, 7, padding=3)
        self.embed = nn.Sequential(ScaleNorm(), nn.Linear(cells, hidden, bias=False))
        self.attention = GatedAttention(hidden)
        self.read_x, self.read_y = nn.Linear(hidden, bins[0], bias=False), nn.Linear(hidden, bins[1], bias=False)
        initialise(self)

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → logits `simcc_x_pred`, `simcc_y_pred` (batch, keypoints, bins)."""
        tokens = self.attention(self.embed(self.final_layer(features).flatten(-2)))
        return {"simcc_x_pred": SHARPNESS * self.read_x(tokens), "simcc_y_pred": SHARPNESS * self.read_y(tokens)}


def initialise(head: nn.Module) -> None:
    """RTMPose's: standard deviation 0.001 for convolutions and 0.01 for linear layers, biases zero."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.001 if isinstance(module, nn.Conv2d) else 0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@dataclass(slots=True, kw_only=True)
class RTMCCConfig(HeadConfig):
    """RTMPose's head: 1-D classification per axis after attention between keypoints; sizes follow the image's.

    Attributes:
        bins_per_pixel: bins per input pixel.
        sigma: label smoothing in input pixels; 0: RTMPose's for the image's size, 2.8 at 256 × 256.
        hidden: width of a keypoint's token.
    """

    bins_per_pixel: float = BINS_PER_PIXEL
    sigma: float = 0.0
    hidden: int = 256

    def __post_init__(self) -> None:
        if self.bins_per_pixel <= 0 or self.sigma < 0 or self.hidden < 1:
            raise ConfigError("head.bins_per_pixel and head.hidden must be above zero, head.sigma at least zero.")

    @property
    def supervised_loss(self) -> str:
        """`simcc_kl`."""
        return "simcc_kl"

    @property
    def model_type(self) -> str:
        """`rtmcc`."""
        return "rtmcc"

    def build(self, *, channels: int, stride: int, num_keypoints: int, image_size: Size) -> RTMCCHead:
        """The head for features of `channels` at `stride`."""
        height, width = image_size
        bins = (round(width * self.bins_per_pixel), round(height * self.bins_per_pixel))
        sigma = self.sigma or label_smoothing(image_size)
        head = RTMCCHead(channels, num_keypoints, (height // stride) * (width // stride), bins, self.hidden)
        head.target_generator = SimCCTargets(image_size, self.bins_per_pixel, sigma)
        head.predictor = SimCCDecoder(self.bins_per_pixel, sigma)
        return head
