"""Share out pieces of tracks among individuals that are not alike. NumPy only."""

import numpy as np
from jaxtyping import Float, Int

from lp_infer.tracking.tracklets import Features

BEGINNING = 10.0  # what it costs to bring in another animal rather than to join two tracklets
LEAVING_OUT = 2.0  # what it costs per pose
KEPT, MARGIN = 128, 40.0  # ways to share out all pieces so far, and how much dearer than the cheapest they may be


class Prices:
    """What it costs to put a piece behind others; each pair is computed once.

    Args:
        before: for each piece the one that the tracker saw before it, −1 = none; to go on as the tracker says costs nothing.
    """

    def __init__(self, features: Features, before: Int[np.ndarray, " pieces"]) -> None:
        self.features, self.before = features, before
        self._known = [{-1: BEGINNING} for _ in before]

    def __call__(self, last: Int[np.ndarray, "ways individuals"], piece: int) -> Float[np.ndarray, "ways individuals"]:
        """Behind each of these pieces, −1 = none yet; infinite where they overlap."""
        ends, which = np.unique(last, return_inverse=True)
        known = self._known[piece]
        missing = [end for end in ends.tolist() if end not in known]
        if missing:
            known.update(zip(missing, self._computed(np.array(missing), piece).tolist(), strict=True))
        return np.array([known[end] for end in ends.tolist()])[which].reshape(last.shape)

    def _computed(self, ends: Int[np.ndarray, " ends"], piece: int) -> Float[np.ndarray, " ends"]:
        able = self.features.stop[ends] < self.features.start[piece]
        price = np.full(len(ends), np.inf)
        price[able] = self.features.cost(ends[able], np.full(int(able.sum()), piece))
        price[ends == self.before[piece]] = 0.0
        return price


def best_lines(
    prices: Prices, unlike: Float[np.ndarray, "pieces individuals"]
) -> tuple[Int[np.ndarray, " pieces"], float]:
    """The individual of each piece, −1 = left out, and what this costs.

    A piece costs how `unlike` it is to the individual, and what it costs to put it behind the individual's last piece; or
    `LEAVING_OUT` per pose. What is to come depends on the last pieces of all individuals only (dynamic programming, Bellman
    1957): of all ways with the same last pieces the cheapest is kept. No other way costs less, as long as there are at most
    128 with different last pieces, which there are with few individuals; with many, ways much dearer by then are lost.
    """
    count = unlike.shape[1]
    weights = np.random.default_rng(0).integers(1, 1 << 40, count)
    last, cost, steps = np.full((1, count), -1), np.zeros(1), []
    for piece, looks in enumerate(unlike):
        out = np.full((len(last), 1), LEAVING_OUT * prices.features.poses[piece])
        ways = np.concatenate([prices(last, piece) + looks, out], axis=1) + cost[:, None]
        near = np.flatnonzero(ways <= ways.min() + MARGIN)
        parent, choice = np.divmod(near[np.argsort(ways.flat[near], kind="stable")], count + 1)
        after = np.concatenate([last, last[:, :1]], axis=1)[parent]
        after[np.arange(len(after)), choice] = piece
        first = np.sort(np.unique((after[:, :count] + 2) @ weights, return_index=True)[1])[:KEPT]
        parent, choice, last = parent[first], choice[first], after[first, :count]
        cost = ways[parent, choice]
        steps.append((parent, choice))
    return _traced(steps, count), float(cost[0])


def _traced(steps: list[tuple[np.ndarray, np.ndarray]], count: int) -> Int[np.ndarray, " pieces"]:
    """The choices that led to the first of the last ways, which is the cheapest."""
    way, out = 0, np.full(len(steps), -1)
    for piece in range(len(steps) - 1, -1, -1):
        parent, choice = steps[piece]
        out[piece] = choice[way] if choice[way] < count else -1
        way = parent[way]
    return out
