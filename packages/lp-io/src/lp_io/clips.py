"""Which frames the n-th clip of unlabeled video has, and how it is changed: functions of (seed, n). NumPy only."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from lp_core import ConfigError, DataError, Size

DEGREES, SCALE, BRIGHTNESS, CONTRAST, NOISE = 10.0, (0.8, 1.2), (0.75, 1.25), (0.75, 1.25), 10.0  # the reference's


def _rng(*facts: object) -> np.random.Generator:
    digest = hashlib.blake2b("/".join(map(str, facts)).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


class ClipSchedule:
    """The endless order of clips over several videos: every epoch covers all of them in an order of its own.

    Clips of a video start `step` frames apart; the last one ends with the video's last frame, so that nothing is left
    out. A video shorter than a clip gives one clip whose last frame is repeated.

    Args:
        frame_counts: frames of each video.
        sequence_length: frames of a clip.
        step: frames between the starts of clips; 0 = `sequence_length`.

    Raises:
        ConfigError: a length or step that is impossible.
    """

    def __init__(self, frame_counts: Sequence[int], sequence_length: int, step: int, seed: int) -> None:
        if sequence_length < 1 or step < 0:
            raise ConfigError(f"clips.sequence_length={sequence_length} and clips.step={step} must be positive.")
        self.frame_counts, self.length, self.seed = tuple(frame_counts), sequence_length, seed
        self._clips = [(v, s) for v, n in enumerate(frame_counts) for s in _starts(n, sequence_length, step)]
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        """Clips per epoch."""
        return len(self._clips)

    def __getitem__(self, number: int) -> tuple[int, Int[np.ndarray, " frames"], int]:
        """(video, its frames, how many of them are not padding) of clip `number`, 0 or more."""
        epoch, place = divmod(number, len(self._clips))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, _rng("clips", self.seed, epoch).permutation(len(self._clips))
        video, start = self._clips[self._order[place]]
        valid = min(self.length, self.frame_counts[video] - start)
        return video, np.minimum(start + np.arange(self.length), self.frame_counts[video] - 1), valid


def _starts(frames: int, length: int, step: int) -> list[int]:
    last = max(frames - length, 0)
    return sorted({*range(0, last + 1, step or length), last}) if frames else []


def remarks_on_lengths(videos: Sequence[Path], frame_counts: Sequence[int], sequence_length: int) -> tuple[str, ...]:
    """The sentence to say about videos that are shorter than a clip, if there are any.

    Raises:
        DataError: no video has two frames, and clips are to have more.
    """
    short = [
        f"{v} ({n} frame{'s' * (n != 1)})" for v, n in zip(videos, frame_counts, strict=True) if n < sequence_length
    ]
    if not short:
        return ()
    if max(frame_counts) < 2:
        raise DataError(
            f"{short[0]} is too short for clips.sequence_length={sequence_length}, and no unlabeled video has two frames; "
            "give longer videos, or clips.sequence_length=1."
        )
    which = f"{short[0]} and {len(short) - 1} more are" if len(short) > 1 else f"{short[0]} is"
    return (
        f"{which} shorter than clips.sequence_length={sequence_length}: the last frame is repeated up to that length, and "
        "no loss counts the repeated ones",
    )


@dataclass(frozen=True, slots=True)
class ClipChange:
    """How one clip is augmented: out = (255 · ((in / 255 - ½) · contrast + ½)) · brightness + noise, after `transform`.

    Attributes:
        transform: affine map, un-augmented input pixels → augmented input pixels.
        noise: standard deviation of the noise at full brightness in grey levels; it grows with the root of the grey level.
        noise_seed: of the noise.
    """

    transform: Float[np.ndarray, "2 3"]
    brightness: float = 1.0
    contrast: float = 1.0
    noise: float = 0.0
    noise_seed: int = 0


def clip_change(seed: int, number: int, size: Size, *, augment: bool) -> ClipChange:
    """The change of clip `number`, the reference's ranges: rotation ±10°, scale 0.8–1.2 per axis about the centre,
    brightness and contrast 0.75–1.25, shot noise up to 10 grey levels. The identity if not `augment`.
    """
    if not augment:
        return ClipChange(np.eye(2, 3))
    rng = _rng("change", seed, number)
    angle, scale = np.deg2rad(rng.uniform(-DEGREES, DEGREES)), rng.uniform(*SCALE, 2)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    centre = (np.array([size[1], size[0]]) - 1) / 2
    transform = np.concatenate([linear, (centre - linear @ centre)[:, None]], axis=1)
    brightness, contrast, noise = rng.uniform(*BRIGHTNESS), rng.uniform(*CONTRAST), rng.uniform(0, NOISE)
    return ClipChange(transform, brightness, contrast, noise, int(rng.integers(2**62)))
