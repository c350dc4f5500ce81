"""One animal looked for where it was: a network that takes frames of any size sees only the part round the last pose.

The idea and the names `threshold` and `margin` are DeepLabCut's and DeepLabCut-Live's (Kane et al. 2020).
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, UInt8
from lp_core import ConfigError, Size
from torch import Tensor, nn

GRID = 32  # pixels that a part begins and ends at multiples of, so that cells of maps lie where they lie in the frame
MAPS = ("heatmaps_pred", "scoremaps_pred")

Window = tuple[int, int, int, int]  # left, top, right, bottom in whole input pixels, the last two exclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicOptions:
    """What is looked at.

    Attributes:
        threshold: confidence of keypoints that the part is taken round; without any, the whole frame is looked at.
        margin: input pixels round them: how far they move from frame to frame, and what the network needs to see round each.
        every: in every n-th frame the whole of it is looked at, as another place may have become more like the animal, or a
            keypoint may have come back outside of the part; 0 = only when the animal is lost.
    """

    threshold: float = 0.5
    margin: float = 48.0
    every: int = 30

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1 or self.margin < 0 or self.every < 0 or not isinstance(self.every, int):
            raise ConfigError(
                f"dynamic.threshold={self.threshold} must lie in [0, 1], dynamic.margin={self.margin} be pixels and "
                f"dynamic.every={self.every} a number of frames, 0 or more."
            )


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a video up to a frame.

    Attributes:
        frame: number of the next one.
        window: where to look in it; None = the whole frame.
    """

    frame: int
    window: Window | None


class DynamicNet(nn.Module):
    """A `PoseModel` of consecutive frames of one video (`lp_infer.torch_runtime.Walking`).

    The network sees the part at the resolution that it would see it at in the whole frame. A frame in whose part no keypoint is
    sure is looked at as a whole. Where to look is decided frame by frame, so that a GPU waits for the CPU once per frame.

    Args:
        net: of one animal.

    Raises:
        ConfigError: it is of several, looks at several frames at once, or cannot see a part of a frame.
    """

    walks = True

    def __init__(self, net: Any, options: DynamicOptions | None = None) -> None:
        super().__init__()
        check(net)
        self.net, self.options = net, options or DynamicOptions()
        self.keypoint_names, self.image_size, self.model_type = net.keypoint_names, net.image_size, net.model_type
        o = self.options
        self.register_buffer("settings", torch.tensor([o.threshold, o.margin, o.every]))  # part of the fingerprint

    def begin(self, frame: int) -> None:
        """The state before the first frame.

        Raises:
            ConfigError: it is another one.
        """
        if frame:
            raise ConfigError("dynamic=true goes through a video from its first frame on, in one process.")

    def walk(
        self, images: UInt8[Tensor, "batch 3 height width"], state: Seen | None
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"], Seen]:
        """Frames that come after `state` → keypoints in input pixels, confidence, the state behind them."""
        known, poses = state or Seen(0, None), []
        for image in images.split(1):
            keypoints, confidence = self._next(image, known)
            size = (images.shape[2], images.shape[3])
            known = Seen(known.frame + 1, self._window(keypoints[0], confidence[0], size))
            poses.append((keypoints, confidence))
        keypoints, confidence = (torch.cat(values) for values in zip(*poses, strict=True))
        return keypoints, confidence, known

    def forward(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """The first frames of a video."""
        return self.walk(images, None)[:2]

    def _next(self, image: Tensor, known: Seen) -> tuple[Tensor, Tensor]:
        whole = self.options.every and known.frame % self.options.every == 0
        if known.window and not whole:
            left, top, right, bottom = known.window
            part = image[..., top:bottom, left:right].contiguous(memory_format=torch.channels_last)
            keypoints, confidence = self.net(part)
            if bool((confidence >= self.options.threshold).any()):
                return keypoints + keypoints.new_tensor([left, top]), confidence
        return self.net(image)

    def _window(
        self, keypoints: Float[Tensor, "keypoints 2"], confidence: Float[Tensor, " keypoints"], size: Size
    ) -> Window | None:
        points = keypoints[(confidence >= self.options.threshold) & keypoints.isfinite().all(-1)].tolist()
        return window_round(points, self.options.margin, size)


def window_round(points: list[list[float]], margin: float, size: Size) -> Window | None:
    """The part of a frame of `size` (height, width) with all points and `margin` round them, in steps of `GRID`; None = all."""
    if not points:
        return None
    low, high = ([pick(axis) for axis in zip(*points, strict=True)] for pick in (min, max))
    height, width = size
    left, top = (max(int((value - margin) // GRID) * GRID, 0) for value in low)
    right, bottom = (
        max(min(-int(-(value + margin + 1) // GRID) * GRID, most), GRID)
        for value, most in zip(high, (width, height), strict=True)
    )
    left, top = min(left, right - GRID), min(top, bottom - GRID)
    return None if (left, top, right, bottom) == (0, 0, width, height) else (left, top, right, bottom)


def check(net: Any) -> None:
    """Raise `ConfigError` unless `net` can be shown a part of a frame: one animal, one frame, maps as large as what it sees."""
    if getattr(net, "animals", None) is not None or getattr(net, "context", 0):
        raise ConfigError("dynamic=true is for networks of one animal that look at one frame at a time; leave it out.")
    height, width = net.image_size
    wide, narrow = (_map_size(net, (height, side)) for side in (width, max(width // 2 // GRID, 1) * GRID))
    share = max(width // 2 // GRID, 1) * GRID / width
    if wide is None or narrow is None or (wide[0], wide[1] * share) != narrow:
        raise ConfigError(
            f"dynamic=true needs a network that takes frames of any size and gives maps of them; that of {net.model_type} does "
            "not: leave it out, or train head=heatmap or heatmap_locref on a convolutional backbone."
        )


def _map_size(net: Any, size: Size) -> Size | None:
    if not hasattr(net, "get_representations"):
        return None
    device = next(net.parameters()).device
    try:
        with torch.inference_mode():
            outputs = net.outputs(net.get_representations(torch.zeros(1, 3, *size, dtype=torch.uint8, device=device)))
    except (RuntimeError, AssertionError, ValueError):
        return None
    maps = next((outputs[key] for key in MAPS if key in outputs), None)
    return None if maps is None else (maps.shape[-2], maps.shape[-1])
