"""Centres and offsets → poses, best animal first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from lp_core import Animals
from torch import Tensor

from lp_heads.dekr_targets import box_area
from lp_heads.map_peaks import at_points, best_peaks, nearest_peaks, refined

if TYPE_CHECKING:
    from lp_heads.dekr import DEKRConfig

TOLERANCE = 0.2  # twice COCO's sigma of a keypoint, in units of the animal's size; 0.1 for every part
SPARE = 4  # candidates beyond two per animal

Poses = Float[Tensor, "batch animals parts 2"]


class DEKRDecoder:
    """Peaks of the centres' map → poses by the offsets there → without doubles → the best ones.

    A keypoint's confidence is the score of the centre times that of its own map where it was found; an animal's rank is
    the mean of these. Animals that were not found are NaN with confidence 0, unique points likewise. Differentiable in
    the offsets; in the score maps too where keypoints snap to peaks, and in those of unique points.
    """

    animals: Animals
    stride: float
    threshold: float
    overlap: float
    snap: float
    shortest: float

    def __init__(self, animals: Animals, stride: float, config: DEKRConfig) -> None:
        self.animals, self.stride = animals, stride
        self.threshold, self.overlap = config.threshold, config.overlap
        self.snap, self.shortest = config.snap / stride, config.radius / stride

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """`scoremaps_pred`, `offsets_pred` → keypoints in input pixels, confidence, in the order of the labels."""
        maps, parts = outputs["scoremaps_pred"], len(self.animals.parts)
        scores, poses, confidence = self._candidates(maps[:, :parts], maps[:, parts], outputs["offsets_pred"])
        rank = torch.where(scores >= self.threshold, confidence.mean(-1), -1.0).detach()
        rank, order = rank.topk(rank.shape[-1], dim=-1)
        poses, confidence = _rows(poses, order), _rows(confidence, order)
        kept = survivors(similarity(poses.detach(), self.shortest) > self.overlap) & (rank >= 0)
        best = torch.where(kept, rank, -1.0).topk(len(self.animals.individuals), dim=-1).indices
        found = kept.gather(1, best)[..., None].expand(-1, -1, parts).flatten(1)
        unique_points, unique_scores = self._unique(maps[:, parts + 1 :])
        points = torch.cat([_rows(poses, best).flatten(1, 2), unique_points], dim=1)
        sure = torch.cat([_rows(confidence, best).flatten(1), unique_scores], dim=1)
        found = torch.cat([found, unique_scores >= self.threshold], dim=1)
        pixels = (points + 0.5) * self.stride - 0.5
        return torch.where(found[..., None], pixels, torch.nan), torch.where(found, sure, 0.0).clamp(0, 1)

    def _candidates(
        self, maps: Float[Tensor, "batch parts h w"], centres: Float[Tensor, "batch h w"], offsets: Tensor
    ) -> tuple[Float[Tensor, "batch animals"], Poses, Float[Tensor, "batch animals parts"]]:
        count = min(2 * len(self.animals.individuals) + SPARE, centres.shape[-2] * centres.shape[-1])
        scores, cells = (values[:, 0] for values in best_peaks(centres[:, None], count))
        width = centres.shape[-1]
        at = torch.stack([cells % width, cells // width], dim=-1).to(offsets.dtype)
        there = offsets.flatten(2).gather(2, cells[:, None].expand(-1, offsets.shape[1], -1))
        poses = at[:, :, None] - there.transpose(1, 2).unflatten(2, (-1, 2))
        if self.snap:
            poses = self._snapped(maps, poses)
        return scores, poses, scores[..., None] * at_points(maps, poses.detach()).clamp_min(0)

    def _snapped(self, maps: Float[Tensor, "batch parts h w"], poses: Poses) -> Poses:
        cells, there = nearest_peaks(maps, poses, self.snap, self.threshold)
        return torch.where(there[..., None], refined(maps, cells.transpose(1, 2)).transpose(1, 2), poses)

    def _unique(self, maps: Float[Tensor, "batch unique h w"]) -> tuple[Tensor, Tensor]:
        scores, cells = maps.flatten(-2).max(-1)
        return refined(maps, cells[..., None])[:, :, 0], scores


def _rows(values: Tensor, order: Tensor) -> Tensor:
    """`values` (batch, animals, …) in another order of animals."""
    index = order.view(*order.shape, *[1] * (values.ndim - 2))
    return values.gather(1, index.expand(-1, -1, *values.shape[2:]))


def similarity(poses: Poses, shortest: float) -> Float[Tensor, "batch animals animals"]:
    """COCO's object keypoint similarity of each pose (columns) to each other one (rows), whose size counts.

    Mean over keypoints of `exp(-d² / (2 area k²))`; no side of the box round a pose is taken shorter than `shortest`.
    """
    everywhere = torch.ones_like(poses[..., 0], dtype=torch.bool)
    area = box_area(poses, everywhere, shortest)
    squares = (poses[:, :, None] - poses[:, None]).square().sum(-1)
    return torch.exp(-squares / (2 * TOLERANCE**2 * area[:, :, None, None])).mean(-1)


def survivors(alike: Bool[Tensor, "batch animals animals"]) -> Bool[Tensor, "batch animals"]:
    """Which poses stay when each one, best first, drops all later ones like it; a dropped one drops none."""
    kept = [torch.ones_like(alike[:, 0, 0])]
    for number in range(1, alike.shape[1]):
        kept.append(~(torch.stack(kept, dim=-1) & alike[:, :number, number]).any(-1))
    return torch.stack(kept, dim=-1)
