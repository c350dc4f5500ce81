"""The three pixel frames and the way between them.

Frames: `original` (the video frame), `input` (what the network sees), `heatmap`. In every frame the centre of the
top-left pixel is (0, 0), so that a frame of width W covers [-0.5, W - 0.5]. Points are (x, y); sizes are (height, width).
"""

from dataclasses import dataclass
from typing import Any

Size = tuple[int, int]  # (height, width) in pixels


@dataclass(frozen=True, slots=True)
class Resize:
    """The exact map of points when an image of size `source` is stretched to size `target`.

    `x_target = (x_source + 0.5) * W_target / W_source - 0.5`, likewise for y.

    Attributes:
        corner: `x_target = x_source * W_target / W_source` instead: wrong by half a pixel of the difference of the
            scales, but what networks of other software were trained with, and have learned.
    """

    source: Size
    target: Size
    corner: bool = False

    @property
    def scale(self) -> tuple[float, float]:
        """Target pixels per source pixel, (x, y)."""
        return self.target[1] / self.source[1], self.target[0] / self.source[0]

    @property
    def offset(self) -> tuple[float, float]:
        """Where the source's point (0, 0) falls in the target, (x, y)."""
        return (0.0, 0.0) if self.corner else ((self.scale[0] - 1) / 2, (self.scale[1] - 1) / 2)

    def forward(self, points: Any) -> Any:
        """Points (..., 2) in source pixels → target pixels. NumPy arrays and tensors alike; NaN stays NaN."""
        out = points * 1.0  # a floating copy, of whatever array type came in
        for axis in (0, 1):
            out[..., axis] = out[..., axis] * self.scale[axis] + self.offset[axis]
        return out

    def inverse(self, points: Any) -> Any:
        """Points (..., 2) in target pixels → source pixels."""
        return Resize(self.target, self.source, self.corner).forward(points)
