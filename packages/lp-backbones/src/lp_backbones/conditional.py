"""The choice of backbones that look at an image and at a first guess of the pose in it (BUCTD, Zhou et al. 2023)."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lp_core import ConfigError, Size

from lp_backbones.config import BRANCHES, TimmConfig

if TYPE_CHECKING:
    from lp_backbones.coam import HRNetCoAM
    from lp_backbones.keypoint_maps import KeypointMaps
    from lp_backbones.prenet import CondPreNet

ENCODINGS = ("stacked", "coloured")


@dataclass(slots=True, kw_only=True)
class ConditionalConfig(TimmConfig):
    """What conditional backbones have in common: conditions are keypoints in input pixels, painted as Gaussian spots.

    Attributes:
        encoding: `stacked` is a channel for each keypoint; `coloured` one picture with a colour for each.
        keypoints: how many; needed for `stacked`.
        sigma: standard deviation of a spot in input pixels; 2.6 is that of a kernel of 15 pixels.
    """

    model: str = "hrnet_w32.ms_in1k"
    encoding: str = "stacked"
    keypoints: int | None = None
    sigma: float = 2.6

    def __post_init__(self) -> None:
        TimmConfig.__post_init__(self)
        if self.encoding not in ENCODINGS:
            raise ConfigError(f"backbone.encoding={self.encoding} must be one of {', '.join(ENCODINGS)}.")
        if self.keypoints is not None and self.keypoints < 1:
            raise ConfigError(f"backbone.keypoints={self.keypoints} must be at least 1.")
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise ConfigError(f"backbone.sigma={self.sigma} must be above 0.")

    def maps(self) -> "KeypointMaps":
        """What paints the conditions.

        Raises:
            ConfigError: `stacked` without a number of keypoints.
        """
        from lp_backbones.keypoint_maps import KeypointMaps

        return KeypointMaps(self.encoding, keypoints=self.keypoints, sigma=self.sigma)


@dataclass(slots=True, kw_only=True)
class HRNetCoAMConfig(ConditionalConfig):
    """HRNet whose branches attend to the conditions: as many channels as its width, at stride 4.

    Each branch gains a matrix of (pixels of its grid)²: 17.9 million parameters for images of 256 × 256.

    Attributes:
        coam_stages: stages, 1 to 4, behind which the branches attend to the conditions.
        self_attention_stages: stages behind which they attend to themselves.
        channel_attention_only: leave out the attention between pixels.
        attention_heads: of each attention.
        attention_dropout: probability to drop an attention weight in training.
    """

    coam_stages: list[int] = field(default_factory=lambda: [2])
    self_attention_stages: list[int] = field(default_factory=list)
    channel_attention_only: bool = False
    attention_heads: int = 1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        ConditionalConfig.__post_init__(self)
        stages = [*self.coam_stages, *self.self_attention_stages]
        if not self.coam_stages or not set(stages) <= {1, 2, 3, 4} or len(set(stages)) < len(stages):
            raise ConfigError(
                f"backbone.coam_stages={self.coam_stages} and self_attention_stages={self.self_attention_stages} must be "
                "different stages among 1, 2, 3, 4, at least one of them in coam_stages."
            )
        if self.attention_heads < 1:
            raise ConfigError(f"backbone.attention_heads={self.attention_heads} must be at least 1.")
        if not 0 <= self.attention_dropout < 1:
            raise ConfigError(f"backbone.attention_dropout={self.attention_dropout} must be at least 0 and below 1.")

    def build(self, image_size: Size) -> "HRNetCoAM":
        """The network for images of `image_size` (height, width) only.

        Raises:
            ConfigError: see `TimmConfig.build`, or heads that do not divide the pixels of a branch.
        """
        from functools import partial

        from lp_backbones.coam import Attention, HRNetCoAM, check_heads
        from lp_backbones.construct import construct

        attention = Attention(self.attention_heads, self.attention_dropout, self.channel_attention_only)
        stages = {s: s in self.coam_stages for s in (*self.coam_stages, *self.self_attention_stages)}
        check_heads(attention, stages, image_size)
        wrap = partial(HRNetCoAM, maps=self.maps(), size=image_size, stages=stages, attention=attention)
        return construct(self, image_size, wrap)


@dataclass(slots=True, kw_only=True)
class CondPreNetConfig(ConditionalConfig):
    """Any timm network behind a few convolutions that mix the conditions into the image.

    Attributes:
        branches: of HRNet, as in `HRNetConfig`; `highest` if not given.
    """

    branches: str | None = None

    def __post_init__(self) -> None:
        ConditionalConfig.__post_init__(self)
        if self.branches is None:
            return
        if self.branches not in BRANCHES:
            raise ConfigError(f"backbone.branches={self.branches} must be one of {', '.join(BRANCHES)}.")
        if not self.model.startswith("hrnet"):
            raise ConfigError(f"backbone.branches is for HRNet and backbone.model={self.model}; leave it out.")

    def build(self, image_size: Size) -> "CondPreNet":
        """See `TimmConfig.build`."""
        from functools import partial

        from lp_backbones.construct import construct, plain
        from lp_backbones.hrnet import HRNetBackbone
        from lp_backbones.prenet import CondPreNet

        maps, hrnet = self.maps(), self.model.startswith("hrnet")
        wrap = partial(HRNetBackbone, branches=self.branches or "highest") if hrnet else plain
        return CondPreNet(construct(self, image_size, wrap), maps)
