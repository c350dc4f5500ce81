"""What every source of clips must do."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lp_core import clip_sources
from lp_core.tensors import Clip, ClipSource

SIZE, LENGTH = (48, 64), 5


class ClipSourceContract:
    """Subclass in a plugin's tests, set `name`, and give `videos`: files, and `counts`: their frames.

    One of the videos should be shorter than five frames.
    """

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012
    videos: tuple[Path, ...]
    counts: tuple[int, ...]

    def build(self, *, seed: int = 0, **options: Any) -> ClipSource:
        config = clip_sources.make(self.name, **{"sequence_length": LENGTH, **self.options, **options})
        return config.build(self.videos, image_size=SIZE, seed=seed)

    def take(self, count: int, first: int = 0, step: int = 1, **options: Any) -> list[Clip]:
        return [clip.to("cpu") for clip in itertools.islice(self.build(**options).clips(first, step), count)]

    def test_an_epoch_covers_every_frame(self) -> None:
        source = self.build(augment=False)
        seen = [set() for _ in self.videos]
        for clip in (c.to("cpu") for c in itertools.islice(source.clips(0), source.clips_per_epoch)):
            assert clip.images.shape == (LENGTH, 3, *SIZE) and clip.images.dtype == torch.uint8
            assert bool(clip.valid.any()) and clip.transform.shape == (2, 3)
            assert torch.equal(clip.transform, torch.eye(2, 3))
            seen[clip.video] |= set(clip.frames[clip.valid].tolist())
        assert seen == [set(range(n)) for n in self.counts]

    def test_padding_repeats_the_last_frame_and_is_marked(self) -> None:
        short = int(np.argmin(self.counts))
        source = self.build(augment=False)
        clip = next(c for c in itertools.islice(source.clips(0), source.clips_per_epoch) if c.video == short).to("cpu")
        count = self.counts[short]
        assert clip.valid.tolist() == [True] * count + [False] * (LENGTH - count)
        assert torch.equal(clip.images[count:], clip.images[count - 1 : count].expand(LENGTH - count, -1, -1, -1))

    def test_clip_n_is_a_function_of_seed_and_n(self) -> None:
        whole = self.take(9)
        for one, two in [
            *zip(whole[4:], self.take(5, first=4), strict=True),
            *zip(whole[1::3], self.take(3, 1, 3), strict=True),
        ]:
            assert torch.equal(one.images, two.images) and torch.equal(one.transform, two.transform)
            assert one.video == two.video and torch.equal(one.frames, two.frames)
        other = self.take(9, seed=1)
        assert any(not torch.equal(a.transform, b.transform) for a, b in zip(whole, other, strict=True))

    def test_the_transform_says_where_content_went(self) -> None:
        """A frame moved by the transform that comes with it looks like the frame the source gives."""
        from torch.nn import functional as F

        plain, changed = self.take(4, augment=False), self.take(4)
        for before, after in zip(plain, changed, strict=True):
            back = torch.linalg.inv(torch.cat([after.transform, torch.tensor([[0.0, 0, 1]])]))[:2]
            y, x = torch.meshgrid(*(torch.arange(float(n)) for n in SIZE), indexing="ij")
            source = torch.stack([x, y], -1) @ back[:, :2].T + back[:, 2]
            grid = (2 * source + 1) / torch.tensor([SIZE[1], SIZE[0]]) - 1
            moved = F.grid_sample(before.images[:1].float(), grid[None], align_corners=False)[0]
            inside = (grid.abs() < 0.9).all(-1)
            pairs = torch.stack([moved.mean(0)[inside], after.images[0].float().mean(0)[inside]])
            assert torch.corrcoef(pairs)[0, 1] > 0.95
