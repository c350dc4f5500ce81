"""Which pairs of parts get a field that points from one to the other."""

import itertools
import math
import random

import numpy as np
from jaxtyping import Float
from lp_core import Animals, ConfigError

DEGREE = 6  # limbs per part, on average, at most

Edge = tuple[int, int]


def limb_graph(animals: Animals, degree: int = DEGREE, seed: int = 0) -> tuple[Edge, ...]:
    """The skeleton, if it joins all parts; else the complete graph.

    A complete graph with more than `degree` limbs per part is thinned out: a random tree that joins all parts, and
    random limbs up to that number; the same for the same seed.
    """
    count = len(animals.parts)
    if joins_all(animals.skeleton, count):
        return tuple(dict.fromkeys((min(edge), max(edge)) for edge in animals.skeleton if edge[0] != edge[1]))
    pairs = list(itertools.combinations(range(count), 2))
    random.Random(seed).shuffle(pairs)
    return _thinned(pairs, count, degree)


def edges_from_poses(
    keypoints: Float[np.ndarray, "frames keypoints 2"], animals: Animals, degree: int = DEGREE
) -> tuple[Edge, ...]:
    """The pairs of parts that tell animals apart best, by labels; give those of the training frames only.

    A pair counts by the share of cases in which the two parts of one animal are nearer to each other than the first one is
    to the second one of another animal of the frame (the area under the ROC curve of their distance); pairs that are
    equally good, and all where animals are alone, by shortness. The best tree that joins all parts, then the next best.

    Args:
        keypoints: labeled, in pixels; NaN = not labeled.
    """
    shape = (len(animals.individuals), len(animals.parts), 2)
    points = keypoints[:, : animals.owned].reshape(-1, *shape)
    pairs = itertools.combinations(range(shape[1]), 2)
    ranked = sorted(pairs, key=lambda edge: _worth(points[:, :, edge[0]], points[:, :, edge[1]]), reverse=True)
    return _thinned(ranked, shape[1], degree)


def check_edges(edges: list[list[int]], animals: Animals) -> tuple[Edge, ...]:
    """The same as pairs.

    Raises:
        ConfigError: they are not pairs of numbers of parts, or leave a part alone.
    """
    count = len(animals.parts)
    good = all(len(edge) == 2 and edge[0] != edge[1] and min(edge) >= 0 and max(edge) < count for edge in edges)
    if not good or not joins_all([(a, b) for a, b in edges], count):
        raise ConfigError(f"head.edges must be pairs of numbers from 0 to {count - 1} that join all parts.")
    return tuple((edge[0], edge[1]) for edge in edges)


def joins_all(edges: "tuple[Edge, ...] | list[Edge]", count: int) -> bool:
    """Whether there is a way between any two of `count` parts."""
    return len({_root(_joined(edges, count), part) for part in range(count)}) == 1


def _thinned(pairs: list[Edge], count: int, degree: int) -> tuple[Edge, ...]:
    """A tree of the earliest pairs, then the earliest of the others, in the order of parts."""
    owner, tree = list(range(count)), []
    for a, b in pairs:
        if (one := _root(owner, a)) != (other := _root(owner, b)):
            owner[one] = other
            tree.append((a, b))
    others = [pair for pair in pairs if pair not in set(tree)]
    room = max(degree * count // 2 - len(tree), 0)
    return tuple(sorted(tree + others[:room]))


def _worth(a: Float[np.ndarray, "frames animals 2"], b: Float[np.ndarray, "frames animals 2"]) -> tuple[float, float]:
    distance = np.linalg.norm(a[:, :, None] - b[:, None], axis=-1)
    own, other = np.diagonal(distance, axis1=1, axis2=2)[:, :, None], distance.copy()
    other[:, *np.diag_indices(distance.shape[1])] = np.nan
    known = np.isfinite(own) & np.isfinite(other)
    lengths = own[np.isfinite(own)]
    length = float(lengths.mean()) if lengths.size else math.inf
    return float(np.mean((own < other)[known])) if known.any() else 0.0, -length


def _joined(edges: "tuple[Edge, ...] | list[Edge]", count: int) -> list[int]:
    owner = list(range(count))
    for a, b in edges:
        owner[_root(owner, a)] = _root(owner, b)
    return owner


def _root(owner: list[int], part: int) -> int:
    while owner[part] != part:
        part = owner[part]
    return part
