"""OpenVINO as a runtime. No torch."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import openvino as ov  # pyright: ignore[reportMissingImports]
from lp_core import ConfigError

from lp_infer.exported import read_exported
from lp_infer.exported_runtime import ExportedRuntime
from lp_infer.openvino_graph import rewritten
from lp_infer.runtimes import OpenVinoConfig, check_precision

HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
NEEDS = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16", "int8": "INT8"}


class OpenVinoRuntime(ExportedRuntime):
    """Runs a file of `lpose export` with OpenVINO.

    Raises:
        DataError: the file is damaged or foreign.
        ConfigError: no such device or precision.
    """

    name = "openvino"

    def __init__(self, path: Path | str, config: OpenVinoConfig) -> None:
        exported, core = read_exported(path), _core()
        own = exported.description.precision
        precision = check_precision(config.precision, (own, "bfloat16", "float16") if own == "float32" else (own,))
        place = _place(core, config.device)
        known = core.get_property(place, "OPTIMIZATION_CAPABILITIES")
        if NEEDS[precision] not in known:
            raise ConfigError(f"precision={precision} is not known to this machine's {place}; choose auto.")
        super().__init__(exported, config, place.lower().replace(".", ":"), precision)
        hint = HINTS.get(precision) or ("bf16" if "BF16" in known else "f32")  # for int8: what computes the rest
        if precision not in HINTS:
            self.fingerprint += f"/{hint}"
        settings: dict[str, str] = {"INFERENCE_PRECISION_HINT": hint, **self._sharing(config, place)}
        try:
            graph = core.read_model(exported.data)
            if place == "CPU" and rewritten(graph):
                self.fingerprint += "/rewritten"
            compiled = core.compile_model(graph, place, settings)
            count = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")) if self._divides(place) else 1
            self._requests = [compiled.create_infer_request() for _ in range(count)]
        except RuntimeError as e:
            reason = str(e).strip().splitlines()[-1]
            raise ConfigError(f"{path} cannot be run by OpenVINO ({reason}); choose another runtime.") from e

    def _divides(self, place: str) -> bool:
        """Whether frames of a call may be run apart from each other, on cores of their own."""
        return place == "CPU" and not self.context and self.batch_size > 1

    def _sharing(self, config: OpenVinoConfig, place: str) -> dict[str, str]:
        """Threads that work at the same frames wait for each other at every layer, above all on a busy machine."""
        settings = {"PERFORMANCE_HINT": "THROUGHPUT" if self._divides(place) else "LATENCY"}
        if config.threads and place == "CPU":
            settings["INFERENCE_NUM_THREADS"] = str(config.threads)
            settings["NUM_STREAMS"] = str(min(config.threads, self.batch_size) if self._divides(place) else 1)
        return settings

    @staticmethod
    def version() -> str:
        """Of OpenVINO, without the build."""
        return ov.__version__.partition("-")[0]

    def _call(self, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        frames = inputs["frames"]
        parts = np.array_split(frames, max(1, min(len(self._requests), len(frames))))
        running = list(zip(self._requests, parts, strict=False))
        for request, part in running:
            request.start_async({**inputs, "frames": part}, share_inputs=True)
        for request, _ in running:
            request.wait()
        results = [[tensor.data for tensor in request.output_tensors] for request, _ in running]
        return [np.concatenate(values) for values in zip(*results, strict=True)]


@lru_cache(maxsize=1)
def _core() -> ov.Core:
    """One for as long as the process lives. With it would go the stack on which signals are handled in the thread that made
    it; if that is done by another thread, the next Ctrl-C ends the process by a fault of memory.
    """
    return ov.Core()


def _place(core: ov.Core, device: str) -> str:
    """OpenVINO's name of a device.

    Raises:
        ConfigError: there is none.
    """
    name = "CPU" if device == "auto" else device.upper().replace(":", ".")
    if name not in core.available_devices:
        known = ", ".join(found.lower().replace(".", ":") for found in core.available_devices)
        raise ConfigError(f"device={device!r} is not one that OpenVINO finds here; choose auto or {known}.")
    return name
