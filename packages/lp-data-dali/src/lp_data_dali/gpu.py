"""Frames decoded by NVDEC, resized and changed on the GPU. Not yet run on a GPU: written against DALI's documentation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from lp_core import ConfigError, DataError
from lp_core.tensors import Clip
from nvidia.dali import Pipeline, fn, types  # pyright: ignore[reportMissingImports]
from torch import Tensor

from lp_data_dali.graph import changed, outputs, parameters
from lp_data_dali.plans import Plan, Plans, finished

LISTED = 1024  # clips of one list; after them a new pipeline is built


class GpuClips:
    """`lp_core.tensors.ClipSource` with everything on one GPU. Not yet run on a GPU.

    DALI reads a list of (video, first frame, frame after the last) in its order, so that which clip comes is known; the
    place in the list and the first frame come back with every clip and are compared. A frame that cannot be decoded is an
    error, so that `valid` marks padding only. Colours differ by a little from those of the CPU: DALI takes all video for
    BT.601. All videos must have one codec, whatever their sizes.

    Args:
        device_id: CUDA's number of the GPU.

    Raises:
        ConfigError: a video's frames are not equally far apart in time; DALI finds frames by their time.
    """

    plans: Plans
    threads: int
    device_id: int
    clips_per_epoch: int

    def __init__(self, plans: Plans, threads: int, device_id: int) -> None:
        self.plans, self.threads, self.device_id = plans, threads, device_id
        self.clips_per_epoch, self.remarks = len(plans), plans.remarks
        for video, even in zip(plans.videos, plans.even, strict=True):
            if not even:
                raise ConfigError(
                    f"{video} has a variable frame rate, in which DALI cannot count frames on the GPU: "
                    "re-encode it or choose clips.device=cpu."
                )

    def clips(self, first: int, step: int = 1) -> Iterator[Clip]:
        """See `lp_core.tensors.ClipSource`; all tensors of a clip are on the GPU."""
        numbers = itertools.count(first, step)
        with TemporaryDirectory(prefix="lp-dali-") as folder:
            links = linked(self.plans.videos, Path(folder))
            while True:
                plans = [self.plans[number] for number in itertools.islice(numbers, LISTED)]
                listed = Path(folder, "clips.txt")
                listed.write_text(file_list(plans, links))
                yield from self._run(plans, listed)

    def _run(self, plans: Sequence[Plan], listed: Path) -> Iterator[Clip]:
        pipe = Pipeline(batch_size=1, num_threads=self.threads, device_id=self.device_id)
        define(pipe, plans, listed, self.plans)
        for place, (plan, batch) in enumerate(zip(plans, explained(pipe), strict=False)):
            check(self.plans.videos[plan.video], (place, plan.start), batch)
            yield finished(plan, batch["frames"], np.ones(len(plan.rows), dtype=bool))


def explained(pipe: Pipeline) -> Iterator[dict[str, Tensor]]:
    """The pipeline's outputs; DALI's errors as one sentence."""
    try:
        yield from outputs(pipe, ["frames", "place", "start"])
    except RuntimeError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise DataError(
            f"DALI cannot decode the unlabeled videos on the GPU ({reason}): "
            "give all of them one codec that NVDEC knows, or choose clips.device=cpu."
        ) from error


def linked(videos: Sequence[Path], folder: Path) -> list[Path]:
    """Links to the videos with names that a file list can hold: it ends a name at the first blank."""
    links = [folder / f"{number}{video.suffix.replace(' ', '')}" for number, video in enumerate(videos)]
    for link, video in zip(links, videos, strict=True):
        link.symlink_to(video.resolve())
    return links


def file_list(plans: Sequence[Plan], links: Sequence[Path]) -> str:
    """Lines of `file label first-frame frame-after-the-last` for `fn.readers.video`; the label is the line's number."""
    lines = [f"{links[p.video]} {place} {p.start} {p.start + p.count}" for place, p in enumerate(plans)]
    return "\n".join(lines) + "\n"


def check(video: Path, due: tuple[int, int], batch: dict[str, Tensor]) -> None:
    """Raise `DataError` unless the clip is the one that is due: (place in the list, first frame)."""
    came = int(batch["place"]), int(batch["start"])
    if came != due:
        raise DataError(
            f"DALI gave clip {came[0]} from frame {came[1]} where clip {due[0]} from frame {due[1]} of {video} was due: "
            "choose clips.device=cpu."
        )


def define(pipe: Pipeline, plans: Sequence[Plan], listed: Path, shared: Plans) -> None:
    """Give the pipeline its graph: frames decoded, resized and changed; their clip's place in the list; its first frame.

    Args:
        plans: of the clips in the file `listed`, in its order.
        shared: what holds for all clips.
    """
    read: Any = fn.readers.video  # 1.x knows only enable_frame_num=True, the stub of 2.x only its synonym "scalar"
    with pipe:
        frames, place, start = read(
            device="gpu",
            file_list=str(listed),
            file_list_frame_num=True,
            file_list_include_preceding_frame=False,  # given only because DALI warns if it is not
            enable_frame_num=True,
            sequence_length=shared.length,
            pad_sequences=True,
            skip_vfr_check=True,  # DALI looks at one frame; `is_even` has looked at all
        )
        frames = fn.resize(
            frames, size=shared.image_size, interp_type=types.DALIInterpType.INTERP_LINEAR, antialias=True
        )
        if shared.augment:
            feed = fn.external_source(source=lambda i: parameters(plans[i % len(plans)].how), num_outputs=3)
            frames = changed(frames, *feed)
        pipe.set_outputs(frames, place, start)
