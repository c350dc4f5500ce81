"""TokenPose: each keypoint's map is read from a token that has looked at the whole image and at the other keypoints."""

import itertools
from dataclasses import dataclass

from jaxtyping import Float
from lp_core import ConfigError, HeadConfig, Size, nearest, predictors, target_generators
from lp_core.tensors import Predictor, TargetGenerator
from torch import Tensor, nn

from lp_heads.heatmap import LOSSES, normalised
from lp_heads.token_pose_neck import GROUPS, TokenPoseNeck, TransformerShape, initialise

PATCH = 16  # input pixels on a side of a patch


class TokenPoseHead(nn.Module):
    """The transformer, and a norm and linear layers that turn each keypoint's tokens into a map.

    Args:
        map_size: (height, width) of the maps in cells.
        hidden: units between two linear layers; 0: there is one.
    """

    target_generator: TargetGenerator
    predictor: Predictor
    neck: TokenPoseNeck
    map_size: Size

    def __init__(self, neck: TokenPoseNeck, width: int, map_size: Size, hidden: int) -> None:
        super().__init__()
        self.neck, self.map_size = neck, map_size
        widths = [width, *([hidden] if hidden else []), map_size[0] * map_size[1]]
        self.read = nn.Sequential(
            *(m for a, b in itertools.pairwise(widths) for m in (nn.LayerNorm(a), nn.Linear(a, b)))
        )
        initialise(self.read)

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → `heatmaps_pred` (batch, keypoints, H, W), each map summing to one."""
        return {"heatmaps_pred": normalised(self.read(self.neck(features)).unflatten(-1, self.map_size))}


@dataclass(slots=True, kw_only=True)
class TokenPoseConfig(HeadConfig):
    """A transformer over patches and keypoint tokens; made for backbones of stride 4, such as HRNet.

    Attributes:
        loss: kl, mse or js between target and predicted maps.
        downsample_factor: maps have 1 / 2^downsample_factor of the input's size.
        width: of a token.
        depth: layers of each of the three groups.
        attention_heads: per layer.
        mlp: hidden units between attentions; 0: three times the width, as published. DeepLabCut's
            animaltokenpose_base has 3.
        patch: feature cells on a side of a patch; 0: 16 input pixels.
        hidden: units between two linear layers that read out a map; 0: there is one.
        sigma, uniform_for_unlabeled, predictor: as those of the heatmap head.
    """

    loss: str = "kl"
    downsample_factor: int = 2
    width: int = 192
    depth: int = 6
    attention_heads: int = 8
    mlp: int = 0
    patch: int = 0
    hidden: int = 0
    sigma: float = 1.25
    uniform_for_unlabeled: bool = True
    predictor: str = "soft_argmax"

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ConfigError(
                f"head.loss={self.loss} is unknown{nearest(self.loss, list(LOSSES))} Choose mse, kl or js."
            )
        if min(self.depth, self.attention_heads, self.width) < 1 or min(self.mlp, self.patch, self.hidden) < 0:
            raise ConfigError("head.depth, head.attention_heads and head.width must be above zero.")
        if self.width % 4 or self.width % self.attention_heads:
            raise ConfigError(f"head.width={self.width} must be a multiple of 4 and of head.attention_heads.")
        if not 0 <= self.downsample_factor <= 5:
            raise ConfigError(f"head.downsample_factor={self.downsample_factor} must be 0 to 5.")

    @property
    def supervised_loss(self) -> str:
        """`heatmap_mse`, `heatmap_kl` or `heatmap_js`."""
        return f"heatmap_{self.loss}"

    @property
    def model_type(self) -> str:
        """`token_pose`."""
        return "token_pose"

    def build(self, *, channels: int, stride: int, num_keypoints: int, image_size: Size) -> TokenPoseHead:
        """The head for features of `channels` at `stride`.

        Raises:
            ConfigError: the features cannot be divided into such patches.
        """
        shape = TransformerShape(
            patch=self.patch or max(PATCH // stride, 1), width=self.width, depth=self.depth,
            attention_heads=self.attention_heads, mlp=self.mlp or 3 * self.width,
        )  # fmt: skip
        feature_size = (image_size[0] // stride, image_size[1] // stride)
        if feature_size[0] % shape.patch or feature_size[1] % shape.patch:
            raise ConfigError(
                f"Features of {feature_size[0]}×{feature_size[1]} cells cannot be divided into patches of {shape.patch}; "
                f"choose another head.patch, or an image size that is a multiple of {shape.patch * stride}."
            )
        cells = 2**self.downsample_factor
        targets = target_generators.make(
            "gaussian_heatmap", sigma=self.sigma, uniform_for_unlabeled=self.uniform_for_unlabeled
        ).build(image_size=image_size, stride=cells)
        decoder = predictors.make(self.predictor, **({"sigma": self.sigma} if self.predictor == "soft_argmax" else {}))
        head = TokenPoseHead(
            TokenPoseNeck(channels, feature_size, num_keypoints, shape), GROUPS * self.width,
            (round(image_size[0] / cells), round(image_size[1] / cells)), self.hidden,
        )  # fmt: skip
        head.target_generator, head.predictor = targets, decoder.build(image_size=image_size, stride=cells)
        return head
