"""`centers`: an animal is the peak of a map, with the centre and size of its box beside it.

After Zhou, Wang and Krähenbühl 2019, "Objects as Points"; every cell near a centre learns the box, not the peak alone.
"""

import math

import torch
from jaxtyping import Float, UInt8
from lp_core import Size
from torch import Tensor, nn
from torch.nn import functional as F

from lp_detectors.boxes import best, covered, overlap
from lp_detectors.centers_network import Pyramid, initialise, scaled
from lp_detectors.centers_targets import box_error, cells, encode, focal
from lp_detectors.config import CentersConfig

RARE = 0.02  # score of every cell before training: almost all cells are background
USUAL = 0.25  # side of a box before training, as a share of the frame's
CANDIDATES, FEWEST = 4, 16  # peaks looked at: so many for each animal, and at least so many
LARGEST = 20.0  # logarithm; keeps sides finite while the network is untrained
BOXES = 2.0  # weight of the error of boxes


class Centers(nn.Module):
    """The detector; see `lp_core.tensors.Detector`. Its boxes are not cut at the frame's border.

    Args:
        image_size: (height, width) of the frames that it will see; others work as well.
        animals: boxes per frame, at most.
    """

    stride: int
    threshold: float
    limit: float
    animals: int
    usual: float
    pyramid: Pyramid

    def __init__(self, config: CentersConfig, image_size: Size, animals: int) -> None:
        super().__init__()
        self.stride, self.threshold, self.limit = config.stride, config.threshold, config.overlap
        self.animals, self.usual = animals, math.log(USUAL * math.sqrt(image_size[0] * image_size[1]))
        self.pyramid = Pyramid(config.stride, config.width)
        self.last = nn.Conv2d(self.pyramid.channels, 5, 1)  # score, x, y, width, height
        self.last.keep_float32 = True  # pyright: ignore  # lp_infer leaves it alone
        initialise(self)
        nn.init.normal_(self.last.weight, std=0.01)
        with torch.no_grad():
            self.last.bias[0] = math.log(RARE / (1 - RARE))  # pyright: ignore[reportOptionalSubscript]

    def forward(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch animals 4"], Float[Tensor, "batch animals"]]:
        """RGB frames → boxes in input pixels, best first, and scores; NaN and 0 where fewer were found."""
        logits, centre, log_side = self._maps(images)
        scores = logits.sigmoid()
        peaks = scores * (F.max_pool2d(scores[:, None], 3, 1, 1)[:, 0] == scores)
        count = min(max(CANDIDATES * self.animals, FEWEST), peaks[0].numel())
        found, where = peaks.flatten(1).topk(count, dim=1)
        pick = where[:, None].expand(-1, 2, -1)
        middle, half = (m.flatten(2).gather(2, pick).mT for m in (centre, log_side.clamp(max=LARGEST).exp() / 2))
        boxes = torch.cat([middle - half, middle + half], dim=-1)
        clear = (found > self.threshold) & ~covered(overlap(boxes, boxes), self.limit)
        return best(boxes, found * clear, self.animals)

    def loss(
        self, images: Float[Tensor, "batch 3 height width"], boxes: Float[Tensor, "batch animals 4"]
    ) -> Float[Tensor, ""]:
        """RGB in 0–255 and the true boxes (NaN = none) → focal loss of the scores and error of the boxes."""
        logits, centre, log_side = self._maps(images)
        targets = encode(boxes, (logits.shape[1], logits.shape[2]), self.stride)
        return focal(logits, targets.heat) + BOXES * box_error(centre, log_side, targets)

    def _maps(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (batch, h, w) of the score, centres (batch, 2, h, w) in input pixels, logarithms of sides."""
        features = self.pyramid(scaled(images))
        with torch.autocast(features.device.type, enabled=False):
            out = self.last(features.float())
            grid = cells((out.shape[2], out.shape[3]), self.stride, out)
            return out[:, 0], grid + self.stride * out[:, 1:3], self.usual + out[:, 3:]
