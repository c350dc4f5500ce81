"""Score maps with location refinement, for one animal: DeepLabCut's head, in our pixels.

Insafutdinov et al., "DeeperCut", 2016.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from lp_core import ConfigError, HeadConfig, PredictorConfig, Size, TargetGeneratorConfig, nearest
from torch import Tensor, nn

from lp_heads.cells import labeled
from lp_heads.heatmap import initialise, upsampling
from lp_heads.locref_peaks import at, pixels, probability, rank, relative
from lp_heads.map_scale import doublings
from lp_heads.score_targets import KINDS, LOCREF_STD, RADIUS, ScoreTargets, gaussian_sigma

RARE = -4.6  # logit of 1 in 100: maps say "nowhere" before training
CRITERIONS = ("bce", "mse")


def one_of(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ConfigError` if `value` of the config's `key` is none of `choices`."""
    if value not in choices:
        raise ConfigError(f"{key}={value} is unknown{nearest(value, list(choices))} Choose {' or '.join(choices)}.")


class LocrefHead(nn.Module):
    """The layers of the heatmap head, to a score map and two offset maps per keypoint.

    Args:
        upsamplings, hidden: see `HeatmapHead`.
        logits: scores are logits.
    """

    target_generator: "LocrefTargets"
    predictor: "LocrefPeak"
    logits: bool

    def __init__(
        self,
        channels: int,
        num_keypoints: int,
        upsamplings: int,
        hidden: int,
        pair: tuple["LocrefTargets", "LocrefPeak"],
    ) -> None:
        super().__init__()
        self.upsampling_layers = upsampling(channels, 3 * num_keypoints, upsamplings, hidden)
        self.target_generator, self.predictor = pair
        self.num_keypoints = num_keypoints
        initialise(self.upsampling_layers, gain=1.0, last=0.01)
        self.logits = self.predictor.logits
        if self.logits:
            nn.init.constant_(self.upsampling_layers[-1].bias[:num_keypoints], RARE)  # pyright: ignore

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → `scoremaps_pred` (batch, keypoints, H, W), `locref_pred` (batch, 2 keypoints, H, W)."""
        maps = self.upsampling_layers(features)
        return {"scoremaps_pred": maps[:, : self.num_keypoints], "locref_pred": maps[:, self.num_keypoints :]}


class LocrefTargets:
    """Encodes labels as score maps and offsets; see `ScoreTargets`. Occluded keypoints count if they have a position.

    Args:
        background: weight of the cells far from any keypoint in the map of a keypoint that has no label; 1: it is nowhere.
    """

    maps: ScoreTargets
    image_size: Size
    background: float

    def __init__(self, maps: ScoreTargets, image_size: Size, background: float) -> None:
        self.maps, self.image_size, self.background = maps, image_size, background

    def __call__(
        self, keypoints: Float[Tensor, "batch keypoints 2"], visibility: Int[Tensor, "batch keypoints"]
    ) -> dict[str, Tensor]:
        """Keypoints in input pixels → `scoremaps_targ`, `locref_targ` and their weights."""
        known = labeled(keypoints, visibility, self.image_size)
        scores, offsets, near = self.maps(keypoints[:, :, None], known[:, :, None])
        weight = torch.where(known, 1.0, self.background).to(scores)[..., None, None]
        return {
            "scoremaps_targ": scores,
            "scoremaps_weight_targ": weight,
            "locref_targ": offsets,
            "locref_weight_targ": near,
        }


class LocrefPeak:
    """The best cell of each map, moved by its offset. Differentiable in the offsets.

    Confidence is the score, of Gaussians over the score of a perfect map in a cell so far from the keypoint; at most 1.

    Args:
        logits: scores are logits.
        std: input pixels per unit of the offsets.
        radius: of the targets, input pixels.
    """

    stride: float
    logits: bool
    std: float
    sigma: float
    spread: float

    def __init__(self, stride: float, *, kind: str, logits: bool, std: float, radius: float) -> None:
        self.stride, self.logits, self.std = stride, logits, std
        self.sigma, self.spread = (gaussian_sigma(radius), 0.0) if kind == "gaussian" else (0.0, radius / 2)

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """`scoremaps_pred`, `locref_pred` → keypoints in input pixels, confidence."""
        scores = probability(outputs["scoremaps_pred"], logits=self.logits)
        offsets = self.std * outputs["locref_pred"].unflatten(1, (-1, 2))
        best = rank(scores, offsets, self.spread).flatten(-2).argmax(-1, keepdim=True)
        confidence = relative(at(scores, best), at(offsets, best), self.stride, self.sigma)
        return pixels(best, offsets, self.stride)[:, :, 0], confidence[..., 0].clamp(0, 1)


@dataclass(slots=True, kw_only=True)
class LocrefTargetsConfig(TargetGeneratorConfig):
    """Score maps and offsets to the nearest keypoint.

    Attributes:
        target: gaussian or plateau.
        pos_dist_thresh: input pixels round a keypoint that count as it; a Gaussian's σ is two thirds of it.
        locref_std: input pixels per unit of the offsets.
        background_weight: weight of the map of a keypoint that has no label; 1 teaches that it is nowhere, 0 nothing.
    """

    target: str = "gaussian"
    pos_dist_thresh: float = RADIUS
    locref_std: float = LOCREF_STD
    background_weight: float = 1.0

    def __post_init__(self) -> None:
        one_of("target", self.target, KINDS)
        if min(self.pos_dist_thresh, self.locref_std) <= 0 or not 0 <= self.background_weight <= 1:
            raise ConfigError("pos_dist_thresh and locref_std must be above zero, background_weight from 0 to 1.")

    def build(self, *, image_size: Size, stride: float) -> LocrefTargets:
        """The generator for maps of one cell per `stride` input pixels."""
        maps = ScoreTargets(
            image_size, stride, kind=self.target, radius=self.pos_dist_thresh, std=self.locref_std
        )  # fmt: skip
        return LocrefTargets(maps, image_size, self.background_weight)


@dataclass(slots=True, kw_only=True)
class LocrefPeakConfig(PredictorConfig):
    """The best cell, moved by its offset.

    Attributes:
        target, pos_dist_thresh, locref_std: of the targets that the maps were trained on.
        logits: scores are logits.
    """

    target: str = "gaussian"
    pos_dist_thresh: float = RADIUS
    locref_std: float = LOCREF_STD
    logits: bool = True

    def __post_init__(self) -> None:
        one_of("target", self.target, KINDS)

    def build(self, *, image_size: Size, stride: float) -> LocrefPeak:
        """The predictor for maps of one cell per `stride` input pixels."""
        return LocrefPeak(
            stride, kind=self.target, logits=self.logits, std=self.locref_std, radius=self.pos_dist_thresh
        )


@dataclass(slots=True, kw_only=True)
class LocrefConfig(HeadConfig):
    """Score maps and, in each cell, the way to the keypoint, for one animal.

    Attributes:
        criterion: bce (score maps are logits) or mse; the same as `losses.locref.criterion`.
        downsample_factor: maps have 1 / 2^downsample_factor of the input's size; offsets make coarse maps exact.
        hidden: channels of the upsampling layers, with batch norm and ReLU between; 0: plain layers.
        target: gaussian or plateau.
        pos_dist_thresh: input pixels round a keypoint that count as it; a Gaussian's σ is two thirds of it.
        locref_std: input pixels per unit of the offsets.
        background_weight: weight of the map of a keypoint that has no label; 1 teaches that it is nowhere, 0 nothing.
    """

    criterion: str = "bce"
    downsample_factor: int = 3
    hidden: int = 64
    target: str = "gaussian"
    pos_dist_thresh: float = RADIUS
    locref_std: float = LOCREF_STD
    background_weight: float = 1.0

    def __post_init__(self) -> None:
        one_of("head.criterion", self.criterion, CRITERIONS)
        self._targets()

    @property
    def supervised_loss(self) -> str:
        """`locref`."""
        return "locref"

    @property
    def model_type(self) -> str:
        """`heatmap_locref`."""
        return "heatmap_locref"

    def _targets(self) -> LocrefTargetsConfig:
        return LocrefTargetsConfig(
            target=self.target, pos_dist_thresh=self.pos_dist_thresh, locref_std=self.locref_std,
            background_weight=self.background_weight,
        )  # fmt: skip

    def build(self, *, channels: int, stride: int, num_keypoints: int, image_size: Size) -> LocrefHead:
        """The head for features of `channels` at `stride`.

        Raises:
            ConfigError: the maps cannot be made from features of that stride or number of channels.
        """
        upsamplings, cells = doublings(channels, stride, self.downsample_factor), 2**self.downsample_factor
        decoder = LocrefPeakConfig(
            target=self.target, pos_dist_thresh=self.pos_dist_thresh, locref_std=self.locref_std,
            logits=self.criterion == "bce",
        )  # fmt: skip
        pair = (
            self._targets().build(image_size=image_size, stride=cells),
            decoder.build(image_size=image_size, stride=cells),
        )
        return LocrefHead(channels, num_keypoints, upsamplings, self.hidden, pair)
