"""SimCC: each coordinate as a classification over bins, with no upsampling.

Li et al., "SimCC: a simple coordinate classification perspective for human pose estimation", ECCV 2022.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from lp_core import VISIBLE, ConfigError, HeadConfig, PredictorConfig, Size, TargetGeneratorConfig
from torch import Tensor, nn

from lp_heads.gaussian_heatmap import inside, normalised_gaussian
from lp_heads.peak import fit_peak, gaussian_mass, window_start

BINS_PER_PIXEL, SIGMA = 2.0, 3.0  # Gaussian label smoothing of 3 input pixels, as in RTMPose at 256×192


class SimCCTargets:
    """A Gaussian over bins per axis; all zero, which losses pass over, where the position is not known."""

    image_size: Size
    bins_per_pixel: float
    sigma: float

    def __init__(self, image_size: Size, bins_per_pixel: float, sigma: float) -> None:
        self.image_size, self.bins_per_pixel, self.sigma = image_size, bins_per_pixel, sigma

    def __call__(
        self, keypoints: Float[Tensor, "batch keypoints 2"], visibility: Int[Tensor, "batch keypoints"]
    ) -> dict[str, Tensor]:
        """Keypoints in input pixels → `simcc_x_targ`, `simcc_y_targ` (batch, keypoints, bins)."""
        known = (visibility == VISIBLE) & inside(keypoints, self.image_size)
        bins = (torch.where(known[..., None], keypoints, 0.0) + 0.5) * self.bins_per_pixel - 0.5
        targets = {}
        for axis, (name, extent) in enumerate((("x", self.image_size[1]), ("y", self.image_size[0]))):
            curve = normalised_gaussian(
                bins[..., axis], round(extent * self.bins_per_pixel), self.sigma * self.bins_per_pixel
            )
            targets[f"simcc_{name}_targ"] = curve * known[..., None]
        return targets


class SimCCDecoder:
    """The peak of each axis to a small part of a bin; confidence is the smaller of both axes' mass at the peak."""

    radius: int
    perfect_mass: float

    def __init__(self, bins_per_pixel: float, sigma: float) -> None:
        self.bins_per_pixel = bins_per_pixel
        self.radius = max(round(1.5 * sigma * bins_per_pixel), 1)
        self.perfect_mass = gaussian_mass(sigma * bins_per_pixel, self.radius)

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Logits per axis → keypoints in input pixels, confidence."""
        (x, mass_x), (y, mass_y) = (self._axis(outputs[f"simcc_{name}_pred"]) for name in ("x", "y"))
        keypoints = (torch.stack([x, y], dim=-1) + 0.5) / self.bins_per_pixel - 0.5
        return keypoints, (torch.minimum(mass_x, mass_y) / self.perfect_mass).clamp(0, 1)

    def _axis(self, logits: Float[Tensor, "batch keypoints bins"]) -> tuple[Tensor, Tensor]:
        share = torch.softmax(logits, dim=-1)
        peak = share.detach().argmax(-1)
        start = window_start(peak, share.shape[-1], self.radius)
        cells = start[..., None] + torch.arange(min(2 * self.radius + 1, share.shape[-1]), device=logits.device)
        window = share.gather(-1, cells)
        return start + fit_peak(window, (peak - start).to(share.dtype)), window.sum(-1)


class SimCCHead(nn.Module):
    """A 7×7 convolution to one small map per keypoint, flattened and read out by linear layers as bins per axis."""

    def __init__(self, channels: int, num_keypoints: int, cells: int, bins: tuple[int, int], hidden: int) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(channels, num_keypoints, 7, padding=3)
        self.embed = nn.Sequential(nn.LayerNorm(cells), nn.Linear(cells, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.read_x, self.read_y = nn.Linear(hidden, bins[0]), nn.Linear(hidden, bins[1])

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → logits `simcc_x_pred`, `simcc_y_pred` (batch, keypoints, bins)."""
        hidden = self.embed(self.final_layer(features).flatten(-2))
        return {"simcc_x_pred": self.read_x(hidden), "simcc_y_pred": self.read_y(hidden)}


@dataclass(slots=True, kw_only=True)
class SimCCConfig(HeadConfig):
    """1-D classification per axis: no upsampling.

    Attributes:
        bins_per_pixel: bins per input pixel.
        sigma: label smoothing in input pixels.
        hidden: width of the layers that read out the bins.
    """

    bins_per_pixel: float = BINS_PER_PIXEL
    sigma: float = SIGMA
    hidden: int = 256

    def __post_init__(self) -> None:
        if self.bins_per_pixel <= 0 or self.sigma <= 0:
            raise ConfigError("head.bins_per_pixel and head.sigma must be above zero.")

    @property
    def supervised_loss(self) -> str:
        """`simcc_kl`."""
        return "simcc_kl"

    @property
    def model_type(self) -> str:
        """`simcc`."""
        return "simcc"

    def build(self, *, channels: int, stride: int, num_keypoints: int, image_size: Size) -> SimCCHead:
        """The head for features of `channels` at `stride`."""
        height, width = image_size
        bins = (round(width * self.bins_per_pixel), round(height * self.bins_per_pixel))
        head = SimCCHead(channels, num_keypoints, (height // stride) * (width // stride), bins, self.hidden)
        head.target_generator = SimCCTargets(image_size, self.bins_per_pixel, self.sigma)
        head.predictor = SimCCDecoder(self.bins_per_pixel, self.sigma)
        return head


@dataclass(slots=True, kw_only=True)
class SimCCTargetsConfig(TargetGeneratorConfig):
    """A Gaussian over bins per axis, for SimCC."""

    sigma: float = SIGMA

    def build(self, *, image_size: Size, stride: float) -> SimCCTargets:
        """The generator for bins of `stride` input pixels."""
        return SimCCTargets(image_size, 1 / stride, self.sigma)


@dataclass(slots=True, kw_only=True)
class SimCCDecoderConfig(PredictorConfig):
    """The peak over bins per axis, for SimCC."""

    sigma: float = SIGMA

    def build(self, *, image_size: Size, stride: float) -> SimCCDecoder:
        """The predictor for bins of `stride` input pixels."""
        return SimCCDecoder(1 / stride, self.sigma)
