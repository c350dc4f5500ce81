"""What clip n is made of, and the last steps from DALI's frames to a `Clip`. No DALI in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from lp_core import ClipSourceConfig, Size
from lp_core.tensors import Clip
from lp_io import ClipChange, ClipSchedule, VideoReader, clip_change, remarks_on_lengths
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Plan:
    """One clip before anything is decoded.

    Attributes:
        rows: frames of the video; padding repeats the last.
        count: how many of them are not padding.
        how: what augmentation does; the identity without it.
        original_size: (height, width) of the video's frames.
    """

    video: int
    rows: Int[np.ndarray, " frames"]
    count: int
    how: ClipChange
    original_size: Size

    @property
    def start(self) -> int:
        """The first frame."""
        return int(self.rows[0])


class Plans:
    """The plan of every clip: a function of (videos, configuration, seed, number).

    Attributes:
        length: frames of a clip.
        even: for each video, whether its frames are equally far apart in time.
        remarks: sentences to say about the videos before training.

    Raises:
        DataError: a video cannot be read, or none has two frames.
    """

    videos: tuple[Path, ...]
    image_size: Size
    seed: int
    length: int
    augment: bool
    schedule: ClipSchedule
    remarks: tuple[str, ...]

    def __init__(self, videos: Sequence[Path], image_size: Size, config: ClipSourceConfig, seed: int) -> None:
        self.videos, self.image_size, self.seed = tuple(videos), image_size, seed
        self.length, self.augment = config.sequence_length, config.augment
        self.sizes: list[Size] = []
        self.even: list[bool] = []
        counts = []
        for video in self.videos:
            with VideoReader(video, threads=1) as reader:
                counts.append(reader.frame_count)
                self.sizes.append(reader.original_size)
                self.even.append(is_even(reader.times))
        self.schedule = ClipSchedule(counts, self.length, config.step, seed)
        self.remarks = remarks_on_lengths(self.videos, counts, self.length)

    def __len__(self) -> int:
        """Clips per epoch."""
        return len(self.schedule)

    def __getitem__(self, number: int) -> Plan:
        video, rows, count = self.schedule[number]
        how = clip_change(self.seed, number, self.image_size, augment=self.augment)
        return Plan(video, rows, count, how, self.sizes[video])


def is_even(times: Float[np.ndarray, " frames"]) -> bool:
    """Whether rounding (time - first time) · average rate gives each frame its number, which is how DALI counts frames."""
    last = len(times) - 1
    return last == 0 or np.array_equal(
        np.rint((times - times[0]) * (last / (times[-1] - times[0]))), np.arange(last + 1)
    )


def dali_matrix(transform: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """What `fn.warp_affine` takes for a map of content: the map back, counted from the corner of the top-left pixel.

    Args:
        transform: un-augmented input pixels → augmented input pixels, the centre of the top-left pixel being (0, 0).

    Returns:
        augmented → un-augmented, float32; the centre of the top-left pixel is (½, ½).
    """
    back = np.linalg.inv(transform[:, :2])
    shift = 0.5 - back @ (transform[:, 2] + 0.5)
    return np.concatenate([back, shift[:, None]], axis=1).astype(np.float32)


def finished(
    plan: Plan,
    frames: Float[Tensor, "frames height width 3"] | UInt8[Tensor, "frames height width 3"],
    seen: Bool[np.ndarray, " frames"],
) -> Clip:
    """The clip on the device of its frames: padding repeated, noise added, rounded.

    Args:
        frames: at input size, in grey levels, float if changed and uint8 if not; what is past the video's end is ignored.
        seen: which frames could be decoded.
    """
    if plan.count < len(plan.rows):
        frames = frames[torch.from_numpy(plan.rows - plan.start).to(frames.device)]
    images = frames.permute(0, 3, 1, 2).contiguous()
    clip = Clip(
        images=noisy(images, plan.how) if images.is_floating_point() else images,
        valid=torch.from_numpy((np.arange(len(plan.rows)) < plan.count) & seen),
        transform=torch.from_numpy(plan.how.transform).float(),
        original_size=torch.tensor(plan.original_size),
        video=plan.video,
        frames=torch.from_numpy(plan.rows),
    )
    return clip.to(images.device, non_blocking=True)


def noisy(images: Float[Tensor, "frames 3 height width"], how: ClipChange) -> UInt8[Tensor, "frames 3 height width"]:
    """Shot noise, whose deviation grows with the root of the grey level, then rounding."""
    if how.noise:
        generator = torch.Generator(images.device).manual_seed(how.noise_seed)
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        images = images + noise * (how.noise * (images.clamp(0, 255) / 255).sqrt())
    return images.round().clamp(0, 255).to(torch.uint8)
