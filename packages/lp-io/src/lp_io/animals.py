"""How files name several animals, and where each is on the one axis of keypoints."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lp_core import Animals, DataError

SINGLE = "single"  # whom DeepLabCut names as the owner of points that a frame has once

Edges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whom a stretch of the axis of keypoints belongs to.

    Attributes:
        name: of the individual; `single` for unique points; None where there is only one animal.
        columns: the stretch.
        parts: names in it, without the individual's.
        edges: pairs of numbers of parts joined by a line.
        is_animal: not the owner of unique points.
    """

    name: str | None
    columns: slice
    parts: tuple[str, ...]
    edges: Edges
    is_animal: bool = True


def owners(names: Sequence[str], animals: Animals | None, skeleton: Sequence[tuple[int, int]] = ()) -> list[Owner]:
    """The individuals in order, then whoever owns the unique points.

    Args:
        names: of all keypoints.
        skeleton: pairs of numbers of keypoints, counted on the whole axis.
    """
    if animals is None:
        return [Owner(name=None, columns=slice(0, len(names)), parts=tuple(names), edges=tuple(skeleton))]
    count, owned = len(animals.parts), animals.owned
    found = [
        Owner(name=name, columns=slice(i * count, (i + 1) * count), parts=animals.parts, edges=animals.skeleton)
        for i, name in enumerate(animals.individuals)
    ]
    if animals.unique:
        edges = tuple((a - owned, b - owned) for a, b in skeleton if min(a, b) >= owned)
        place = slice(owned, len(names))
        found.append(Owner(name=SINGLE, columns=place, parts=animals.unique, edges=edges, is_animal=False))
    return found


def named_pairs(animals: Animals) -> list[tuple[str, str]]:
    """(individual, part) of every keypoint, as header rows name them.

    Raises:
        DataError: an individual is called `single`.
    """
    if SINGLE in animals.individuals:
        raise DataError(f"An animal is called {SINGLE}, which is DeepLabCut's word for unique points; rename it.")
    pairs = [(individual, part) for individual in animals.individuals for part in animals.parts]
    return pairs + [(SINGLE, name) for name in animals.unique]


def keypoint_name(individual: str, part: str) -> str:
    """As in `Animals.keypoint_names`."""
    return part if individual == SINGLE else f"{individual}/{part}"


def animals_of(source: Path | str, pairs: Sequence[tuple[str, str]]) -> Animals | None:
    """What header rows with an (individual, part) for each keypoint say; None if no individual is named.

    Raises:
        DataError: a pair comes twice, or an animal lacks a part that another has.
    """
    animals = Animals(
        individuals=tuple(dict.fromkeys(individual for individual, _ in pairs if individual != SINGLE)),
        parts=tuple(dict.fromkeys(part for individual, part in pairs if individual != SINGLE)),
        unique=tuple(part for individual, part in pairs if individual == SINGLE),
    )
    for pair, count in Counter(pairs).items():
        if count > 1:
            raise DataError(f"{source} has the columns of {' '.join(pair)} twice; remove one.")
    if missing := [pair for pair in named_pairs(animals) if pair not in set(pairs)]:
        raise DataError(f"{source}: every animal needs the same bodyparts, and {' has no '.join(missing[0])}.")
    return animals if animals.individuals else None


def flat_edges(animals: Animals, edges: Sequence[tuple[str, str]]) -> Edges:
    """Pairs of names as pairs of numbers on the whole axis: once for every animal that has an end of it."""
    found = []
    for ends in edges:
        owned = [end in animals.parts for end in ends]
        if not all(own or end in animals.unique for own, end in zip(owned, ends, strict=True)):
            continue
        for animal in range(len(animals.individuals) if any(owned) else 1):
            a, b = (_number(animals, animal, end) for end in ends)
            found.append((a, b))
    return tuple(found)


def part_edges(parts: Sequence[str], edges: Sequence[tuple[str, str]]) -> Edges:
    """Pairs of names as pairs of numbers of parts, without those of other names."""
    return tuple((parts.index(a), parts.index(b)) for a, b in edges if a in parts and b in parts)


def named_edges(names: Sequence[str], animals: Animals | None, skeleton: Sequence[tuple[int, int]]) -> list[list[str]]:
    """A skeleton as pairs of names, those of animals once and without the individual's name."""
    if animals is None:
        return [[names[a], names[b]] for a, b in skeleton]
    short = dict(enumerate(animals.parts)) | dict(enumerate(animals.unique, animals.owned))
    return [[short[a], short[b]] for a, b in skeleton if a in short and b in short]


def _number(animals: Animals, animal: int, name: str) -> int:
    if name in animals.parts:
        return animal * len(animals.parts) + animals.parts.index(name)
    return animals.owned + animals.unique.index(name)


def identities(
    rows: Sequence[int], tracks: Sequence[str | None], names: Sequence[str], *, listed: bool = False
) -> tuple[tuple[str, ...], list[int]]:
    """Names of the individuals, and which of them each labeled animal is.

    Tracks are individuals if every animal has one, no image has one twice, and there are no more of them than animals in
    some image. Otherwise the animals of each image are individual1, individual2, … in the order of the file.

    Args:
        rows: the image each labeled animal is in.
        tracks: the track of each, if it has one.
        names: of the tracks, in order.
        listed: the file itself says that `names` are the individuals, however many an image shows.
    """
    most = max(Counter(rows).values(), default=0)
    distinct = len(set(names)) == len(names) and len(set(zip(rows, tracks, strict=True))) == len(rows)
    if distinct and set(tracks) <= set(names) and (listed or len(names) <= most):
        return tuple(names), [names.index(track) for track in tracks if track is not None]
    seen = Counter[int]()
    numbers = []
    for row in rows:
        numbers.append(seen[row])
        seen[row] += 1
    return tuple(f"individual{i + 1}" for i in range(most)), numbers


def pooled(individuals: Sequence[str], parts: Sequence[str], unique: Sequence[str], edges: Edges) -> Animals | None:
    """Animals, or None if there is one only, whose keypoints go by the names of its parts."""
    if len(individuals) < 2:
        return None
    return Animals(individuals=tuple(individuals), parts=tuple(parts), unique=tuple(unique), skeleton=edges)
