"""Clips of unlabeled video through the frame-exact reader of lp_io: any machine, any codec."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from lp_core import ClipSourceConfig, ConfigError, Size
from lp_core.tensors import Clip
from lp_io import ClipChange, ClipSchedule, VideoReader, clip_change, remarks_on_lengths
from torch import Tensor

from lp_data.augmentation.geometry import sample

OPEN = 8  # videos kept open at a time


def change(images: UInt8[Tensor, "frames 3 height width"], how: ClipChange) -> UInt8[Tensor, "frames 3 height width"]:
    """One affine map, contrast, brightness and noise for all frames; black where nothing comes from."""
    transform = torch.from_numpy(how.transform).float().expand(len(images), -1, -1)
    out = sample(images.float(), transform, None)
    out = ((out - 127.5) * how.contrast + 127.5) * how.brightness
    if how.noise:  # shot noise: its deviation grows with the root of the grey level
        generator = torch.Generator().manual_seed(how.noise_seed)
        out += torch.randn(out.shape, generator=generator) * (how.noise * (out.clamp(0, 255) / 255).sqrt())
    return out.round_().clamp_(0, 255).to(torch.uint8)


class VideoClips:
    """`lp_core.tensors.ClipSource` over video files.

    Args:
        cache_bytes: resized frames up to this size are kept, so that small projects are decoded once.
        threads: that decode; one is enough to keep up beside a network on the same cores.

    Attributes:
        remarks: sentences to say about the videos before training.

    Raises:
        DataError: a video cannot be read, or none has two frames.
    """

    def __init__(self, videos: Sequence[Path], image_size: Size, config: VideoClipsConfig, seed: int) -> None:
        self.videos, self.image_size, self.config, self.seed = tuple(videos), image_size, config, seed
        counts = []
        for video in self.videos:
            with VideoReader(video, image_size, threads=1) as reader:
                counts.append(reader.frame_count)
        self.schedule = ClipSchedule(counts, config.sequence_length, config.step, seed)
        self.remarks = remarks_on_lengths(self.videos, counts, config.sequence_length)
        self.clips_per_epoch = len(self.schedule)
        self._readers: OrderedDict[int, VideoReader] = OrderedDict()
        self._cache: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, Size]] = {}
        self._room = int(config.cache_gb * 2**30)

    def clips(self, first: int, step: int = 1) -> Iterator[Clip]:
        """See `lp_core.tensors.ClipSource`."""
        number = first
        while True:
            yield self.clip(number)
            number += step

    def clip(self, number: int) -> Clip:
        """Clip `number` of the endless sequence."""
        video, rows, valid = self.schedule[number]
        frames, seen, original = self._frames(video, int(rows[0]), valid)
        images = torch.from_numpy(frames[rows - rows[0]]).permute(0, 3, 1, 2)
        how = clip_change(self.seed, number, self.image_size, augment=self.config.augment)
        return Clip(
            images=change(images, how) if self.config.augment else images.contiguous(),
            valid=torch.from_numpy((np.arange(len(rows)) < valid) & seen[rows - rows[0]]),
            transform=torch.from_numpy(how.transform).float(),
            original_size=torch.tensor(original),
            video=video,
            frames=torch.from_numpy(rows),
        )

    def _frames(
        self, video: int, start: int, count: int
    ) -> tuple[UInt8[np.ndarray, "count h w 3"], Bool[np.ndarray, " count"], Size]:
        """Frames of a video, which of them could be decoded, and their original size."""
        key = (video, start)
        if key in self._cache:
            return self._cache[key]
        reader = self._reader(video)
        frames = reader.clip(start, count)
        seen = ~np.isin(np.arange(start, start + count), list(reader.broken))
        found = frames, seen, reader.original_size
        if frames.nbytes <= self._room:
            self._room -= frames.nbytes
            self._cache[key] = found
        return found

    def _reader(self, video: int) -> VideoReader:
        if video not in self._readers:
            if len(self._readers) >= OPEN:
                self._readers.popitem(last=False)[1].close()
            self._readers[video] = VideoReader(self.videos[video], self.image_size, threads=self.config.threads)
        self._readers.move_to_end(video)
        return self._readers[video]


@dataclass(slots=True, kw_only=True)
class VideoClipsConfig(ClipSourceConfig):
    """Clips decoded on the CPU; works on every machine.

    Attributes:
        cache_gb: decoded frames up to this size are kept in memory.
        threads: that decode.
    """

    cache_gb: float = 2.0
    threads: int = 1

    def __post_init__(self) -> None:
        if self.sequence_length < 1 or self.step < 0:
            raise ConfigError(
                f"clips.sequence_length={self.sequence_length} must be above zero, clips.step={self.step} not below."
            )

    def build(self, videos: Sequence[Path], *, image_size: Size, seed: int) -> VideoClips:
        """The source."""
        return VideoClips(videos, image_size, self, seed)
