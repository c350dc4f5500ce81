"""What frames are compared by: a small grey picture and the pose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from lp_core import Animals
from lp_io import VideoReader

SIZE = (48, 64)  # height, width of the pictures, whatever shape frames have
SAMPLES = 2000  # pairs from which an ordinary distance is taken

Pictures = Float[np.ndarray, "frames height width"]
Features = Float[np.ndarray, "frames features"]


@dataclass(frozen=True, slots=True)
class Material:
    """Of some frames.

    Attributes:
        pictures: grey values, 0 to 255.
        poses: positions as shares of the frame's width and height; NaN = unknown.
    """

    pictures: Pictures
    poses: Features

    def __len__(self) -> int:
        return len(self.pictures)


def small(image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "h w"]:
    """The picture of one image."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, SIZE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)


def pictures_of(video: Path, frames: Sequence[int]) -> tuple[Pictures, frozenset[int]]:
    """Of some frames of a video, and which of them cannot be decoded."""
    with VideoReader(video, SIZE, threads=1) as reader:
        grey = [cv2.cvtColor(reader.clip(int(n), 1)[0], cv2.COLOR_RGB2GRAY) for n in frames]
        return np.stack(grey).astype(np.float32), reader.broken


def features_of_pose(
    keypoints: Float[np.ndarray, "frames keypoints 2"], size: Float[np.ndarray, "2"], animals: Animals | None
) -> Features:
    """Positions divided by (width, height); of several animals the mean of each part, as they have no order."""
    shares = keypoints / size
    if animals is not None:
        owned = shares[:, : animals.owned].reshape(len(shares), len(animals.individuals), -1, 2)
        known = np.isfinite(owned)
        mean = np.where(known, owned, 0).sum(1) / np.maximum(known.sum(1), 1)
        shares = np.concatenate([np.where(known.any(1), mean, np.nan), shares[:, animals.owned :]], 1)
    return shares.reshape(len(shares), -1)


def similarity(rows: Material, columns: Material, video: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "rows columns"]:
    """exp(-2 d²), d² the mean of the squared distances of pictures and of poses, each in units of the median over pairs of
    `rows` of the same video: 1 for equal frames, 0.14 for frames as different as two of a video usually are.

    Args:
        video: number of the video of each row.
    """
    if not len(columns):
        return np.zeros((len(rows), 0), np.float32)
    squares = _squared(_flat(rows.pictures), _flat(columns.pictures), video)
    if rows.poses.shape[1] == columns.poses.shape[1]:
        fill = np.array([np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else 0.0 for c in rows.poses.T])
        poses = [np.where(np.isfinite(one.poses), one.poses, fill) for one in (rows, columns)]
        squares = (squares + _squared(poses[0], poses[1], video)) / 2
    return np.exp(-2 * squares).astype(np.float32)


def _flat(pictures: Pictures) -> Features:
    return pictures.reshape(len(pictures), -1)


def _squared(
    a: Float[np.ndarray, "rows features"], b: Float[np.ndarray, "columns features"], video: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, "rows columns"]:
    """Squared distances, in units of the median one between different rows of `a` of the same video."""
    i, j = np.random.default_rng(0).integers(len(a), size=(2, SAMPLES))
    kept = (i != j) & (video[i] == video[j])
    unit = float(np.median(((a[i] - a[j])[kept] ** 2).sum(1))) if kept.any() else 1.0
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return squares.clip(min=0) / max(unit, 1e-12)
