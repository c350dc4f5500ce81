"""Wrong poses to train conditional networks on: what a pose proposal for an animal may look like.

After Moon, Chang and Lee 2019, "PoseFix", section 4: each keypoint is right, jittered, missed, its mirror image's, or a
neighbour's. How far from where is stated by object keypoint similarity κ: d = sqrt(-2 S (2 sigma)² ln κ).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from lp_core import ConfigError
from torch import Tensor

from lp_detectors.boxes import area, boxes_of
from lp_detectors.poses import SIGMA

NONE, GOOD, JITTER, MISS, INVERSION, SWAP = -1, 0, 1, 2, 3, 4
NEAR, FAR, FARTHEST = 0.85, 0.5, 0.1  # similarities that bound good, jitter and miss
RINGS = ((1.0, NEAR), (NEAR, FAR), (FAR, FARTHEST), (1.0, FAR), (1.0, FAR))  # of good … swap, from … to
DRAWS = 32  # places tried for each keypoint
TINY = 1e-12


@dataclass(slots=True, kw_only=True)
class ConditionOptions:
    """How often each kind of error is made; what is left is good. A kind that cannot be gives its share to the others.

    Attributes:
        jitter: near the true place, but not there.
        miss: away from every place it could be confused with.
        inversion: at the part on the other side of the same animal.
        swap: at the same part of another animal.
        sigma: of object keypoint similarity, one for all parts or one each.
    """

    jitter: float = 0.16
    miss: float = 0.10
    inversion: float = 0.03
    swap: float = 0.08
    sigma: float | tuple[float, ...] = SIGMA

    def __post_init__(self) -> None:
        if min(self._errors) < 0 or sum(self._errors) > 1:
            raise ConfigError("conditions: the shares of jitter, miss, inversion and swap must be 0 to 1 in sum.")

    @property
    def shares(self) -> tuple[float, ...]:
        """Of good, jitter, miss, inversion, swap."""
        return (1 - sum(self._errors), *self._errors)

    @property
    def _errors(self) -> tuple[float, ...]:
        return self.jitter, self.miss, self.inversion, self.swap


def radius(area: Tensor, similarity: Tensor | float, sigma: Tensor | float) -> Tensor:
    """The distance in pixels at which a keypoint of an animal of `area` px² has that similarity."""
    logarithm = similarity.log() if isinstance(similarity, Tensor) else math.log(similarity)
    return (-2 * area * (2 * sigma) ** 2 * logarithm).clamp_min(0).sqrt()


def draw_conditions(
    keypoints: Float[Tensor, "batch animals parts 2"],
    options: ConditionOptions,
    generator: torch.Generator,
    *,
    mirror: tuple[int, ...] = (),
) -> tuple[Float[Tensor, "batch animals parts 2"], Int[Tensor, "batch animals parts"]]:
    """A proposal for every animal, and of which kind each keypoint of it is.

    A place is drawn with uniform angle and distance round an anchor: the true place, that of the mirror part, or those of
    the same part of other animals; it is nearer to its own anchor than to any other. Parts without a label are NaN and
    `NONE`. Where all of `DRAWS` places are nearer to another anchor, as they are if anchors coincide, the first is taken.

    Args:
        generator: of any device; all else happens on that of `keypoints`.
        mirror: number of the part on the other side, for every part; itself for those of the middle. () = no sides.
    """
    anchors = _anchors(keypoints, mirror)  # (batch, animals, parts, anchors, 2): own, mirror part, other animals
    usable = anchors.isfinite().all(-1)
    kinds = _kinds(usable, options, generator)
    chosen = _draw(_anchor_shares(kinds, usable), generator)
    places = _places(keypoints, anchors, (kinds, chosen), options, generator)
    known = usable[..., 0]
    return torch.where(known[..., None], places, torch.nan), torch.where(known, kinds, NONE)


def _anchors(keypoints: Tensor, mirror: tuple[int, ...]) -> Float[Tensor, "batch animals parts anchors 2"]:
    count, parts = keypoints.shape[1:3]
    other = torch.tensor(mirror or range(parts), device=keypoints.device)
    middle = other == torch.arange(parts, device=keypoints.device)
    across = torch.where(middle[:, None], torch.nan, keypoints[:, :, other])
    around = torch.arange(count, device=keypoints.device)
    neighbours = (around[:, None] + torch.arange(1, count, device=keypoints.device)) % count  # (animals, others)
    return torch.cat([torch.stack([keypoints, across], dim=3), keypoints[:, neighbours].transpose(2, 3)], dim=3)


def _kinds(usable: Tensor, options: ConditionOptions, generator: torch.Generator) -> Int[Tensor, "batch animals parts"]:
    shares = torch.tensor(options.shares, dtype=torch.float32, device=usable.device).expand(*usable.shape[:3], -1)
    here = torch.ones_like(usable[..., :1])
    possible = torch.cat([here, here, here, usable[..., 1:2], usable[..., 2:].any(-1, keepdim=True)], dim=-1)
    possible = possible & (shares > 0)
    weights = shares * possible
    good = torch.arange(len(RINGS), device=usable.device) == GOOD
    return _draw(torch.where(weights.sum(-1, keepdim=True) > 0, weights, good.to(weights)), generator)


def _anchor_shares(kinds: Tensor, usable: Tensor) -> Float[Tensor, "batch animals parts anchors"]:
    """Good and jitter: the own place; miss: any; inversion: the mirror part; swap: any other animal."""
    place = torch.arange(usable.shape[-1], device=usable.device)
    kind = kinds[..., None]
    allowed = torch.where(kind == INVERSION, place == 1, torch.where(kind == SWAP, place > 1, place == 0))
    allowed = (allowed | (kind == MISS)) & usable
    return allowed + TINY * (place == 0)  # without a label nothing is usable; it is masked later


def _draw(weights: Float[Tensor, "*batch choices"], generator: torch.Generator) -> Int[Tensor, "*batch"]:
    """A choice with probability in proportion to its weight."""
    ends = weights.cumsum(-1)
    at = _uniform(weights.shape[:-1], ends, generator)[..., None] * ends[..., -1:]
    return (at >= ends[..., :-1]).sum(-1)


def _places(
    keypoints: Tensor,
    anchors: Tensor,
    choice: tuple[Tensor, Tensor],
    options: ConditionOptions,
    generator: torch.Generator,
) -> Float[Tensor, "batch animals parts 2"]:
    kinds, chosen = choice
    size = area(boxes_of(keypoints, margin=0, least=0)).nan_to_num()[..., None]
    sigma = torch.as_tensor(options.sigma, device=keypoints.device, dtype=keypoints.dtype)
    rings = torch.tensor(RINGS, device=keypoints.device, dtype=keypoints.dtype)[kinds]
    inner, outer = (radius(size, rings[..., end], sigma)[..., None] for end in (0, 1))
    shape = (*kinds.shape, DRAWS)
    distance = inner + (outer - inner) * _uniform(shape, keypoints, generator)
    angle = 2 * math.pi * _uniform(shape, keypoints, generator)
    offset = distance[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    pick = chosen[..., None, None].expand(*chosen.shape, 1, 2)
    tried = anchors.gather(3, pick) + offset  # (batch, animals, parts, draws, 2)
    gaps = (tried[..., :, None, :] - anchors[..., None, :, :]).norm(dim=-1).nan_to_num(torch.inf)
    first = (gaps.argmin(-1) == chosen[..., None]).to(torch.uint8).argmax(-1)
    return tried.gather(3, first[..., None, None].expand(*first.shape, 1, 2))[..., 0, :]


def _uniform(shape: tuple[int, ...] | torch.Size, like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(tuple(shape), generator=generator, device=generator.device).to(like)
