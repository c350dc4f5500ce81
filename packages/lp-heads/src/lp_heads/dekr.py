"""DEKR: every animal of a frame at once, as its centre and one offset per keypoint.

Geng et al., "Bottom-up human pose estimation via disentangled keypoint regression", CVPR 2021.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lp_core import AnimalHeadConfig, Animals, ConfigError, Size

from lp_heads.dekr_decoder import DEKRDecoder
from lp_heads.dekr_targets import DEKRTargets
from lp_heads.map_scale import doublings

if TYPE_CHECKING:
    from lp_heads.dekr_network import DEKRHead


@dataclass(slots=True, kw_only=True)
class DEKRConfig(AnimalHeadConfig):
    """Centres of animals and an offset from there to each keypoint.

    Attributes:
        downsample_factor: maps have 1 / 2^downsample_factor of the input's size; coarser features are upsampled first.
        width: channels of upsampled features.
        hidden: channels of the branch of score maps.
        offset_channels: channels of the branch of offsets, per keypoint.
        blocks, offset_blocks: residual blocks of each branch.
        radius: input pixels round a centre where offsets are learned; a keypoint's score map is a Gaussian of half of it.
        background: weight of the cells of score maps that are far from every keypoint.
        threshold: score of a centre, and of a unique point, below which nothing is found.
        snap: input pixels within which a keypoint moves to a peak of its own score map; 0: not at all.
        overlap: similarity of two poses, from 0 to 1 (COCO's OKS), above which the one with the lower score is dropped.
    """

    downsample_factor: int = 2
    width: int = 128
    hidden: int = 32
    offset_channels: int = 15
    blocks: int = 1
    offset_blocks: int = 2
    radius: float = 17.0
    background: float = 0.1
    threshold: float = 0.2
    snap: float = 8.0
    overlap: float = 0.7

    def __post_init__(self) -> None:
        if (
            min(self.width, self.hidden, self.offset_channels) < 1
            or min(self.blocks, self.offset_blocks) < 0
            or self.radius <= 0
        ):
            raise ConfigError(
                "head.width, head.hidden, head.offset_channels and head.radius must be above zero, head.blocks and "
                "head.offset_blocks at least zero."
            )
        if not (0 < self.background <= 1 and 0 < self.threshold < 1 and 0 < self.overlap < 1 and self.snap >= 0):
            raise ConfigError(
                "head.background, head.threshold and head.overlap must be between 0 and 1, head.snap at least 0."
            )

    @property
    def supervised_loss(self) -> str:
        """`dekr`."""
        return "dekr"

    @property
    def model_type(self) -> str:
        """`dekr`."""
        return "dekr"

    def build_animals(self, *, channels: int, stride: int, animals: Animals, image_size: Size) -> "DEKRHead":
        """The head for features of `channels` at `stride`.

        Raises:
            ConfigError: the maps cannot be made from such features.
        """
        from lp_heads.dekr_network import DEKRHead, DEKRShape  # torchvision loads with it

        cells = 2**self.downsample_factor
        shape = DEKRShape(
            upsamplings=doublings(channels, stride, self.downsample_factor), width=self.width,
            parts=len(animals.parts), unique=len(animals.unique), hidden=self.hidden,
            offset_channels=self.offset_channels, blocks=self.blocks, offset_blocks=self.offset_blocks,
        )  # fmt: skip
        targets = DEKRTargets(animals, image_size, cells, self.radius, self.background)
        return DEKRHead(channels, shape, targets, DEKRDecoder(animals, cells, self))
