"""Stretches of one animal in a video, and how likely one goes on as another. NumPy only."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lp_infer.tracking import geometry

Votes = Float[np.ndarray, "frames animals individuals"]

LONGEST_GAP = 5  # frames; where an animal is missing for longer, its track is split and joined anew
ENDS = 5  # poses at either end that say where the animal is going
COASTING = 10.0  # frames for which an animal typically keeps its speed
PACE = 0.1  # in lengths of an animal per frame: by which speeds differ
NEAR, DRIFT = 0.25, 0.25  # in lengths of an animal: how far from where expected at once, and per square root of a frame
LONGEST_DRIFT = 1000  # frames after which an animal may be anywhere
PROPORTION = 0.1  # by which distances within one animal vary, in its lengths
SAMPLED = 200  # poses of a tracklet that its proportions are taken from


@dataclass(frozen=True, slots=True)
class Tracklet:
    """One animal in some frames: `rows[i]` is its row of frame `frames[i]`; frames increase."""

    frames: Int[np.ndarray, " poses"]
    rows: Int[np.ndarray, " poses"]

    def __len__(self) -> int:
        return len(self.frames)

    def part(self, start: int, stop: int) -> "Tracklet":
        """Some poses of it."""
        return Tracklet(self.frames[start:stop], self.rows[start:stop])


def tracklets_of(
    numbers: Int[np.ndarray, "frames animals"], there: np.ndarray, longest_gap: int = LONGEST_GAP
) -> list[Tracklet]:
    """Tracks split where an animal was missing for long; an animal without a track is a tracklet of its own.

    Args:
        numbers: of the track of every animal; −1 = none.
        there: which animals there are.

    Returns:
        in order of their first frame; a track that has two animals in one frame is split there.
    """
    frames, rows = np.nonzero(there)
    track = numbers[frames, rows].astype(int)
    track[track < 0] = track.max(initial=0) + 1 + np.arange((track < 0).sum())
    order = np.lexsort((rows, frames, track))
    frames, rows, track = frames[order], rows[order], track[order]
    step = np.diff(frames)
    cuts = np.flatnonzero((np.diff(track) != 0) | (step > longest_gap + 1) | (step < 1)) + 1
    pieces = zip(np.split(frames, cuts), np.split(rows, cuts), strict=True)
    return sorted((Tracklet(*piece) for piece in pieces if len(piece[0])), key=lambda t: int(t.frames[0]))


@dataclass(frozen=True, slots=True)
class Features:
    """What the cost of a link needs of every tracklet: places in pixels, speeds in pixels per frame."""

    length: float
    start: Int[np.ndarray, " n"]
    stop: Int[np.ndarray, " n"]
    poses: Int[np.ndarray, " n"]
    head: Float[np.ndarray, "n 2"]
    tail: Float[np.ndarray, "n 2"]
    head_speed: Float[np.ndarray, "n 2"]
    tail_speed: Float[np.ndarray, "n 2"]
    proportions: Float[np.ndarray, "n pairs"]
    votes: Float[np.ndarray, "n individuals"] | None

    @classmethod
    def of(
        cls,
        tracklets: list[Tracklet],
        poses: Float[np.ndarray, "frames animals keypoints 2"],
        votes: Votes | None = None,
    ) -> "Features":
        """Of tracklets of the animals `poses`."""
        centres = geometry.centres(poses)
        ends = [(_end(t.part(0, ENDS), centres, 0), _end(t.part(-ENDS, len(t)), centres, -1)) for t in tracklets]
        heads, tails = (np.array([e[i] for e in ends]).reshape(-1, 2, 2) for i in (0, 1))
        pairs = np.triu_indices(poses.shape[2], k=1)
        return cls(
            length=geometry.typical_length(poses),
            start=np.array([t.frames[0] for t in tracklets], dtype=int),
            stop=np.array([t.frames[-1] for t in tracklets], dtype=int),
            poses=np.array([len(t) for t in tracklets], dtype=int),
            head=heads[:, 0],
            tail=tails[:, 0],
            head_speed=heads[:, 1],
            tail_speed=tails[:, 1],
            proportions=np.array([_proportions(t, poses, pairs) for t in tracklets]).reshape(
                len(tracklets), len(pairs[0])
            ),
            votes=None if votes is None else np.array([_opinion(t, votes) for t in tracklets]),
        )

    def cost(self, first: Int[np.ndarray, " links"], then: Int[np.ndarray, " links"]) -> Float[np.ndarray, " links"]:
        """Minus the logarithm of how likely tracklet `first` goes on as `then`, up to a constant; 0 or more.

        The place where `then` begins has a Student distribution with 2 degrees of freedom (Kotz and Nadarajah 2004,
        "Multivariate t distributions") round the place expected from the speeds, see `_bridged`. Different speeds cost a
        little, different proportions and different votes up to 4 each.
        """
        gap = (self.start[then] - self.stop[first]).astype(float)
        missed = self.head[then] - self.tail[first] - self._bridged(first, then, gap)
        variance = NEAR**2 + DRIFT**2 * np.minimum(gap, LONGEST_DRIFT)
        far = (missed**2).sum(-1) / self.length**2 / variance
        place = 2 * np.log1p(far) + np.log(variance / NEAR**2)
        return place + self._turn(first, then, gap) + self._unlike(first, then) + self._disagreement(first, then)

    def _bridged(self, first: np.ndarray, then: np.ndarray, gap: np.ndarray) -> Float[np.ndarray, "links 2"]:
        """The way an animal is expected to go unseen, if its speed is an Ornstein-Uhlenbeck process round 0.

        With the time constant T: T tanh(gap / 2T) (v + w) if the speeds v before and w after are known (the integral of
        the mean of v(t) given both), T (1 − exp(−gap / T)) v if one is, 0 if none is.
        """
        before, after = self.tail_speed[first], self.head_speed[then]
        both = COASTING * np.tanh(gap / (2 * COASTING))[:, None] * (before + after)
        one = COASTING * (1 - np.exp(-gap / COASTING))[:, None] * np.where(np.isnan(before), after, before)
        return np.nan_to_num(np.where(np.isnan(both), one, both))

    def _turn(self, first: np.ndarray, then: np.ndarray, gap: np.ndarray) -> Float[np.ndarray, " links"]:
        kept = np.exp(-gap / COASTING)[:, None]
        change = (self.head_speed[then] - kept * self.tail_speed[first]) / (PACE * self.length)
        return np.nan_to_num(np.log1p((change**2).sum(-1)))

    def _unlike(self, first: np.ndarray, then: np.ndarray) -> Float[np.ndarray, " links"]:
        a, b = self.proportions[first], self.proportions[then]
        both = np.isfinite(a) & np.isfinite(b)
        squares = np.where(both, (np.where(both, a - b, 0.0) / (PROPORTION * self.length)) ** 2, 0.0).sum(-1)
        mean = squares / np.maximum(both.sum(-1), 1)
        known = np.minimum(self.poses[first], self.poses[then])
        return 4 * mean / (1 + mean) * known / (known + 10.0)

    def _disagreement(self, first: np.ndarray, then: np.ndarray) -> Float[np.ndarray, " links"] | float:
        if self.votes is None:
            return 0.0
        return 4 * (1 - (self.votes[first] * self.votes[then]).sum(-1))


def _end(part: Tracklet, centres: np.ndarray, which: int) -> tuple[np.ndarray, np.ndarray]:
    """Place at one end, and the speed there: the slope of a line through the poses; NaN of a single one."""
    places, times = centres[part.frames, part.rows], part.frames - part.frames.mean()
    spread = (times**2).sum()
    return places[which], (times[:, None] * places).sum(0) / spread if spread else np.full(2, np.nan)


def _proportions(tracklet: Tracklet, poses: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Median distance of each pair of keypoints."""
    some = np.linspace(0, len(tracklet) - 1, min(len(tracklet), SAMPLED)).astype(int)
    found = poses[tracklet.frames[some], tracklet.rows[some]]
    distance = np.linalg.norm(found[:, pairs[0]] - found[:, pairs[1]], axis=-1)
    ordered, count = np.sort(distance, axis=0), np.isfinite(distance).sum(0)
    middle = np.maximum(count - 1, 0) // 2
    return np.take_along_axis(ordered, middle[None], axis=0)[0] if len(pairs[0]) else np.empty(0)


def _opinion(tracklet: Tracklet, votes: Votes) -> np.ndarray:
    """A vector of length 1 (0 without votes) towards the individuals voted for."""
    total = np.nan_to_num(votes[tracklet.frames, tracklet.rows]).sum(0)
    size = np.linalg.norm(total)
    return total / size if size else total
