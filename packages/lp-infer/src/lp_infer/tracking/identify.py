"""Who is who over a whole video, by what animals look like and how they move. No torch."""

import numpy as np
from jaxtyping import Float, Int

from lp_infer.tracking.lines import Prices, best_lines
from lp_infer.tracking.looks import Looks
from lp_infer.tracking.resemblance import Resemblance
from lp_infer.tracking.tracklets import Features, Tracklet

ROUNDS, STARTS = 10, 3

Found = tuple[Int[np.ndarray, " pieces"], float, Float[np.ndarray, "individuals directions"]]


def identified(
    pieces: list[Tracklet], before: Int[np.ndarray, " pieces"], features: Features, looks: Looks, count: int
) -> Int[np.ndarray, " pieces"] | None:
    """The individual of each piece, −1 = none; None if the animals look alike.

    In turn, pieces are shared out among individuals of known looks (`best_lines`) and their looks are averaged over these
    pieces, until nothing changes. Begun from the moments at which all animals are seen apart for longest; the likeliest
    outcome is taken.

    Args:
        pieces: in order of their first frame.
        before: the piece that the tracker saw before each, −1 = none.
    """
    resemblance = Resemblance.of(pieces, looks, count)
    if not resemblance.looks.shape[1]:
        return None
    prices, seen = Prices(features, before), set[bytes]()
    found = [_settled(prices, resemblance, resemblance.looks[s], seen) for s in _starts(features, resemblance, count)]
    found = [outcome for outcome in found if outcome is not None]
    if not found:
        return None
    who, _, means = min(found, key=lambda outcome: outcome[1])
    return who if len(np.unique(means, axis=0)) > 1 else None


def _settled(
    prices: Prices, resemblance: Resemblance, means: Float[np.ndarray, "individuals directions"], seen: set[bytes]
) -> Found | None:
    """What comes of some looks; None if they lead to what was found before."""
    spread, before = np.ones(means.shape[1]), b""
    for _ in range(ROUNDS):
        unlike = resemblance.unlike(means, spread)
        least = unlike.min(1, keepdims=True)
        who, cost = best_lines(prices, unlike - least)
        result = who, cost + float(least.sum()), means
        if (key := _renamed(who).tobytes()) == before:
            break
        if key in seen:
            return None
        seen.add(key)
        before = key
        means, spread = resemblance.individuals(who, means, spread)
    return result


def _renamed(who: Int[np.ndarray, " pieces"]) -> Int[np.ndarray, " pieces"]:
    """Individuals in order of appearance."""
    _, first, which = np.unique(who, return_index=True, return_inverse=True)
    return np.where(who < 0, -1, np.argsort(np.argsort(first))[which])


def _starts(features: Features, resemblance: Resemblance, count: int) -> list[Int[np.ndarray, " individuals"]]:
    """Pieces of as many animals as there are, seen at the same time; the one seen least as much as possible."""
    found = dict[tuple[int, ...], float]()
    for moment in np.unique(features.start):
        here = np.flatnonzero((features.start <= moment) & (features.stop >= moment))
        here = here[np.argsort(-resemblance.windows[here], kind="stable")][:count]
        if len(here) == count:
            found[tuple(sorted(here.tolist()))] = float(resemblance.windows[here].min())
    best = sorted(found, key=lambda pieces: -found[pieces])[:STARTS]
    return [np.array(pieces) for pieces in best]
