"""The heatmap head: upsample features to one map per keypoint."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from lp_core import ConfigError, HeadConfig, Size, nearest, predictors, target_generators
from lp_core.tensors import Predictor, TargetGenerator
from torch import Tensor, nn

LOSSES = ("mse", "kl", "js")


class HeatmapHead(nn.Module):
    """Pixel shuffle, transposed convolutions, softmax over each map.

    The plain form (`hidden` 0) is Lightning Pose's, with its parameter names: channels C/4 → K → … → K, neither norm nor
    activation. With `hidden` channels each transposed convolution is followed by batch norm and ReLU, and a 1×1
    convolution makes the maps.

    Args:
        channels: of the features; a multiple of 4.
        upsamplings: doublings after the pixel shuffle; -1: no pixel shuffle either, maps at the features' own size.
    """

    target_generator: TargetGenerator
    predictor: Predictor

    def __init__(
        self,
        channels: int,
        num_keypoints: int,
        upsamplings: int,
        hidden: int,
        target_generator: TargetGenerator,
        predictor: Predictor,
    ) -> None:
        super().__init__()
        self.upsampling_layers = upsampling(channels, num_keypoints, upsamplings, hidden)
        self.target_generator, self.predictor = target_generator, predictor
        initialise(self.upsampling_layers, gain=1.0 if hidden else 0.01, last=0.01)

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → `heatmaps_pred` (batch, keypoints, H, W), each map summing to one."""
        return {"heatmaps_pred": normalised(self.upsampling_layers(features))}


def normalised(maps: Float[Tensor, "batch keypoints h w"]) -> Float[Tensor, "batch keypoints h w"]:
    """Softmax over the cells of each map."""
    return torch.softmax(maps.flatten(-2), dim=-1).unflatten(-1, maps.shape[-2:])


def upsampling(channels: int, num_keypoints: int, upsamplings: int, hidden: int) -> nn.Sequential:
    """The layers from features to maps, see `HeatmapHead`."""
    layers: list[nn.Module] = [nn.PixelShuffle(2)] if upsamplings >= 0 else []
    width = channels // 4 if upsamplings >= 0 else channels
    for _ in range(upsamplings):
        layers += _doubling(width, hidden or num_keypoints, with_norm=bool(hidden))
        width = hidden or num_keypoints
    if hidden or upsamplings < 1:
        layers.append(nn.Conv2d(width, num_keypoints, 1))
    return nn.Sequential(*layers)


def _doubling(channels: int, out: int, *, with_norm: bool) -> list[nn.Module]:
    conv = nn.ConvTranspose2d(channels, out, 3, stride=2, padding=1, output_padding=1)
    return [conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True)] if with_norm else [conv]


def initialise(layers: nn.Module, gain: float, last: float) -> None:
    """Xavier-uniform weights and zero biases for every convolution; `last` is the gain of the last one."""
    convolutions = [m for m in layers.modules() if isinstance(m, nn.ConvTranspose2d | nn.Conv2d)]
    for conv in convolutions:
        nn.init.xavier_uniform_(conv.weight, gain=last if conv is convolutions[-1] else gain)
        nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType]


@dataclass(slots=True, kw_only=True)
class HeatmapConfig(HeadConfig):
    """Heatmaps from pixel shuffle and transposed convolutions, with Gaussian targets.

    Attributes:
        loss: kl, mse or js between target and predicted maps; kl learns soonest (docs, "Accuracy and speed").
        downsample_factor: maps have 1 / 2^downsample_factor of the input's size.
        hidden: channels of the upsampling layers, with batch norm and ReLU between; 0 is the reference's plain form.
        sigma: of the targets in heatmap cells.
        uniform_for_unlabeled: teach "nowhere" for keypoints without a label; false ignores them.
        target_generator, predictor: names of the pair that encodes and decodes.
    """

    loss: str = "kl"
    downsample_factor: int = 2
    hidden: int = 0
    sigma: float = 1.25
    uniform_for_unlabeled: bool = True
    target_generator: str = "gaussian_heatmap"
    predictor: str = "soft_argmax"

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ConfigError(
                f"head.loss={self.loss} is unknown{nearest(self.loss, list(LOSSES))} Choose mse, kl or js."
            )
        if not 0 <= self.downsample_factor <= 4:
            raise ConfigError(f"head.downsample_factor={self.downsample_factor} must be 0 to 4.")

    @property
    def supervised_loss(self) -> str:
        """`heatmap_mse`, `heatmap_kl` or `heatmap_js`."""
        return f"heatmap_{self.loss}"

    @property
    def model_type(self) -> str:
        """`heatmap`."""
        return "heatmap"

    def build(self, *, channels: int, stride: int, num_keypoints: int, image_size: Size) -> HeatmapHead:
        """The head for features of `channels` at `stride`.

        Raises:
            ConfigError: the maps cannot be made from features of that stride or number of channels.
        """
        upsamplings = math.log2(stride) - self.downsample_factor - 1
        if upsamplings < -1 or upsamplings % 1:
            raise ConfigError(
                f"head.downsample_factor={self.downsample_factor} does not fit a backbone of stride {stride}; "
                f"the largest that does is {int(math.log2(stride))}."
            )
        if channels % 4 and upsamplings >= 0:
            raise ConfigError(
                f"The heatmap head needs a multiple of 4 feature channels, not {channels}; choose another backbone."
            )
        cells = 2**self.downsample_factor
        targets = target_generators.make(
            self.target_generator, sigma=self.sigma, uniform_for_unlabeled=self.uniform_for_unlabeled
        )
        decoder = predictors.make(self.predictor, **({"sigma": self.sigma} if self.predictor == "soft_argmax" else {}))
        return HeatmapHead(
            channels, num_keypoints, int(upsamplings), self.hidden,
            targets.build(image_size=image_size, stride=cells), decoder.build(image_size=image_size, stride=cells),
        )  # fmt: skip
