"""Write a network as one file that runs without torch, and make sure that it gives the same keypoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from lp_core import ConfigError, Runtime, RuntimeConfig
from lp_io import atomic_path
from torch import nn

from lp_infer.exported import Skeleton, write_exported
from lp_infer.parity import Parity, exact, parity
from lp_infer.quantise import quantised
from lp_infer.runtimes import OnnxConfig, OpenVinoConfig, check_precision
from lp_infer.to_onnx import describe, packed, to_onnx

PRECISIONS = ("float32", "int8")
LIMITS = {"float32": 0.05, "int8": 0.5}  # input pixels: largest difference in float32, mean difference in int8
CONFIDENCE = {"float32": 0.01, "int8": 1.0}  # largest difference
CHECKS: Mapping[str, type[RuntimeConfig]] = {"onnx": OnnxConfig, "openvino": OpenVinoConfig}


@dataclass(slots=True, kw_only=True)
class ExportOptions:
    """How a network is exported.

    Attributes:
        precision: float32, or int8 for convolutions and matrix products.
        limit: input pixels; a file whose keypoints differ by more is not written. Of the largest difference in float32,
            of the mean in int8; None = 0.05 and 0.5.
        skeleton: pairs of keypoint numbers, for the file's description.
        about: further notes for the file's description.
        threads: of the check; 0 = the runtimes' own choice.
    """

    precision: str = "float32"
    limit: float | None = None
    skeleton: Skeleton = ()
    about: Mapping[str, str] = field(default_factory=dict)
    threads: int = 0

    def __post_init__(self) -> None:
        check_precision(self.precision, PRECISIONS)
        if self.limit is not None and self.limit <= 0:
            raise ConfigError(f"limit={self.limit:g} must be above 0 pixels.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was exported.

    Attributes:
        out: the file.
        size: of it in bytes.
        frames: that were compared.
        parity: per runtime installed here, how far its results are from those in float64.
    """

    out: Path
    precision: str
    size: int
    frames: int
    parity: Mapping[str, Parity]


def export(
    model: nn.Module,
    out: Path | str,
    frames: UInt8[np.ndarray, "frames height width 3"],
    options: ExportOptions | None = None,
) -> ExportReport:
    """Write pose network `model` as one ONNX file, after comparing its keypoints with those computed in float64.

    Args:
        model: any `PoseModel` that is a module; it is not changed.
        out: the file to write; its name ends in `.onnx`.
        frames: real frames at the network's input size, consecutive ones for networks that look around. Int8 measures
            its ranges on every second one, and is judged by the others.
        options: how; the defaults if not given.

    Raises:
        ConfigError: a library is missing, the network cannot be translated, or keypoints differ by more than the limit.
    """
    out, options = Path(out), options or ExportOptions()
    names = [name for name, config in CHECKS.items() if not config().missing()]
    if not names:
        raise ConfigError(
            "The file is written by onnxscript and checked by ONNX Runtime; pip install 'lp-infer[export]'."
        )
    frames, measured = _enough(model, frames, options.precision)
    graph = to_onnx(model)
    description = describe(model, skeleton=options.skeleton, precision=options.precision, about=dict(options.about))
    if options.precision == "int8":
        graph = quantised(graph, measured, description.state, _kept(model))
    with atomic_path(out) as temporary:
        write_exported(temporary, packed(graph), description)
        expected = exact(model, frames)
        found = {}
        for name in names:
            found[name] = parity(_opened(name, temporary, options.threads), expected, frames)
            _judge(name, found[name], out, options)
    return ExportReport(out=out, precision=options.precision, size=out.stat().st_size, frames=len(frames), parity=found)


def _enough(model: nn.Module, frames: np.ndarray, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """Frames to judge by, and frames to measure ranges on."""
    context = getattr(model, "context", 0)
    judge, measured = (frames, frames) if precision == "float32" else (frames[1::2], frames[::2])
    if context and precision == "int8":  # neighbours stay neighbours
        judge, measured = frames[len(frames) // 2 :], frames[: len(frames) // 2]
    if len(judge) <= 2 * context:
        needed = (2 * context + 1) * (1 if precision == "float32" else 2)
        raise ConfigError(
            f"Export needs at least {needed} real frames to compare, not {len(frames)}; give frames={needed}."
        )
    return judge, measured


def _kept(model: nn.Module) -> list[str]:
    """Names in the graph of the submodules to be left in float32."""
    return [f"network.{name}" for name, part in model.named_modules() if name and getattr(part, "keep_float32", False)]


def _opened(name: str, path: Path, threads: int) -> Runtime:
    return CHECKS[name](device="cpu", threads=threads).build(path)


def _judge(name: str, found: Parity, out: Path, options: ExportOptions) -> None:
    limit = LIMITS[options.precision] if options.limit is None else options.limit
    distance, kind = (found.largest, "largest") if options.precision == "float32" else (found.mean, "mean")
    told = options.limit is not None
    if distance <= limit and (told or found.confidence <= CONFIDENCE[options.precision]):
        return
    remedy = "export precision=float32" if options.precision == "int8" else "predict with runtime=torch"
    more = f"; limit={distance * 1.1:.2g} would allow it" if distance > limit else ""
    raise ConfigError(
        f"{out} was not written: run by {name}, keypoints differ from the trained network's ({kind} difference "
        f"{distance:.2g} px, limit {limit:g} px; confidence by up to {found.confidence:.2g}); {remedy}{more}."
    )
