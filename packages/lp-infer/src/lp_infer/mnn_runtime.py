"""MNN as a runtime, which computes 3 × 3 convolutions by Winograd's algorithm; ONNX Runtime does the rest. No torch."""

import queue
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort  # pyright: ignore[reportMissingImports]
from lp_core import ConfigError, Size

from lp_infer.exported import Exported, read_exported
from lp_infer.exported_runtime import ExportedRuntime
from lp_infer.mnn_graph import halved
from lp_infer.mnn_network import VERSION, Network
from lp_infer.mnn_translation import translated
from lp_infer.onnx_runtime import ERRORS_ONLY
from lp_infer.processes import cores
from lp_infer.runtimes import MnnConfig, check_precision

ENOUGH = 0.25  # of the convolutions; with fewer in MNN there is nothing to gain
CLOSE = 5e-5  # of the spread of values: error of MNN's, root mean square, that moves no keypoint by 0.05 px
TILE = 8  # pixels


class MnnRuntime(ExportedRuntime):
    """Runs a file of `lpose export` with MNN. Each thread takes whole frames, and holds the weights once.

    Winograd's algorithm rounds more, and networks differ in how much of that they stand; so what MNN computes is compared
    once with what ONNX Runtime does.

    Raises:
        DataError: the file is damaged or foreign.
        ConfigError: no such device or precision, or MNN cannot run this network.
    """

    name = "mnn"

    def __init__(self, path: Path | str, config: MnnConfig) -> None:
        exported = read_exported(path)
        if (own := exported.description.precision) != "float32":
            raise ConfigError(f"{path} is in {own}, and runtime=mnn runs only float32; choose runtime=openvino.")
        precision = check_precision(config.precision, ("float32",))
        if config.device not in ("auto", "cpu"):
            raise ConfigError(f"device={config.device!r} is not known to runtime=mnn; choose auto or cpu.")
        super().__init__(exported, config, "cpu", precision)
        threads = min(config.threads or cores(), self.batch_size)
        self._free: queue.SimpleQueue[Network] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(threads) if threads > 1 else None
        try:
            self._prepare(exported, threads)
        except Exception as e:  # the libraries' own kinds of error share no base class
            reason = (str(e).splitlines() or [type(e).__name__])[0]
            raise ConfigError(f"{path} cannot be run by MNN ({reason}); choose another runtime.") from e

    @staticmethod
    def version() -> str:
        """Of MNN, and of ONNX Runtime behind it."""
        return f"{VERSION}-{ort.__version__}"

    def _prepare(self, exported: Exported, threads: int) -> None:
        halves = halved(exported.data)
        inside, everywhere = halves.convolutions
        if inside < max(1, ENOUGH * everywhere):
            raise RuntimeError(f"it would compute {inside} of {everywhere} convolutions")
        with tempfile.TemporaryDirectory() as folder:
            file = translated(halves.front, self.image_size, halves.joints, Path(folder))
            for _ in range(threads):
                self._free.put(Network(file, self.image_size, halves.joints))
        self._compare(_opened(halves.front))
        self._back, self._joints, self._inputs = _opened(halves.back), halves.joints, halves.inputs

    def _compare(self, exactly: ort.InferenceSession) -> None:
        for frame in _samples(self.image_size):
            for right, found in zip(exactly.run(None, {"frames": frame}), self._front(frame), strict=True):
                error, spread = float(np.sqrt(np.mean((found - right) ** 2))), float(np.std(np.asarray(right)))
                if not error <= CLOSE * spread:  # NaN too
                    share = error / max(spread, 1e-30)
                    raise RuntimeError(f"it rounds by {share:.1g} of the spread of values, more than {CLOSE:g}")

    def _call(self, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        frames, state = inputs["frames"][:, None], inputs.get("state")
        run = self._front if self.context else self._whole
        each: Iterable[Sequence[np.ndarray]] = self._threads.map(run, frames) if self._threads else map(run, frames)
        if state is not None:
            each, state = self._following(zip(frames, each, strict=True), state)
        found = [np.concatenate(values) for values in zip(*each, strict=True)]
        return found if state is None else [*found, state]

    def _whole(self, frame: np.ndarray) -> Sequence[np.ndarray]:
        return self._finish(frame, self._front(frame))

    def _front(self, frame: np.ndarray) -> list[np.ndarray]:
        network = self._free.get()
        try:
            return network(frame)
        finally:
            self._free.put(network)

    def _finish(self, frame: np.ndarray, values: Iterable[np.ndarray], **state: np.ndarray) -> Sequence[np.ndarray]:
        given = {"frames": frame, **state}
        feeds = {name: given[name] for name in self._inputs}
        return self._back.run(None, {**feeds, **dict(zip(self._joints, values, strict=True))})  # pyright: ignore[reportReturnType]

    def _following(
        self, frames: Iterable[tuple[np.ndarray, Sequence[np.ndarray]]], state: np.ndarray
    ) -> tuple[list[Sequence[np.ndarray]], np.ndarray]:
        """One after the other: each needs what the one before left."""
        found: list[Sequence[np.ndarray]] = []
        for frame, values in frames:
            *poses, state = self._finish(frame, values, state=state)
            found.append(poses)
        return found, state


def _opened(graph: bytes) -> ort.InferenceSession:
    """In ONNX Runtime, on the thread that calls it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, ERRORS_ONLY
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _samples(size: Size) -> list[np.ndarray]:
    """Frames of noise: of pixels, and of tiles."""
    tiles = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    rows, columns = (np.arange(length) // TILE for length in size)
    return [tiles, np.ascontiguousarray(tiles[:, rows][:, :, columns])]
