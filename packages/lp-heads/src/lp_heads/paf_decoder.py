"""Score maps, offsets and part affinity fields → the animals of a frame."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lp_heads.affinity import affinities
from lp_heads.cells import to_cells
from lp_heads.grouping import Grouping, by_identity
from lp_heads.locref_peaks import at, distinct, peaks, pixels, probability, rank, relative
from lp_heads.paf_targets import PAFLayout
from lp_heads.score_targets import gaussian_sigma

CANDIDATES = 3  # peaks for each one wanted; several may mean the same keypoint


@dataclass(frozen=True, slots=True, kw_only=True)
class PAFDecoding:
    """How outputs are read.

    Attributes:
        logits: scores are logits.
        kind: gaussian or plateau.
        std: input pixels per unit of the offsets.
        radius: of the targets, input pixels.
        nms_radius: cells to each side of a peak without another.
        spare_peaks: peaks per part looked at beyond one for each animal.
        threshold: score below which a peak is none.
        min_affinity: below it two peaks are not linked.
        min_parts: animals with fewer are dropped.
    """

    logits: bool
    kind: str
    std: float
    radius: float
    nms_radius: int
    spare_peaks: int
    threshold: float
    min_affinity: float
    min_parts: int


class PAFDecoder:
    """Peaks of each part, linked along the fields and grouped; see `Grouping`. Differentiable in the offsets and scores.

    The best animal comes first, or with identity maps each animal in the place of its individual. A keypoint's confidence
    is its peak's score. What was not found is NaN with confidence 0. Grouping itself runs in NumPy, so
    that decoding waits for the device, and cannot be exported.
    """

    layout: PAFLayout
    stride: float
    options: PAFDecoding
    sigma: float
    spread: float
    grouping: Grouping

    def __init__(self, layout: PAFLayout, stride: float, options: PAFDecoding) -> None:
        self.layout, self.stride, self.options = layout, stride, options
        radius = options.radius
        self.sigma, self.spread = (gaussian_sigma(radius), 0.0) if options.kind == "gaussian" else (0.0, radius / 2)
        self.grouping = Grouping(
            edges=layout.edges,
            animals=len(layout.animals.individuals),
            min_affinity=options.min_affinity,
            min_parts=min(options.min_parts, len(layout.animals.parts)),
        )

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """`scoremaps_pred`, `locref_pred`, `paf_pred` → keypoints in input pixels, confidence, in the order of the labels."""
        parts, points = len(self.layout.animals.parts), self.layout.points
        scores = probability(outputs["scoremaps_pred"], logits=self.options.logits)
        offsets = self.options.std * outputs["locref_pred"].unflatten(1, (-1, 2))
        cells, there, where, sure = self._peaks(scores[:, :parts], offsets[:, :parts])
        links = self._affinities(outputs["paf_pred"].detach(), where.detach(), there)
        members = self._members(
            links, torch.where(there, sure, 0.0).detach(), where.detach(), scores[:, points:], cells
        )
        found = members >= 0
        peak = members.clamp_min(0).transpose(1, 2)  # batch, parts, animals
        owned = where.gather(2, peak[..., None].expand(-1, -1, -1, 2)).transpose(1, 2).flatten(1, 2)
        owned_sure = sure.gather(2, peak).transpose(1, 2).flatten(1)
        alone, alone_sure = self._unique(scores[:, parts:points], offsets[:, parts:])
        found = torch.cat([found.flatten(1), alone_sure >= self.options.threshold], dim=1)
        keypoints, confidence = torch.cat([owned, alone], dim=1), torch.cat([owned_sure, alone_sure], dim=1)
        return torch.where(found[..., None], keypoints, torch.nan), torch.where(found, confidence, 0.0)

    def _peaks(
        self, scores: Float[Tensor, "batch parts h w"], offsets: Float[Tensor, "batch parts 2 h w"]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cells, whether they are peaks, points in input pixels, confidence."""
        options = self.options
        ranks = rank(scores, offsets, self.spread) * (scores >= options.threshold)
        wanted = len(self.layout.animals.individuals) + options.spare_peaks
        cells, there = peaks(ranks, min(CANDIDATES * wanted, ranks[0, 0].numel()), options.nms_radius)
        there = there & distinct(pixels(cells, offsets, self.stride).detach(), self.stride)
        used = min(int(there.sum(-1).max()), wanted)
        order = there.int().argsort(dim=-1, descending=True, stable=True)[..., : max(used, 1)]
        cells, there = cells.gather(-1, order), there.gather(-1, order)
        where = pixels(cells, offsets, self.stride)
        sure = relative(at(scores, cells), at(offsets, cells), self.stride, self.sigma)
        return cells, there, where, sure.clamp(0, 1)

    def _affinities(
        self, fields: Tensor, points: Float[Tensor, "batch parts count 2"], there: Bool[Tensor, "batch parts count"]
    ) -> Float[Tensor, "batch edges count count"]:
        starts, ends = ([edge[side] for edge in self.layout.edges] for side in (0, 1))
        cells = to_cells(points, self.stride)
        values = affinities(fields, cells[:, starts], cells[:, ends]).nan_to_num(0.0)
        return torch.where(there[:, starts, :, None] & there[:, ends, None], values, 0.0)

    def _members(
        self, links: Tensor, scores: Tensor, points: Tensor, identity: Tensor, cells: Tensor
    ) -> Int[Tensor, "batch animals parts"]:
        """The number of the peak of each part of each animal; -1 = none."""
        host = [values.float().cpu().numpy() for values in (links, scores, points)]
        members = [self.grouping(*frame) for frame in zip(*host, strict=True)]
        if self.layout.identity:
            shape = (*cells.shape[1:], identity.shape[1])
            at_peaks = (
                identity.detach().flatten(2).gather(2, cells.flatten(1)[:, None].expand(-1, identity.shape[1], -1))
            )
            likely = at_peaks.transpose(1, 2).unflatten(1, shape[:2]).float().cpu().numpy()
            members = [by_identity(*frame) for frame in zip(members, likely, strict=True)]
        return torch.from_numpy(np.stack(members)).to(links.device)

    def _unique(
        self, scores: Float[Tensor, "batch unique h w"], offsets: Float[Tensor, "batch unique 2 h w"]
    ) -> tuple[Float[Tensor, "batch unique 2"], Float[Tensor, "batch unique"]]:
        best = rank(scores, offsets, self.spread).flatten(-2).argmax(-1, keepdim=True)
        sure = relative(at(scores, best), at(offsets, best), self.stride, self.sigma)
        return pixels(best, offsets, self.stride)[:, :, 0], sure[..., 0].clamp(0, 1)
