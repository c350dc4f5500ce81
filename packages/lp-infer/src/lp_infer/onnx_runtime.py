"""ONNX Runtime as a runtime. No torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort  # pyright: ignore[reportMissingImports]
from lp_core import ConfigError

from lp_infer.cache import cache_folder
from lp_infer.exported import read_exported
from lp_infer.exported_runtime import ExportedRuntime
from lp_infer.runtimes import OnnxConfig, check_precision

PROVIDERS = {"cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider", "cpu": "CPUExecutionProvider"}
TENSORRT = "TensorrtExecutionProvider"
ERRORS_ONLY = 3


class OnnxRuntime(ExportedRuntime):
    """Runs a file of `lpose export` with ONNX Runtime.

    Raises:
        DataError: the file is damaged or foreign.
        ConfigError: no such device or precision.
    """

    name = "onnx"

    def __init__(self, path: Path | str, config: OnnxConfig) -> None:
        exported = read_exported(path)
        own = exported.description.precision
        known = (own, "float16") if config.tensorrt and own == "float32" else (own,)
        precision = check_precision(config.precision, known)
        wanted, device = providers(config, precision)
        try:
            session = ort.InferenceSession(exported.data, _options(config), providers=wanted)
        except Exception as e:  # the library's own kinds of error share no base class
            raise ConfigError(f"{path} cannot be run by ONNX Runtime ({_line(e)}); choose another runtime.") from e
        device = _checked(device, wanted[0][0], session.get_providers(), config.device)
        super().__init__(exported, config, f"{device}-tensorrt" if config.tensorrt else device, precision)
        self.device, self._session = device, session

    @staticmethod
    def version() -> str:
        """Of ONNX Runtime."""
        return ort.__version__

    def _call(self, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        return self._session.run(None, dict(inputs))  # pyright: ignore[reportReturnType]


def providers(config: OnnxConfig, precision: str) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """ONNX Runtime's execution providers for a device, best first, and the device.

    Raises:
        ConfigError: this installation of ONNX Runtime cannot use the device.
    """
    installed = ort.get_available_providers()
    kind, _, number = config.device.partition(":")
    if kind == "auto":
        kind = "cuda" if PROVIDERS["cuda"] in installed else "cpu"
    if kind not in PROVIDERS or (number and not (number.isdigit() and kind == "cuda")):
        raise ConfigError(f"device={config.device!r} is not known; choose auto, cpu, cuda, cuda:N or mps.")
    if PROVIDERS[kind] not in installed:
        remedy = "pip install onnxruntime-gpu in place of onnxruntime" if kind == "cuda" else "choose device=cpu"
        raise ConfigError(f"device={config.device!r} cannot be used by the ONNX Runtime installed here; {remedy}.")
    chosen = [(PROVIDERS["cpu"], {})]
    if kind == "cuda":
        place = {"device_id": int(number or 0)}
        chosen = [(PROVIDERS["cuda"], {**place, "use_tf32": 0}), *chosen]
        if config.tensorrt:
            chosen = [(TENSORRT, {**place, **_tensorrt(precision)}), *chosen]
    elif kind == "mps":
        chosen = [(PROVIDERS["mps"], {"ModelFormat": "MLProgram"}), *chosen]
    if config.tensorrt and (kind != "cuda" or TENSORRT not in installed):
        raise ConfigError("tensorrt=true needs device=cuda and onnxruntime-gpu beside TensorRT; leave it off.")
    return chosen, config.device if number else kind


def _tensorrt(precision: str) -> dict[str, Any]:
    folder = str(cache_folder("tensorrt"))
    return {
        "trt_fp16_enable": precision == "float16",
        "trt_int8_enable": precision == "int8",
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": folder,
    }


def _options(config: OnnxConfig) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = config.threads, ERRORS_ONLY
    return options


def _checked(device: str, wanted: str, running: Sequence[str], asked: str) -> str:
    """The device that runs; ONNX Runtime takes the CPU without a word where another cannot be used."""
    if wanted in running:
        return device
    if asked == "auto":
        return "cpu"
    raise ConfigError(f"device={asked!r} is not present on this machine, or its driver is too old; choose device=cpu.")


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
