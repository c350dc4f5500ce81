"""Labels of several animals as score maps, offsets and part affinity fields."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from lp_core import Animals, Size
from torch import Tensor

from lp_heads.cells import labeled
from lp_heads.limb_targets import LimbTargets
from lp_heads.score_targets import ScoreTargets


@dataclass(frozen=True, slots=True, kw_only=True)
class PAFLayout:
    """What the channels of a head for several animals are.

    Attributes:
        animals: how the axis of keypoints is divided.
        edges: pairs of parts with a field.
        identity: whether there is a score map for each individual.
    """

    animals: Animals
    edges: tuple[tuple[int, int], ...]
    identity: bool = False

    @property
    def points(self) -> int:
        """Maps of keypoints: of each part, then of each unique point."""
        return len(self.animals.parts) + len(self.animals.unique)

    @property
    def scores(self) -> int:
        """Score maps: those of keypoints, then those of individuals."""
        return self.points + (len(self.animals.individuals) if self.identity else 0)

    def split(self, values: Shaped[Tensor, "batch keypoints *more"]) -> tuple[Tensor, Tensor]:
        """The axis of keypoints → (batch, animals, parts, …) and (batch, unique, …)."""
        shape = (len(self.animals.individuals), len(self.animals.parts))
        return values[:, : self.animals.owned].unflatten(1, shape), values[:, self.animals.owned :]


class PAFTargets:
    """Encodes labels; see `ScoreTargets` and `LimbTargets`. Occluded keypoints count if they have a position.

    Args:
        background: weight of the cells far from any keypoint in the map of a part that an animal in the frame has no label
            for, and of a unique point without a label; 1: it is nowhere.
    """

    layout: PAFLayout
    image_size: Size
    maps: ScoreTargets
    limbs: LimbTargets

    def __init__(
        self, layout: PAFLayout, image_size: Size, maps: ScoreTargets, limbs: LimbTargets, background: float
    ) -> None:
        self.layout, self.image_size, self.maps, self.limbs = layout, image_size, maps, limbs
        self.background = background

    def __call__(
        self, keypoints: Float[Tensor, "batch keypoints 2"], visibility: Int[Tensor, "batch keypoints"]
    ) -> dict[str, Tensor]:
        """Keypoints in input pixels → `scoremaps_targ`, `locref_targ`, their weights, and `paf_targ`."""
        seen = labeled(keypoints, visibility, self.image_size)
        parts, unique = self.layout.split(torch.where(seen[..., None], keypoints, 0.0))
        known, unique_known = self.layout.split(seen)
        points = torch.cat([parts.transpose(1, 2), _alone(unique, parts.shape[1])], dim=1)
        present = torch.cat([known.transpose(1, 2), _alone(unique_known, parts.shape[1])], dim=1)
        scores, offsets, near = self.maps(points, present)
        if self.layout.identity:
            scores = torch.cat([scores, self.maps.scores(parts, known)], dim=1)
        return {
            "scoremaps_targ": scores,
            "scoremaps_weight_targ": self._weight(scores, known, unique_known),
            "locref_targ": offsets,
            "locref_weight_targ": near,
            "paf_targ": self.limbs(parts, known),
        }

    def _weight(self, scores: Tensor, known: Bool[Tensor, "batch animals parts"], unique: Tensor) -> Tensor:
        if self.background == 1:
            return torch.ones_like(scores[..., :1, :1])
        missing = (known.any(2, keepdim=True) & ~known).any(1)
        missing = torch.cat([missing, ~unique], dim=1)
        missing = torch.nn.functional.pad(missing, (0, scores.shape[1] - missing.shape[1]))
        return torch.where(missing[..., None, None] & (scores == 0), self.background, 1.0).to(scores)


def _alone(values: Tensor, animals: int) -> Tensor:
    """Unique points (batch, unique, …) as maps with one animal of `animals`; the others are zero."""
    out = values.new_zeros(values.shape[0], values.shape[1], animals, *values.shape[2:])
    out[:, :, 0] = values
    return out
