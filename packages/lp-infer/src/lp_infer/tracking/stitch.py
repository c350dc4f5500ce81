"""Join tracklets into a known number of animals over a whole video. No torch."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from lp_infer.tracking import geometry
from lp_infer.tracking.identify import identified
from lp_infer.tracking.lines import BEGINNING, LEAVING_OUT
from lp_infer.tracking.looks import Looks
from lp_infer.tracking.pieces import doubtful, pieces_of
from lp_infer.tracking.tracklets import Features, Tracklet, Votes, tracklets_of

MOST_LINKS = 1_000_000  # that are weighed up


Poses = Float[np.ndarray, "frames animals keypoints 2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stitched:
    """Which animal is which.

    Attributes:
        identities: for every animal of every frame the individual it is, from 0; −1 = none.
        tracklets: how many there were.
        links: how many times two of them were joined.
        attached: poses of tracklets that fitted in no row, and went where there was room.
        left_out: poses without an identity, as their frames have more animals than there are.
        by_looks: whether the animals' looks were listened to.
    """

    identities: Int[np.ndarray, "frames animals"]
    tracklets: int
    links: int
    attached: int
    left_out: int
    by_looks: bool = False


def stitch(
    poses: Poses,
    numbers: Int[np.ndarray, "frames animals"],
    count: int,
    votes: Votes | None = None,
    looks: Looks | None = None,
) -> Stitched:
    """Give every animal of every frame one of `count` identities, no two in a frame the same.

    Tracks are split at long gaps. What goes on as what is decided for all at once: of all ways to put tracklets one
    behind the other in `count` rows, each tracklet in one row or in none, the one of least cost (`Features.cost` for what
    is joined, `LEAVING_OUT` for what is in none). As each tracklet has one successor or none, this flow of least cost is
    an assignment of ends to beginnings. Then tracklets that are in no row go where there is room, in pieces if need be;
    where frames may have more animals than `count`, only if that costs no more than leaving them out.

    Args:
        poses: the animals of each frame in any order, in pixels; NaN = not found.
        numbers: of the track that a tracker put each into; −1 = none.
        votes: how strongly each animal looks like each individual, 0 or more; NaN = unknown.
        looks: of each animal; if animals can be told apart by them, tracklets are cut where animals touch, and looks say
            with the motion which pieces are whose, see `identified`.
    """
    there = geometry.counts(poses) > 0
    tracklets = tracklets_of(numbers, there)
    by_looks = None if looks is None or not tracklets else _by_looks(tracklets, poses, count, votes, looks)
    pieces, features, rows = by_looks or _by_motion(tracklets, poses, count, votes)
    lines = _Lines(pieces, features, numbers.shape, count)
    limit = LEAVING_OUT if count < numbers.shape[1] else np.inf
    for line, row in enumerate(rows):
        for number in row:
            lines.put(number, pieces[number], line)
    used = {number for row in rows for number in row}
    spare = [number for number in range(len(pieces)) if number not in used]
    attached = sum(lines.attach(number, limit) for number in sorted(spare, key=lambda n: -len(pieces[n])))
    return Stitched(
        identities=lines.identities,
        tracklets=len(tracklets),
        links=sum(len(row) - 1 for row in rows if row),
        attached=attached,
        left_out=int(there.sum() - (lines.identities >= 0).sum()),
        by_looks=by_looks is not None,
    )


def _by_looks(
    tracklets: list[Tracklet], poses: Poses, count: int, votes: Votes | None, looks: Looks
) -> tuple[list[Tracklet], Features, list[list[int]]] | None:
    """Pieces of tracklets and which of them are whose; None if the animals look alike."""
    pieces, before = pieces_of(tracklets, doubtful(poses, count))
    features = Features.of(pieces, poses, votes)
    who = identified(pieces, before, features, looks, count)
    return None if who is None else (pieces, features, [np.flatnonzero(who == k).tolist() for k in range(count)])


def _by_motion(
    tracklets: list[Tracklet], poses: Poses, count: int, votes: Votes | None
) -> tuple[list[Tracklet], Features, list[list[int]]]:
    features = Features.of(tracklets, poses, votes)
    return tracklets, features, _best_rows(features, count)


def _best_rows(features: Features, count: int) -> list[list[int]]:
    """`count` rows of numbers of tracklets, in time.

    Lines of the matrix: the end of every tracklet, then the beginning of every row. Columns: the beginning of every
    tracklet, then the end of every row. A tracklet that follows itself is in no row.
    """
    n = len(features.start)
    everyone, rows = np.arange(n), n + np.arange(count)
    first, then = _links(features)
    starts, ends = np.repeat(rows, n), np.tile(rows, n)
    blocks = [
        (first, then, features.cost(first, then)),
        (everyone, everyone, LEAVING_OUT * features.poses),
        (starts, np.tile(everyone, count), np.full(count * n, BEGINNING)),
        (np.repeat(everyone, count), ends, np.zeros(count * n)),
        (np.repeat(rows, count), np.tile(rows, count), np.zeros(count**2)),
    ]
    lines, columns, costs = (np.concatenate([block[i] for block in blocks]) for i in range(3))
    matrix = coo_array((costs + 1, (lines, columns)), shape=(n + count, n + count))  # + 1: zeros would be no links
    successor = min_weight_full_bipartite_matching(matrix.tocsr())[1]
    return [_row(successor, start, n) for start in rows.tolist()]


def _row(successor: np.ndarray, start: int, n: int) -> list[int]:
    found = []
    number = int(successor[start])
    while number < n:
        found.append(number)
        number = int(successor[number])
    return found


def _links(features: Features) -> tuple[np.ndarray, np.ndarray]:
    """Every tracklet with those that begin next after its end; with all of them, unless there are very many."""
    n = len(features.start)
    reach = max(20, MOST_LINKS // max(n, 1))
    begin = np.searchsorted(features.start, features.stop, side="right")  # tracklets are in order of their start
    length = np.minimum(begin + reach, n) - begin
    first = np.repeat(np.arange(n), length)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(length) - length, length)
    return first, begin[first] + offset


class _Lines:
    """Who is where in every frame."""

    def __init__(self, tracklets: list[Tracklet], features: Features, shape: tuple[int, ...], count: int) -> None:
        self._tracklets, self._features = tracklets, features
        self.identities = np.full(shape, -1)
        self._owner = np.full((count, shape[0]), -1)  # the tracklet that each individual is of in each frame

    def put(self, number: int, part: Tracklet, line: int) -> None:
        self.identities[part.frames, part.rows] = line
        self._owner[line, part.frames] = number

    def attach(self, number: int, limit: float) -> int:
        """Put a tracklet where there is room, in few pieces, each if it costs no more than `limit` per pose; how many poses."""
        tracklet, done, start = self._tracklets[number], 0, 0
        while start < len(tracklet):
            free = self._owner[:, tracklet.frames[start:]] < 0
            run = np.where(free.all(1), free.shape[1], np.argmin(free, axis=1))
            if not run.max(initial=0):
                start += 1
                continue
            prices = {line: self._price(number, start, line) for line in np.flatnonzero(run == run.max()).tolist()}
            line = min(prices, key=lambda line: prices[line])
            stop = start + int(run[line])
            if prices[line] <= limit * (stop - start):
                self.put(number, tracklet.part(start, stop), line)
                done += stop - start
            start = stop
        return done

    def _price(self, number: int, start: int, line: int) -> float:
        """Of the links to what is before and after on the line."""
        frame = self._tracklets[number].frames[start]
        owners = self._owner[line]
        before, after = owners[:frame][owners[:frame] >= 0][-1:], owners[frame:][owners[frame:] >= 0][:1]
        one = np.array([number])
        links = [(before, one)] if len(before) else []
        links += [(one, after)] if len(after) else []
        return sum(self._link(*link) for link in links) if links else BEGINNING

    def _link(self, first: np.ndarray, then: np.ndarray) -> float:
        """Of tracklets that may overlap, where one was put in pieces between others."""
        early = self._features.start[then] > self._features.stop[first]
        return float(self._features.cost(first, then)[0]) if early.all() else BEGINNING
