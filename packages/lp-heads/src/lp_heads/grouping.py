"""Which peaks are the parts of one animal. NumPy and SciPy, one frame at a time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

Affinity = Float[np.ndarray, "edges count count"]
Label = Int[np.ndarray, "parts count"]
SWEEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Joins peaks along the best links.

    1. For each edge, peaks at its two ends are paired so that the sum of affinities is largest.
    2. Links are taken best first, an affinity counting the more, the more other peaks both ends are linked to; two groups are
       joined unless both have the same part.
    3. Where links contradicted each other, each part's peaks are given anew to the groups, by the sum of affinities to all
       their members, and groups that then fit are joined.
    4. Groups too many are added to the nearest group that they fit.

    Attributes:
        edges: pairs of parts.
        animals: groups at most.
        min_affinity: below it two peaks are not linked.
        min_parts: groups with fewer are dropped.
    """

    edges: tuple[tuple[int, int], ...]
    animals: int
    min_affinity: float
    min_parts: int

    def __call__(
        self,
        affinity: Affinity,
        scores: Float[np.ndarray, "parts count"],
        points: Float[np.ndarray, "parts count 2"],
    ) -> Int[np.ndarray, "animals parts"]:
        """The number of the peak of each part of each animal, best animal first; -1 = none.

        Args:
            affinity: of peaks at the start (rows) and the end of each edge; 0 where there is no peak.
            scores: of peaks; 0 where there is none. An animal's is the sum.
            points: positions in any pixels.
        """
        label, contradicted = self._joined(self._links(affinity), scores > 0)
        if contradicted or (_sizes(label) >= self.min_parts).sum() > self.animals:
            label = _reassigned(label, _dense(affinity, self.edges, len(scores)), scores > 0)
            label = self._without_surplus(label, points)
        return self._best(label, scores)

    def _links(self, affinity: Affinity) -> list[tuple[int, int]]:
        """Pairs of peaks (numbered part by part), best first."""
        count = affinity.shape[-1]
        edge, start, end = _paired(np.where(affinity >= self.min_affinity, affinity, 0.0))
        ends = np.array(self.edges)[edge] * count + np.stack([start, end], axis=1)
        support = _common_neighbours(ends, int(np.max(self.edges)) * count + count)
        order = np.argsort(-affinity[edge, start, end] * (1 + support), kind="stable")
        return [(a, b) for a, b in ends[order].tolist()]

    def _joined(self, links: list[tuple[int, int]], there: Bool[np.ndarray, "parts count"]) -> tuple[Label, bool]:
        """The group of each peak, -1 = no peak, and whether a link was passed over."""
        owner = list(range(there.size))
        has = [1 << part for part in range(there.shape[0]) for _ in range(there.shape[1])]
        contradicted = False
        for a, b in links:
            one, other = _root(owner, a), _root(owner, b)
            if one == other:
                continue
            if has[one] & has[other]:
                contradicted = True
                continue
            owner[other] = one
            has[one] |= has[other]
        roots = np.array([_root(owner, peak) for peak in owner]).reshape(there.shape)
        return _numbered(np.where(there, roots, -1)), contradicted

    def _without_surplus(self, label: Label, points: Float[np.ndarray, "parts count 2"]) -> Label:
        """While there are groups too many, the smallest is added to the nearest one that has none of its parts."""
        sizes = _sizes(label)
        order = np.argsort(-sizes, kind="stable")
        order = order[sizes[order] >= self.min_parts].tolist()
        for group in order[self.animals :][::-1]:
            partners = [other for other in order[: self.animals] if _fit(label, group, other)]
            if partners:
                nearest = min(partners, key=lambda other: _gap(points[label == group], points[label == other]))
                label = np.where(label == group, nearest, label)
        return label

    def _best(self, label: Label, scores: Float[np.ndarray, "parts count"]) -> Int[np.ndarray, "animals parts"]:
        out = np.full((self.animals, label.shape[0]), -1)
        sizes = _sizes(label)
        total = np.bincount(label[label >= 0], scores[label >= 0], minlength=len(sizes))
        kept = np.flatnonzero(sizes >= self.min_parts)
        kept = kept[np.argsort(-total[kept], kind="stable")][: self.animals]
        place = np.full(len(sizes) + 1, -1)
        place[kept] = np.arange(len(kept))
        part, peak = np.nonzero(place[label] >= 0)  # label -1 reads the last place
        out[place[label[part, peak]], part] = peak
        return out


def _paired(affinity: Affinity) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edge, start and end of the pairs with the largest sum of affinities; pairs of affinity 0 are none."""
    by_row, by_column = affinity.max(2, keepdims=True), affinity.max(1, keepdims=True)
    mutual = (affinity > 0) & (affinity == by_row) & (affinity == by_column)
    clear = (mutual.sum(2) == (by_row[..., 0] > 0)).all(1) & (mutual.sum(1) == (by_column[:, 0] > 0)).all(1)
    pairs = [np.stack(np.nonzero(mutual & clear[:, None, None]))]
    for edge in np.flatnonzero(~clear):
        start, end = linear_sum_assignment(affinity[edge], maximize=True)
        linked = affinity[edge, start, end] > 0
        pairs.append(np.stack([np.full(linked.sum(), edge), start[linked], end[linked]]))
    edge, start, end = np.concatenate(pairs, axis=1)
    return edge, start, end


def _common_neighbours(links: Int[np.ndarray, "links 2"], count: int) -> Int[np.ndarray, " links"]:
    """How many other peaks both ends of each link are linked to."""
    linked = [0] * count  # bit n: linked to peak n
    pairs = links.tolist()
    for a, b in pairs:
        linked[a] |= 1 << b
        linked[b] |= 1 << a
    return np.array([(linked[a] & linked[b]).bit_count() for a, b in pairs], dtype=np.int64)


def _root(owner: list[int], peak: int) -> int:
    while owner[peak] != peak:
        owner[peak] = peak = owner[owner[peak]]
    return peak


def _numbered(label: Label) -> Label:
    """The groups numbered 0, 1, …"""
    out = np.full(label.shape, -1)
    there = label >= 0
    out[there] = np.unique(label[there], return_inverse=True)[1]
    return out


def _sizes(label: Label) -> Int[np.ndarray, " groups"]:
    return np.bincount(label[label >= 0], minlength=1)


def _dense(affinity: Affinity, edges: tuple[tuple[int, int], ...], parts: int) -> Float[np.ndarray, "peaks peaks"]:
    """Affinities between all peaks, in both directions."""
    count = affinity.shape[-1]
    out = np.zeros((parts, count, parts, count), dtype=affinity.dtype)
    a, b = np.array(edges).T
    out[a, :, b] = affinity
    out[b, :, a] = affinity.transpose(0, 2, 1)
    return out.reshape(parts * count, parts * count)


def _reassigned(
    label: Label, affinity: Float[np.ndarray, "peaks peaks"], there: Bool[np.ndarray, "parts count"]
) -> Label:
    """Each part's peaks given to the groups (one to each) so that the sum of affinities to their members is largest."""
    parts, count = label.shape
    sizes = _sizes(label)
    groups = np.flatnonzero(sizes > 1)  # a peak alone is no group to be joined
    member = (label.reshape(-1, 1) == groups).astype(affinity.dtype)
    for _ in range(SWEEPS):
        for part in range(parts):
            own = slice(part * count, (part + 1) * count)
            gain = np.where(there[part, :, None], affinity[own] @ member, 0.0)
            peak, group = linear_sum_assignment(gain, maximize=True)
            member[own] = 0
            member[own][peak, group] = gain[peak, group] > 0
    _merge(member, affinity, parts)
    return np.where(member.any(1), member.argmax(1) if member.shape[1] else 0, -1).reshape(parts, count)


def _merge(member: Float[np.ndarray, "peaks groups"], affinity: Float[np.ndarray, "peaks peaks"], parts: int) -> None:
    """Join, in place, groups without a common part while their affinities sum to more than zero."""
    has = member.reshape(parts, -1, member.shape[1]).any(1)
    gain = np.triu(member.T @ affinity @ member, 1)
    while gain.size and (np.where(has.T.astype(int) @ has == 0, gain, 0) > 0).any():
        allowed = np.where(has.T.astype(int) @ has == 0, gain, 0)
        one, other = np.unravel_index(allowed.argmax(), gain.shape)
        member[:, one] += member[:, other]
        member[:, other] = 0
        has = member.reshape(parts, -1, member.shape[1]).any(1)
        gain = np.triu(member.T @ affinity @ member, 1)


def _fit(label: Label, one: int, other: int) -> bool:
    return not ((label == one).any(1) & (label == other).any(1)).any()


def _gap(one: Float[np.ndarray, "a 2"], other: Float[np.ndarray, "b 2"]) -> float:
    return float(np.linalg.norm(one[:, None] - other[None], axis=-1).min())


def by_identity(
    members: Int[np.ndarray, "animals parts"], likelihood: Float[np.ndarray, "parts count individuals"]
) -> Int[np.ndarray, "animals parts"]:
    """The animals in the order of the individuals that they are most likely to be, by the mean over their parts.

    Each individual is one animal at most, and the sum of the means is the largest there is.
    """
    found = members >= 0
    own = likelihood[np.arange(members.shape[1]), members]
    mean = np.where(found[..., None], own, 0).sum(1) / np.maximum(found.sum(1), 1)[:, None]
    animal, individual = linear_sum_assignment(mean, maximize=True)
    out = np.full_like(members, -1)
    out[individual] = members[animal]
    return out
