"""OpenVINO as a runtime. No torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import openvino as ov  # pyright: ignore[reportMissingImports]
from lp_core import ConfigError

from lp_infer.exported import read_exported
from lp_infer.exported_runtime import ExportedRuntime
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
        exported, core = read_exported(path), ov.Core()
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
        settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
        if config.threads and place == "CPU":
            settings["INFERENCE_NUM_THREADS"] = str(config.threads)
        try:
            self._request = core.compile_model(core.read_model(exported.data), place, settings).create_infer_request()
        except RuntimeError as e:
            reason = str(e).strip().splitlines()[-1]
            raise ConfigError(f"{path} cannot be run by OpenVINO ({reason}); choose another runtime.") from e

    @staticmethod
    def version() -> str:
        """Of OpenVINO, without the build."""
        return ov.__version__.partition("-")[0]

    def _call(self, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        results = self._request.infer(dict(inputs), share_inputs=True)
        return list(results.values())


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
