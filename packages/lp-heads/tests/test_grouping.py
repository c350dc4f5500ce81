"""Peaks to animals, from affinities alone."""

import itertools

import numpy as np
import pytest
from lp_core import Animals
from lp_heads.grouping import Grouping, _paired, by_identity
from lp_heads.limb_graph import limb_graph


def affinity_of(owner, edges, rng, *, noise=0.0, wrong=0.0):
    """1 between peaks of one owner, with noise; a share of the wrong pairs gets a high one too. -1 owns nothing."""
    count = owner.shape[1]
    out = np.zeros((len(edges), count, count))
    for e, (a, b) in enumerate(edges):
        same = (owner[a][:, None] == owner[b][None]) & (owner[a][:, None] >= 0)
        out[e] = np.where(same, 1, (rng.random((count, count)) < wrong) * 0.95) + rng.normal(0, noise, (count, count))
        out[e] *= (owner[a][:, None] >= 0) & (owner[b][None] >= 0)
    return out


def run(owner, edges, affinity, animals, min_parts=2):
    group = Grouping(edges=edges, animals=animals, min_affinity=0.05, min_parts=min_parts)
    return group(affinity, np.where(owner >= 0, 0.9, 0.0), np.zeros((*owner.shape, 2)))


def assert_grouped(owner, members):
    found = [{int(owner[k, p]) for k, p in enumerate(row) if p >= 0} for row in members]
    assert all(len(group) <= 1 for group in found)
    sizes = {next(iter(g)): (row >= 0).sum() for g, row in zip(found, members, strict=True) if g}
    assert sizes == {a: (owner == a).sum() for a in range(owner.max() + 1)}


@pytest.mark.parametrize("seed", range(20))
def test_links_that_contradict_each_other_are_outvoted(seed):
    """A sixth of the wrong pairs looks like a limb, every true one is disturbed, and parts are missing."""
    rng = np.random.default_rng(seed)
    parts, animals = int(rng.integers(6, 12)), int(rng.integers(2, 8))
    edges = tuple(itertools.combinations(range(parts), 2))
    owner = np.stack([rng.permutation(animals) for _ in range(parts)])
    owner[(rng.random(owner.shape) < 0.1) & (np.arange(parts) > 3)[:, None]] = -1
    affinity = affinity_of(owner, edges, rng, noise=0.15, wrong=1 / 6)
    assert_grouped(owner, run(owner, edges, affinity, animals))


def test_the_best_animal_comes_first_and_lonely_peaks_are_dropped():
    owner = np.array([[0, 1, 2], [1, 0, -1], [1, -1, -1]])
    edges = ((0, 1), (1, 2))
    members = run(owner, edges, affinity_of(owner, edges, np.random.default_rng(0)), 3)
    assert members.tolist() == [[1, 0, 0], [0, 1, -1], [-1, -1, -1]]
    assert run(owner, edges, affinity_of(owner, edges, np.random.default_rng(0)), 3, 1).tolist()[2] == [2, -1, -1]


def test_no_peak_at_all():
    owner = np.full((4, 3), -1)
    assert (run(owner, ((0, 1), (1, 2), (2, 3)), np.zeros((3, 3, 3)), 5) == -1).all()


def test_a_spare_group_joins_the_nearest_that_it_fits():
    """Parts 0-1 and 2-3 of each animal are linked, nothing joins the pairs; two places for four groups."""
    owner = np.array([[0, 1]] * 4)
    edges = ((0, 1), (1, 2), (2, 3))
    affinity = affinity_of(owner, edges, np.random.default_rng(0))
    affinity[1] = 0
    points = np.zeros((4, 2, 2))
    points[:, 1] = 100
    group = Grouping(edges=edges, animals=2, min_affinity=0.05, min_parts=2)
    assert sorted(group(affinity, np.full((4, 2), 0.9), points).tolist()) == [[0] * 4, [1] * 4]


def test_pairs_have_the_largest_sum():
    """Against all permutations."""
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 4, 5):
        affinity = np.where((values := rng.random((20, count, count))) > 0.3, values, 0)
        edge, start, end = _paired(affinity)
        for e in range(20):
            best = max(
                sum(affinity[e, i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(count))
            )
            mine = edge == e
            assert affinity[e, start[mine], end[mine]].sum() == pytest.approx(best)
            assert len(set(start[mine])) == len(set(end[mine])) == mine.sum()


def test_identity_is_the_best_assignment_of_all():
    rng = np.random.default_rng(1)
    likelihood = rng.random((3, 4, 4))
    members = np.stack([rng.permutation(4) for _ in range(3)], axis=1)
    mean = likelihood[np.arange(3), members].mean(1)
    order = max(itertools.permutations(range(4)), key=lambda o: sum(mean[a, i] for a, i in enumerate(o)))
    expected = np.empty_like(members)
    expected[list(order)] = members
    assert (by_identity(members, likelihood) == expected).all()


def test_links_with_common_neighbours_go_first():
    """Thinned-out graphs, noise of 0.3, a seventh of the wrong pairs: by affinity alone 89 % of parts are with most of
    their animal."""
    together = total = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        parts, animals = int(rng.integers(5, 15)), int(rng.integers(3, 12))
        edges = limb_graph(Animals(individuals=tuple("abc"), parts=tuple(map(str, range(parts)))))
        owner = np.stack([rng.permutation(animals) for _ in range(parts)])
        owner[rng.random(owner.shape) < 0.15] = -1
        members = run(owner, edges, affinity_of(owner, edges, rng, noise=0.3, wrong=0.15), animals)
        groups = [[owner[k, p] for k, p in enumerate(row) if p >= 0] for row in members]
        together += sum(np.bincount(group).max() for group in groups if group)
        total += (owner >= 0).sum()
    assert together / total > 0.93
