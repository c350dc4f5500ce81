"""Animals whose right identity is known."""

from itertools import pairwise

import numpy as np
from lp_core import Animals, PoseTable


def swimming(frames, animals, seed=0, parts=6, size=400.0):
    """(frames, animals, parts, 2): bodies 40 px long that swim 3 px per frame along smooth curves, and may cross."""
    rng = np.random.default_rng(seed)
    place, heading = rng.uniform(0.2 * size, 0.8 * size, (animals, 2)), rng.uniform(0, 2 * np.pi, animals)
    turn, poses = np.zeros(animals), []
    for _ in range(frames):
        turn = 0.9 * turn + rng.normal(0, 0.03, animals)
        inward = size / 2 - place
        back = (np.arctan2(inward[:, 1], inward[:, 0]) - heading + np.pi) % (2 * np.pi) - np.pi
        heading = heading + turn + np.where(np.linalg.norm(inward, axis=-1) > 0.4 * size, 0.15 * back, 0)
        place = place + 3 * np.stack([np.cos(heading), np.sin(heading)], -1)
        poses.append(bodies(place, heading, parts))
    return np.array(poses)


def bodies(places, headings, parts=6, length=40.0):
    """(animals, parts, 2): a zigzag along each heading."""
    along = np.stack([np.cos(headings), np.sin(headings)], -1)[:, None]
    across = np.stack([-along[..., 1], along[..., 0]], -1)
    s = np.linspace(-0.5, 0.5, parts)[:, None] * length
    return np.asarray(places)[:, None] + s * along + np.where(np.arange(parts) % 2, 4.0, -4.0)[:, None] * across


def straight(starts, velocities, frames, heading=0.0, **kind):
    """(frames, animals, parts, 2): bodies in uniform motion."""
    times = np.arange(frames)[:, None, None]
    places = np.asarray(starts, float) + times * np.asarray(velocities, float)
    return np.array([bodies(p, np.full(len(p), heading), **kind) for p in places])


def shuffled(poses, seed=1):
    """The animals of each frame in random order, and the row that each of them had."""
    order = np.argsort(np.random.default_rng(seed).random(poses.shape[:2]), axis=1)
    return np.take_along_axis(poses, order[:, :, None, None], 1), order


def with_holes(poses, share, seed=2):
    """Some animals and some keypoints missing, and the others a pixel off."""
    rng = np.random.default_rng(seed)
    out = poses + rng.normal(0, 1, poses.shape)
    out[rng.random(poses.shape[:2]) < share] = np.nan
    out[rng.random(poses.shape[:3]) < share] = np.nan
    return out


def table_of(poses, confidence=None, unique=()):
    """A table of one video; unique points are at (1, 2), (3, 4), …"""
    frames, count, parts, _ = poses.shape
    animals = Animals(
        individuals=tuple(f"mouse{i}" for i in range(count)), parts=tuple(f"p{i}" for i in range(parts)), unique=unique
    )
    points = np.arange(1.0, 1 + 2 * len(unique)).reshape(1, -1, 2).repeat(frames, 0)
    sure = np.where(np.isnan(poses[..., 0]), 0.0, 0.9) if confidence is None else confidence
    return PoseTable(
        keypoint_names=animals.keypoint_names,
        index=tuple(range(frames)),
        keypoints=np.concatenate([poses.reshape(frames, count * parts, 2), points], 1),
        confidence=np.concatenate([sure.reshape(frames, count * parts), np.full((frames, len(unique)), 0.5)], 1),
        animals=animals,
    )


def by_animal(table):
    """(frames, animals, parts, 2) of a table."""
    animals = table.animals
    return table.keypoints[:, : animals.owned].reshape(-1, len(animals.individuals), len(animals.parts), 2)


def found(poses):
    """(frames, animals): which animals have a keypoint."""
    return np.isfinite(poses).all(-1).any(-1)


def same_up_to_names(tracked, truth):
    """Whether the columns of `tracked` are those of `truth`, NaN included, in some order."""
    left = list(range(truth.shape[1]))
    for animal in range(tracked.shape[1]):
        match = [i for i in left if np.array_equal(tracked[:, animal], truth[:, i], equal_nan=True)]
        if not match:
            return False
        left.remove(match[0])
    return True


def painted(poses, colours, size=400, seed=3, gain=1.0):
    """Frames of grey bedding in which every animal is a thick line of its colour; those of higher number lie on top."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    bedding = rng.normal(110, 12, (size, size, 1))
    for animals in poses:
        frame = np.repeat(bedding, 3, axis=2)
        for animal, colour in zip(animals, colours, strict=True):
            if not np.isfinite(animal).all():
                continue
            places = np.concatenate([a + np.linspace(0, 1, 8)[:, None] * (b - a) for a, b in pairwise(animal)])
            low, high = np.floor(places.min(0) - 6).astype(int), np.ceil(places.max(0) + 7).astype(int)
            box = (slice(max(low[1], 0), max(high[1], 0)), slice(max(low[0], 0), max(high[0], 0)))
            apart = (columns[box][..., None] - places[:, 0]) ** 2 + (rows[box][..., None] - places[:, 1]) ** 2
            frame[box][apart.min(-1) < 36] = colour
        yield np.clip(gain * frame + rng.normal(0, 4, frame.shape), 0, 255).astype(np.uint8)
