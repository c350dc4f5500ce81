"""How features become maps of another size."""

import math

from lp_core import ConfigError


def doublings(channels: int, stride: int, downsample_factor: int) -> int:
    """Doublings after a pixel shuffle, -1 = no pixel shuffle either, from features at `stride` to maps of
    1 / 2^downsample_factor of the input's size; what `lp_heads.heatmap.upsampling` takes.

    Raises:
        ConfigError: the maps cannot be made from features of that stride or number of channels.
    """
    steps = math.log2(stride) - downsample_factor
    if downsample_factor < 0 or steps < 0 or steps % 1:
        raise ConfigError(
            f"head.downsample_factor={downsample_factor} does not fit a backbone of stride {stride}; "
            f"the largest that does is {int(math.log2(stride))}."
        )
    if channels % 4 and steps:
        raise ConfigError(f"The head needs a multiple of 4 feature channels, not {channels}; choose another backbone.")
    return int(steps) - 1
