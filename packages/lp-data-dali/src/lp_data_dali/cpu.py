"""Frames of lp_io's frame-exact reader, changed by DALI's CPU operators."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from lp_core import Size
from lp_core.tensors import Clip
from lp_io import VideoReader
from nvidia.dali import Pipeline, fn  # pyright: ignore[reportMissingImports]

from lp_data_dali.graph import changed, outputs, parameters
from lp_data_dali.plans import Plan, Plans, finished

OPEN = 8  # videos kept open at a time


class CpuClips:
    """`lp_core.tensors.ClipSource` on any Linux machine; without augmentation, exactly the frames of `VideoReader`.

    Args:
        threads: of DALI's CPU operators and of the decoder.
    """

    plans: Plans
    threads: int
    clips_per_epoch: int

    def __init__(self, plans: Plans, threads: int) -> None:
        self.plans, self.threads = plans, threads
        self.clips_per_epoch, self.remarks = len(plans), plans.remarks

    def clips(self, first: int, step: int = 1) -> Iterator[Clip]:
        """See `lp_core.tensors.ClipSource`."""
        made: deque[tuple[Plan, Bool[np.ndarray, " frames"]]] = deque()  # decoded, still inside the pipeline

        def feed() -> Iterator[Sequence[Any]]:
            for number in itertools.count(first, step):
                plan = self.plans[number]
                frames, seen = readers.frames(plan)
                made.append((plan, seen))
                yield [[frames], *parameters(plan.how)] if self.plans.augment else [[frames]]

        with closing(Readers(self.plans.videos, self.plans.image_size, self.threads)) as readers:
            for batch in outputs(pipeline(feed(), augment=self.plans.augment, threads=self.threads), ["frames"]):
                plan, seen = made.popleft()
                yield finished(plan, batch["frames"], seen)


def pipeline(feed: Iterator[Sequence[Any]], *, augment: bool, threads: int) -> Pipeline:
    """Frames in, changed frames out.

    Args:
        feed: gives batches of one: [frames], and if `augment` what `graph.parameters` gives.
    """
    pipe = Pipeline(batch_size=1, num_threads=threads, device_id=None)
    with pipe:
        frames, *rest = fn.external_source(source=feed, num_outputs=4 if augment else 1, layout=["FHWC"])
        pipe.set_outputs(changed(frames, *rest) if augment else frames)
    return pipe


class Readers:
    """Open videos, the least recently used of which is closed for the next."""

    def __init__(self, videos: Sequence[Path], image_size: Size, threads: int) -> None:
        self._videos, self._image_size, self._threads = videos, image_size, threads
        self._open: OrderedDict[int, VideoReader] = OrderedDict()

    def frames(self, plan: Plan) -> tuple[UInt8[np.ndarray, "frames h w 3"], Bool[np.ndarray, " frames"]]:
        """The frames of a clip, padded, and which of them could be decoded."""
        reader = self._reader(plan.video)
        frames = reader.clip(plan.start, plan.count)
        return frames[plan.rows - plan.start], ~np.isin(plan.rows, list(reader.broken))

    def close(self) -> None:
        """Close them all."""
        while self._open:
            self._open.popitem()[1].close()

    def _reader(self, video: int) -> VideoReader:
        if video not in self._open:
            if len(self._open) >= OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[video] = VideoReader(self._videos[video], self._image_size, threads=self._threads)
        self._open.move_to_end(video)
        return self._open[video]
