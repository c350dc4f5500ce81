"""The runtimes to choose from. Nothing heavy is imported until one is built."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lp_core import ConfigError, Runtime, RuntimeConfig


def check_precision(precision: str, known: tuple[str, ...]) -> str:
    """`precision`, or for auto the first one known.

    Raises:
        ConfigError: it is not known.
    """
    if precision == "auto":
        return known[0]
    if precision not in known:
        raise ConfigError(f"precision={precision!r} is not one of auto, {', '.join(known)}; choose one of these.")
    return precision


def missing(module: str, extra: str) -> str:
    """The command that installs `module` where it is absent."""
    return "" if find_spec(module) else f"pip install 'lp-infer[{extra}]'"


@dataclass(slots=True, kw_only=True)
class TorchConfig(RuntimeConfig):
    """PyTorch, on a CPU, CUDA or Apple's GPU: float32, bfloat16 or float16.

    Attributes:
        optimize: fuse convolutions with the normalisation behind them; changes results by rounding only.
        compile: torch.compile the network; the first batch takes 10 to 80 s longer and a C++ compiler is needed.
    """

    optimize: bool = True
    compile: bool = False

    def missing(self) -> str:
        """The command that installs torch where it is absent."""
        return missing("torch", "torch")

    def build(self, model: Any) -> Runtime:
        """Make the module ready."""
        from lp_infer.torch_runtime import TorchRuntime

        return TorchRuntime(model, self)


@dataclass(slots=True, kw_only=True)
class OnnxConfig(RuntimeConfig):
    """ONNX Runtime, on a CPU, CUDA or Apple's GPU: float32, or int8 as exported.

    Attributes:
        tensorrt: let TensorRT run what it can on CUDA; the first call takes minutes, and precision=float16 can be had.
    """

    tensorrt: bool = False

    def missing(self) -> str:
        """The command that installs ONNX Runtime where it is absent."""
        return missing("onnxruntime", "onnx")

    def build(self, model: Any) -> Runtime:
        """Make an exported file ready, or a module, which is exported to the cache folder the first time."""
        from lp_infer.onnx_runtime import OnnxRuntime

        return OnnxRuntime(_exported(model, self.precision), self)


@dataclass(slots=True, kw_only=True)
class OpenVinoConfig(RuntimeConfig):
    """OpenVINO, on a CPU or Intel's GPU: float32, bfloat16, float16 or int8 as exported."""

    def missing(self) -> str:
        """The command that installs OpenVINO where it is absent."""
        return missing("openvino", "openvino")

    def build(self, model: Any) -> Runtime:
        """Make an exported file ready, or a module, which is exported to the cache folder the first time."""
        from lp_infer.openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime(_exported(model, self.precision), self)


@dataclass(slots=True, kw_only=True)
class MnnConfig(RuntimeConfig):
    """MNN, on a CPU, float32: fastest where 3 × 3 convolutions are most of the work, as in ResNet-18."""

    def missing(self) -> str:
        """The command that installs MNN, and ONNX Runtime for the end of the network, where one is absent."""
        return missing("MNN", "mnn") or missing("onnxruntime", "mnn")

    def build(self, model: Any) -> Runtime:
        """Make an exported file ready, or a module, which is exported to the cache folder the first time."""
        from lp_infer.mnn_runtime import MnnRuntime

        return MnnRuntime(_exported(model, self.precision), self)


def _exported(model: Any, precision: str) -> Path:
    if isinstance(model, str | Path):
        return Path(model)
    if precision == "int8":
        raise ConfigError("precision=int8 needs frames to measure; write a file with lpose export precision=int8.")
    from lp_infer.to_onnx import exported_once

    return exported_once(model)
