"""Give every animal of a predicted video its own columns. No torch."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from lp_core import Animals, AnimalTracker, ConfigError, DataError, PoseTable, TrackerConfig
from scipy.optimize import linear_sum_assignment

from lp_infer.tracking import geometry
from lp_infer.tracking.config import EllipseConfig
from lp_infer.tracking.looks import Looks
from lp_infer.tracking.stitch import Stitched, stitch

Poses = Float[np.ndarray, "frames animals keypoints 2"]
Sure = Float[np.ndarray, "frames animals keypoints"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingReport:
    """What became of the animals that were found.

    Attributes:
        frames: of the video.
        poses: animals found, all frames together.
        unsure: animals that were left out, as no keypoint of them is sure enough for the tracker.
        kept: of them, how many have an identity.
        tracklets: stretches that the tracker followed without a break.
        links: how many times two of these were joined.
        changes: how many times an individual's row among the animals of a frame changed from one sighting to the next.
        by_looks: whether the animals' looks were listened to; if not, they were not given or are alike.
        coverage: for each individual the share of the frames that it was found in.
        notes: one sentence about each thing that one might not expect.
    """

    frames: int
    poses: int
    unsure: int
    kept: int
    tracklets: int
    links: int
    changes: int
    by_looks: bool
    coverage: dict[str, float]
    notes: tuple[str, ...] = ()


def track(
    table: PoseTable,
    tracker: TrackerConfig | None = None,
    count: int | None = None,
    *,
    votes: Float[np.ndarray, "frames animals individuals"] | None = None,
    keep_names: bool = False,
    looks: Looks | None = None,
) -> tuple[PoseTable, TrackingReport]:
    """The same poses, with each individual's columns being one animal throughout; NaN and confidence 0 where it is missing.

    Args:
        table: consecutive frames of one video, in each of them the animals in any order.
        tracker: follows animals from frame to frame; the ellipse by default.
        count: how many animals there are; as many as the table has individuals if not given.
        votes: how strongly each found animal looks like each individual, 0 or more, from a network that tells them apart.
        keep_names: individuals keep the names that they mostly have in `table`. Otherwise, and without votes, they are
            named in order of appearance and from left to right, whatever the order in `table`.
        looks: of each found animal, from `video_looks`; identities that were swapped where animals touched are put right by
            them. Animals that look alike are tracked by their motion alone, as without it.

    Raises:
        DataError: the table has one animal only.
        ConfigError: a count that is no number of animals, or votes or looks of another shape.
    """
    animals = _animals_of(table)
    poses, sure = _animal_axis(table.keypoints, animals), _animal_axis(table.confidence, animals)
    count = len(animals.individuals) if count is None else count
    _check(count, votes, looks, poses)
    tracker = tracker or EllipseConfig()
    found = int((geometry.counts(poses) > 0).sum())
    heard = _heard(poses, sure, getattr(tracker, "min_confidence", 0.0))
    poses = np.where(heard[..., None, None], poses, np.nan)
    numbers = _follow(tracker.build(animals), poses, sure)
    stitched = stitch(poses, numbers, count, votes, looks)
    opinions = _by_column(poses.shape) if votes is None and keep_names else votes
    identities = _named(stitched.identities, poses, count, opinions)
    individuals = _individuals(animals, count)
    result = _table(table, dataclasses.replace(animals, individuals=individuals), identities, (poses, sure))
    return result, _report(found, heard, identities, individuals, stitched)


def _animals_of(table: PoseTable) -> Animals:
    if table.animals is None:
        raise DataError("The predictions have one animal only, whose keypoints need no tracking; use them as they are.")
    return table.animals


def _check(count: int, votes: np.ndarray | None, looks: np.ndarray | None, poses: np.ndarray) -> None:
    if count < 1:
        raise ConfigError(f"{count} is not a number of animals; give 1 or more.")
    if votes is not None and (votes.shape[:2] != poses.shape[:2] or votes.shape[2] != count):
        wanted = (*poses.shape[:2], count)
        raise ConfigError(f"votes have shape {votes.shape} and must have {wanted}: frames, animals, individuals.")
    if looks is not None and looks.shape[:2] != poses.shape[:2]:
        raise ConfigError(f"looks are of {looks.shape[:2]} frames and animals and must be of {poses.shape[:2]}.")


def _animal_axis(values: np.ndarray, animals: Animals) -> np.ndarray:
    """The animals' part of the axis of keypoints, in two."""
    return values[:, : animals.owned].reshape(
        len(values), len(animals.individuals), len(animals.parts), *values.shape[2:]
    )


def _heard(poses: Poses, sure: Sure, least: float) -> Bool[np.ndarray, "frames animals"]:
    """Which animals there are: those with a keypoint that is sure enough."""
    return (geometry.visible(poses) & ~(sure < least)).sum(-1) > 0


def _follow(tracker: AnimalTracker, poses: Poses, sure: Sure) -> Int[np.ndarray, "frames animals"]:
    numbers = [tracker.update(*frame) for frame in zip(poses, sure, strict=True)]
    return np.array(numbers, dtype=int).reshape(poses.shape[:2])


def _by_column(shape: tuple[int, ...]) -> Float[np.ndarray, "frames animals individuals"]:
    return np.broadcast_to(np.eye(shape[1]), (shape[0], shape[1], shape[1]))


def _named(
    identities: Int[np.ndarray, "frames animals"], poses: Poses, count: int, votes: np.ndarray | None
) -> Int[np.ndarray, "frames animals"]:
    """The same identities under other numbers: as most votes go, or in order of appearance and from left to right."""
    frames, rows = np.nonzero(identities >= 0)
    who = identities[frames, rows]
    if votes is None:
        first = np.full(count, len(poses))
        np.minimum.at(first, who, frames)
        x = np.full(count, np.inf)
        at_first = frames == first[who]
        x[who[at_first]] = geometry.centres(poses[frames[at_first], rows[at_first]])[:, 0]
        order = np.lexsort((x, first))
        new = np.argsort(order)
    else:
        total = np.zeros((count, max(count, votes.shape[2])))
        np.add.at(total[:, : votes.shape[2]], who, np.nan_to_num(votes[frames, rows]))
        new = linear_sum_assignment(total[:, :count], maximize=True)[1]
    result = identities.copy()
    result[frames, rows] = new[who]
    return result


def _individuals(animals: Animals, count: int) -> tuple[str, ...]:
    """The first names; further ones where there are too few."""
    known = animals.individuals[:count]
    spare = (f"individual{i}" for i in range(1, 2 * count + 1) if f"individual{i}" not in known)
    return (*known, *(next(spare) for _ in range(count - len(known))))


def _table(
    table: PoseTable, animals: Animals, identities: np.ndarray, values: tuple[np.ndarray, np.ndarray]
) -> PoseTable:
    frames, rows = np.nonzero(identities >= 0)
    who = identities[frames, rows]
    unique = table.keypoints.shape[1] - len(table.animals.unique) if table.animals else 0
    flat = []
    for old, all_values, empty in zip(values, (table.keypoints, table.confidence), (np.nan, 0.0), strict=True):
        new = np.full((len(old), len(animals.individuals), *old.shape[2:]), empty)
        new[frames, who] = old[frames, rows]
        new = new.reshape(len(old), animals.owned, *old.shape[3:])
        flat.append(np.concatenate([new, all_values[:, unique:]], axis=1))
    return dataclasses.replace(
        table, keypoint_names=animals.keypoint_names, keypoints=flat[0], confidence=flat[1], animals=animals
    )


def _report(
    found: int, heard: np.ndarray, identities: np.ndarray, individuals: tuple[str, ...], stitched: Stitched
) -> TrackingReport:
    seen = np.array([(identities == who).any(1).sum() for who in range(len(individuals))])
    return TrackingReport(
        frames=len(heard),
        poses=found,
        unsure=found - int(heard.sum()),
        kept=int((identities >= 0).sum()),
        tracklets=stitched.tracklets,
        links=stitched.links,
        changes=_changes(identities, len(individuals)),
        by_looks=stitched.by_looks,
        coverage={name: float(n) / max(len(heard), 1) for name, n in zip(individuals, seen, strict=True)},
        notes=tuple(_notes(found, heard, individuals, seen, stitched)),
    )


def _changes(identities: np.ndarray, count: int) -> int:
    total = 0
    for who in range(count):
        _, rows = np.nonzero(identities == who)
        total += int((np.diff(rows) != 0).sum())
    return total


def _notes(
    found: int, heard: np.ndarray, individuals: tuple[str, ...], seen: np.ndarray, stitched: Stitched
) -> list[str]:
    notes = []
    if unsure := found - int(heard.sum()):
        notes.append(f"{unsure} poses were left out, as no keypoint of them reaches the tracker's min_confidence.")
    if not heard.any():
        return [*notes, "No animal was found in any frame, so all columns are empty."]
    if stitched.attached:
        notes.append(f"{stitched.attached} poses fitted no animal well and were given to one that was missing then.")
    if stitched.left_out:
        most = heard.sum(1).max()
        notes.append(
            f"{stitched.left_out} poses were left out: there are up to {most} in a frame, and {len(individuals)} animals."
        )
    for name, n in zip(individuals, seen, strict=True):
        if not n:
            notes.append(f"{name} was never found; its columns are empty.")
    return notes
