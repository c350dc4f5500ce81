"""A network on a device, kept busy."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lp_core import Size
from lp_core.tensors import ContextPoseModel, PoseModel
from torch import Tensor, nn

from lp_infer.devices import pick_device
from lp_infer.inference_copy import compiled, copied, optimize
from lp_infer.options import PredictOptions

T = TypeVar("T")
Poses = tuple[Float[np.ndarray, "batch keypoints 2"], Float[np.ndarray, "batch keypoints"]]


class Runner:
    """Runs a pose network as `PredictOptions` say. Prepare one for many videos: the functions here take it as a model.

    Args:
        model: any `PoseModel` that is a module; it is not changed.
        options: how.
    """

    def __init__(self, model: nn.Module, options: PredictOptions | None = None) -> None:
        self.options = options or PredictOptions()
        self.device = pick_device(self.options.device)
        self.precision = "float32" if self.options.precision == "auto" else self.options.precision
        self.context: int = getattr(model, "context", 0)
        self.batch_size = max(self.options.batch_size or (16 if self.device.type == "cpu" else 64), self.context)
        described = cast(PoseModel, model)
        self.keypoint_names = tuple(described.keypoint_names)
        self.image_size: Size = (described.image_size[0], described.image_size[1])
        self.scorer = f"{described.model_type}_tracker"
        self._dtype: torch.dtype = getattr(torch, self.precision)
        self._network = self._prepared(model)

    @classmethod
    def of(cls, model: "nn.Module | Runner", options: PredictOptions | None = None) -> "Runner":
        """`model` itself if it is a runner already."""
        return model if isinstance(model, Runner) else cls(model, options)

    def tensor(self, images: UInt8[np.ndarray, "batch height width 3"]) -> UInt8[Tensor, "batch 3 height width"]:
        """Frames as the network wants them, without a copy (channels-last), or in pinned memory for CUDA."""
        frames = torch.from_numpy(images)
        if self.device.type == "cuda":
            frames = frames.pin_memory()
        return frames.permute(0, 3, 1, 2)

    def run(self, batches: Iterable[tuple[T, Tensor]], *, video: bool = True) -> Iterator[tuple[T, Poses]]:
        """Poses in input pixels for each (anything, frames), in order.

        A batch is handed out once the next is under way, so that an accelerator works while its results are used.

        Args:
            video: the batches are one video; otherwise a network that looks at several frames sees each one as if it
                stood still.
        """
        with _threads(self.options.threads):
            waiting: tuple[T, _Pending] | None = None
            for started in self._started(batches, video=video):
                if waiting is not None:
                    yield waiting[0], waiting[1].get()
                waiting = started
            if waiting is not None:
                yield waiting[0], waiting[1].get()

    def _started(self, batches: Iterable[tuple[T, Tensor]], *, video: bool) -> Iterator[tuple[T, "_Pending"]]:
        if self.context and video:
            yield from self._with_neighbours(batches)
            return
        for tag, images in batches:
            yield tag, self._start(images)

    def _with_neighbours(self, batches: Iterable[tuple[T, Tensor]]) -> Iterator[tuple[T, "_Pending"]]:
        """Each batch as soon as the frames after it are known. Only the features of the frames round it are kept."""
        before, current = None, None
        for tag, images in batches:
            features = self._features(images)
            if current is not None:
                yield current[0], self._decode(before, current[1], features[: self.context])
                before = current[1] if before is None else torch.cat([before, current[1]])
                before = before[-self.context :]
            current = tag, features
        if current is not None:
            yield current[0], self._decode(before, current[1], None)

    def _features(self, images: UInt8[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        with self._mode():
            network = cast(ContextPoseModel, self._network)
            return network.get_representations(self._padded(images.to(self.device, non_blocking=True)))[: len(images)]

    def _decode(self, before: Tensor | None, features: Tensor, after: Tensor | None) -> "_Pending":
        """Poses of `features`, whose neighbours at the ends of the video are the first and last frame again."""
        rows = torch.cat([part for part in (before, features, after) if part is not None])
        offsets = torch.arange(-self.context, self.context + 1, device=rows.device)
        own = torch.arange(len(features), device=rows.device) + (len(before) if before is not None else 0)
        with self._mode():
            windows = (own[:, None] + offsets).clamp(0, len(rows) - 1)
            return _Pending(_packed(*cast(ContextPoseModel, self._network).decode(rows, windows)))

    def _start(self, images: UInt8[Tensor, "batch 3 height width"]) -> "_Pending":
        with self._mode():
            frames = self._padded(images.to(self.device, non_blocking=True))
            if self.context:
                network = cast(ContextPoseModel, self._network)
                still = torch.arange(len(frames), device=self.device)[:, None].expand(-1, 2 * self.context + 1)
                poses = network.decode(network.get_representations(frames), still)
            else:
                poses = self._network(frames)
            return _Pending(_packed(*poses)[: len(images)])

    @contextmanager
    def _mode(self) -> Iterator[None]:
        lower = self._dtype is not torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self._dtype, enabled=lower):
            yield

    def _padded(self, frames: Tensor) -> Tensor:
        missing = self.batch_size - len(frames)
        if not self.options.compile or missing <= 0:
            return frames
        return torch.cat([frames, frames[-1:].expand(missing, -1, -1, -1)])  # another size would compile anew

    def _prepared(self, model: nn.Module) -> nn.Module:
        fast = optimize(model, self._dtype) if self.options.optimize else copied(model)
        fast = fast.to(self.device)
        if not self.options.compile:
            return fast
        if not self.context:
            return compiled(fast)
        fast.backbone = compiled(fast.backbone)  # pyright: ignore  # the rest depends on how many frames there are
        return fast


def _packed(keypoints: Tensor, confidence: Tensor) -> Float[Tensor, "batch keypoints 3"]:
    return torch.cat([keypoints.float(), confidence.float().unsqueeze(-1)], dim=-1)


class _Pending:
    """Poses that may still be under way from the device."""

    def __init__(self, packed: Float[Tensor, "batch keypoints 3"]) -> None:
        self._event = None
        if packed.is_cuda:
            packed = packed.to("cpu", non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()
        self._packed = packed

    def get(self) -> Poses:
        """Wait for them."""
        if self._event is not None:
            self._event.synchronize()
        values = self._packed.cpu().numpy().astype(np.float64)
        return values[..., :2], values[..., 2]


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
