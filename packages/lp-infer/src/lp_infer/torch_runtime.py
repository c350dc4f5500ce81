"""A torch module as a runtime."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lp_core import ConfigError, Poses, Size
from lp_core.tensors import ContextPoseModel, PoseModel
from torch import Tensor, nn

from lp_infer.devices import pick_device
from lp_infer.inference_copy import compiled, copied, optimize
from lp_infer.runtimes import TorchConfig, check_precision

PRECISIONS = ("float32", "bfloat16", "float16")
PIXELS = {"cpu": 16 * 384**2, "cuda": 64 * 384**2, "mps": 32 * 384**2}  # of a batch, at most
FRAMES = {"cpu": 16, "cuda": 64, "mps": 32}  # of a batch, at most


@runtime_checkable
class Walking(Protocol):
    """What a `PoseModel` may know besides: how to go on from frame to frame.

    Attributes:
        walks: what it says of a frame depends on those before; if false, only on the frame's number.
    """

    walks: bool

    def begin(self, frame: int) -> Any:
        """The state in which frame number `frame` is met; raises `ConfigError` if it is none to begin with."""
        ...

    def walk(self, images: UInt8[Tensor, "batch 3 height width"], state: Any) -> tuple[Tensor, Tensor, Any]:
        """The next frames of a video → keypoints in input pixels, confidence, the state behind them."""
        ...


class TorchRuntime:
    """Runs a `PoseModel` that is a module; the module itself is not changed. See `lp_core.Runtime`.

    Raises:
        ConfigError: not a module, or a precision or device that there is not.
    """

    name = "torch"

    def __init__(self, model: Any, config: TorchConfig) -> None:
        if not isinstance(model, nn.Module):
            raise ConfigError(
                f"runtime=torch runs the folder of a training, not {model}; choose runtime=onnx or openvino."
            )
        self.config, self._device = config, pick_device(config.device)
        self.device = str(self._device)
        self.precision = check_precision(config.precision, PRECISIONS)
        described = cast(PoseModel, model)
        self.keypoint_names, self.model_type = tuple(described.keypoint_names), described.model_type
        self.image_size: Size = (described.image_size[0], described.image_size[1])
        self.context: int = getattr(model, "context", 0)
        self.corner_pixels: bool = getattr(model, "corner_pixels", False)
        self.any_size: bool = getattr(model, "any_size", False)
        self.begin = model.begin if isinstance(model, Walking) else None
        self.walks: bool = getattr(model, "walks", False)
        batch = config.batch_size or default_batch(self._device.type, self.image_size)
        self.batch_size = max(batch, 2 * self.context)
        self._dtype: torch.dtype = getattr(torch, self.precision)
        self.fingerprint = f"{self.name}/{self.precision}/{self._device.type}/{fingerprint(model)}"
        self._network = self._prepared(model)

    def start(
        self, frames: UInt8[np.ndarray, "batch height width 3"], state: Any = None
    ) -> tuple[Callable[[], Poses], Any]:
        """See `lp_core.Runtime`; on an accelerator the work goes on after this returns."""
        with self._mode():
            if self.begin:
                *poses, state = cast(Walking, self._network).walk(self._tensor(frames), state)
                return _Pending(_packed(*poses)).get, state
            images = self._padded(self._tensor(frames))
            if not self.context:
                return _Pending(_packed(*self._network(images))[: len(frames)]).get, None
            network = cast(ContextPoseModel, self._network)
            features = network.get_representations(images)[: len(frames)]
            if state is None:
                state = features[:1].expand(2 * self.context, *features.shape[1:])
            rows = torch.cat([state, features])
            windows = torch.arange(len(frames), device=rows.device)[:, None]
            windows = windows + torch.arange(2 * self.context + 1, device=rows.device)
            return _Pending(_packed(*network.decode(rows, windows))).get, rows[-2 * self.context :].clone()

    def hold(self, state: Tensor) -> Callable[[], Poses]:
        """The pose of the newest frame of `state` as if it were repeated from then on; for live prediction."""
        with self._mode():
            places = torch.arange(self.context - 1, 3 * self.context, device=state.device)
            network = cast(ContextPoseModel, self._network)
            return _Pending(_packed(*network.decode(state, places.clamp(max=2 * self.context - 1)[None]))).get

    def _tensor(self, frames: UInt8[np.ndarray, "batch height width 3"]) -> UInt8[Tensor, "batch 3 height width"]:
        """Without a copy, channels last; through pinned memory for CUDA."""
        images = torch.from_numpy(frames)
        if self._device.type == "cuda":
            images = images.pin_memory()
        return images.permute(0, 3, 1, 2).to(self._device, non_blocking=True)

    @contextmanager
    def _mode(self) -> Iterator[None]:
        lower, before = self._dtype is not torch.float32, torch.get_num_threads()
        torch.set_num_threads(self.config.threads or before)
        try:
            with torch.inference_mode(), torch.autocast(self._device.type, self._dtype, enabled=lower):
                yield
        finally:
            torch.set_num_threads(before)

    def _padded(self, images: Tensor) -> Tensor:
        lacking = self.batch_size - len(images)
        if not self.config.compile or lacking <= 0:
            return images
        return torch.cat([images, images[-1:].expand(lacking, -1, -1, -1)])  # another size would compile anew

    def _prepared(self, model: nn.Module) -> nn.Module:
        fast = optimize(model, self._dtype) if self.config.optimize else copied(model)
        fast = fast.to(self._device)
        if not self.config.compile:
            return fast
        if not self.context:
            return compiled(fast)
        fast.backbone = compiled(fast.backbone)  # pyright: ignore  # the rest depends on how many frames there are
        return fast


def default_batch(device: str, size: Size) -> int:
    """Frames per call: `FRAMES`, fewer of frames so large that activations would fill the memory."""
    return max(1, min(FRAMES[device], PIXELS[device] // (size[0] * size[1])))


def fingerprint(model: nn.Module) -> str:
    """Of the weights, and what the module says of itself."""
    described = cast(PoseModel, model)
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((described.model_type, described.image_size, described.keypoint_names)).encode())
    digest.update(repr([bool(getattr(model, name, False)) for name in ("corner_pixels", "any_size")]).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
