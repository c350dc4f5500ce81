"""What the animals of a video look like: colours along their limbs. NumPy and SciPy only."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from lp_core import DataError, PoseTable
from lp_io import VideoReader
from scipy.sparse.csgraph import minimum_spanning_tree

from lp_infer.tracking import geometry

Poses = Float[np.ndarray, "frames animals keypoints 2"]
Looks = Float[np.ndarray, "frames animals numbers"]
PLACES = 5  # on each limb, both ends included
COVER = 0.1  # in lengths of an animal: nearer to another animal than that, it may be the other's colour
AT_ONCE = 32  # frames decoded
DARK = 8.0  # added to a colour from 0 to 255, so that the noise of dark ones counts for little
COARSE = 8  # every so many pixels of a frame are averaged


def video_looks(table: PoseTable, video: Path | str, least: float = 0.0, threads: int = 0) -> Looks:
    """`looks_of` the animals of a table of several, from the video that they were found in.

    Args:
        least: confidence of a keypoint below which it is not listened to.
        threads: that decode; 0 takes every core.

    Raises:
        DataError: the table has one animal only, or the video is missing or too short.
    """
    if table.animals is None:
        raise DataError("The predictions have one animal only, so there is nothing to tell apart.")
    shape = (len(table.index), len(table.animals.individuals), len(table.animals.parts))
    poses = table.keypoints[:, : table.animals.owned].reshape(*shape, 2)
    sure = table.confidence[:, : table.animals.owned].reshape(shape)
    first = int(table.index[0]) if table.index else 0
    with VideoReader(video, threads=threads) as reader:
        if reader.frame_count < first + len(poses):
            raise DataError(
                f"{video} has {reader.frame_count} frames and the predictions go to frame {first + len(poses) - 1}; give "
                "the video that they are of."
            )
        batches = reader.batches(AT_ONCE, first, first + len(poses))
        frames = (frame for batch in batches for frame in batch)
        return looks_of(frames, np.where((sure < least)[..., None], np.nan, poses))


def looks_of(frames: Iterable[UInt8[np.ndarray, "h w 3"]], poses: Poses) -> Looks:
    """Mean colour of each limb of each animal, in logarithms and relative to the whole frame; NaN = not seen.

    Limbs are the shortest tree that joins all keypoints, by the median distances over the video. A place within a tenth of
    an animal's length of another animal is not listened to, as either may lie on top.

    Args:
        frames: of the video, in order; those that `poses` has.
        poses: in pixels of these frames.
    """
    limbs, cover = _limbs(poses), COVER * geometry.typical_length(poses)
    out = np.full((*poses.shape[:2], len(limbs), 3), np.nan)
    for frame, pose, look in zip(frames, poses, out, strict=False):
        places = _places(pose, limbs)
        mine = _alone(places, cover)
        brightness = np.log(frame[::COARSE, ::COARSE].reshape(-1, 3).mean(0) + DARK)
        look[:] = _mean(_colours(frame, places) - brightness, mine & np.isfinite(places).all(-1))
    return out.reshape(*poses.shape[:2], -1)


def _limbs(poses: Poses) -> Int[np.ndarray, "limbs 2"]:
    """Pairs of keypoints; of a single one, with itself."""
    count = poses.shape[2]
    some = poses[:: max(len(poses) // 1000, 1)].reshape(-1, count, 2)
    distance = np.zeros((count, count))
    for part in range(count):
        found = np.linalg.norm(some[:, part, None] - some, axis=-1)
        known = np.where(np.isfinite(found).any(0), found, np.inf)
        distance[part] = np.nanmedian(known, axis=0) + 1e-6  # a distance of 0 would be no edge
    tree = minimum_spanning_tree(np.where(np.isfinite(distance), distance, 0.0)).tocoo()
    pairs = np.stack([tree.row, tree.col], axis=-1).astype(int)
    return pairs if len(pairs) else np.repeat(np.arange(count)[:, None], 2, axis=1)


def _places(
    poses: Float[np.ndarray, "animals keypoints 2"], limbs: Int[np.ndarray, "limbs 2"]
) -> Float[np.ndarray, "animals limbs places 2"]:
    share = np.linspace(0, 1, PLACES)[:, None]
    ends = poses[:, limbs]
    return ends[:, :, None, 0] * (1 - share) + ends[:, :, None, 1] * share


def _alone(
    places: Float[np.ndarray, "animals limbs places 2"], cover: float
) -> Bool[np.ndarray, "animals limbs places"]:
    """Which places no other animal is near to."""
    flat = places.reshape(len(places), -1, 2)
    low, high = np.nan_to_num(flat, nan=np.inf).min(1) - cover, np.nan_to_num(flat, nan=-np.inf).max(1) + cover
    out = np.ones(flat.shape[:2], dtype=bool)
    near = (low[:, None] <= high[None]).all(-1) & (high[:, None] >= low[None]).all(-1)
    for one, other in np.argwhere(near):
        if one != other:
            squared = ((flat[one][:, None] - flat[other][None]) ** 2).sum(-1)
            out[one] &= ~(squared < cover**2).any(1)
    return out.reshape(places.shape[:3])


def _colours(
    frame: UInt8[np.ndarray, "h w 3"], places: Float[np.ndarray, "animals limbs places 2"]
) -> Float[np.ndarray, "animals limbs places 3"]:
    size = np.array(frame.shape[1::-1]) - 1
    x, y = np.moveaxis(np.clip(np.rint(np.nan_to_num(places)), 0, size).astype(int), -1, 0)
    return np.log(frame[y, x] + DARK)


def _mean(
    colours: Float[np.ndarray, "animals limbs places 3"], known: Bool[np.ndarray, "animals limbs places"]
) -> Float[np.ndarray, "animals limbs 3"]:
    count = known.sum(-1)[..., None]
    total = np.where(known[..., None], colours, 0.0).sum(2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
