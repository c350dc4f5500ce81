"""A torch module as an ONNX graph with everything inside: frames in, keypoints and confidence out."""

import contextlib
import hashlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, UInt8
from lp_core import ConfigError, DataError
from lp_core.tensors import ContextPoseModel, PoseModel
from torch import Tensor, nn

from lp_infer.cache import cache_folder
from lp_infer.exported import FORMAT, Description, read_exported, write_exported
from lp_infer.inference_copy import copied, optimize
from lp_infer.torch_runtime import fingerprint

OPSET = 20
SAMPLE = 3  # frames of the sample that is traced; another number than any fixed length


class _Alone(nn.Module):
    """Each frame by itself."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: UInt8[Tensor, "batch height width 3"]) -> tuple[Tensor, Tensor]:
        return self.network(frames.permute(0, 3, 1, 2))


class _Following(nn.Module):
    """Frames that follow those whose features are `state`; see `lp_core.Runtime.start`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, frames: UInt8[Tensor, "batch height width 3"], state: Float[Tensor, "before channels h w"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        network = cast(ContextPoseModel, self.network)
        rows = torch.cat([state, network.get_representations(frames.permute(0, 3, 1, 2))])
        windows = torch.arange(frames.shape[0])[:, None] + torch.arange(2 * network.context + 1)
        keypoints, confidence = network.decode(rows, windows)
        return keypoints, confidence, rows[frames.shape[0] :]


def describe(model: nn.Module, **more: Any) -> Description:
    """What a file of this network will say of itself."""
    described, context = cast(PoseModel, model), getattr(model, "context", 0)
    return Description(
        keypoint_names=tuple(described.keypoint_names),
        image_size=(described.image_size[0], described.image_size[1]),
        model_type=described.model_type,
        context=context,
        corner_pixels=getattr(model, "corner_pixels", False),
        state=_state_shape(model) if context else (),
        weights=fingerprint(model),
        **more,
    )


def to_onnx(model: nn.Module) -> Any:
    """Pose network `model`, normalisation folded into its convolutions, as an `onnx.ModelProto`.

    Inputs: `frames` (batch, height, width, 3) RGB uint8, any number of them; for networks that look around also `state`,
    what the call before gave as `next_state`. Outputs: `keypoints` (batch, keypoints, 2) in input pixels, `confidence`.

    Raises:
        ConfigError: the exporter is not installed, or cannot translate this network.
    """
    if not (find_spec("onnx") and find_spec("onnxscript")):
        raise ConfigError(
            "Networks are translated by onnxscript, which is not installed; pip install 'lp-infer[export]'."
        )
    if getattr(model, "any_size", False):
        raise ConfigError(
            "This network takes frames as large as they are; lpose export with source=VIDEO writes it for frames of that "
            "size, and runtime=torch runs it as it is."
        )
    if hasattr(model, "walk"):
        raise ConfigError("A network that is told poses from outside of the frame is not exported; use runtime=torch.")
    for part in (model, getattr(model, "detector", None)):
        if not getattr(getattr(part, "head", None), "exportable", True):
            raise ConfigError(
                f"head={cast(PoseModel, part).model_type} puts animals together in NumPy, which is not exported; "
                "use runtime=torch."
            )
    network = optimize(copied(model).cpu())
    frames = torch.zeros(SAMPLE, *cast(PoseModel, model).image_size, 3, dtype=torch.uint8)
    inputs: dict[str, Tensor] = {"frames": frames}
    outputs = ["keypoints", "confidence"]
    if getattr(model, "context", 0):
        inputs["state"] = torch.zeros(_state_shape(network))
        outputs.append("next_state")
    wrapped = (_Following if "state" in inputs else _Alone)(network).eval()
    try:
        with _quiet():
            program = torch.onnx.export(
                wrapped, tuple(inputs.values()), input_names=list(inputs), output_names=outputs, dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")}, *[None] * (len(inputs) - 1)),
                opset_version=OPSET, verbose=False,
            )  # fmt: skip
    except (torch.onnx.OnnxExporterError, RuntimeError) as e:
        kind = type(cast(Any, model).backbone).__name__ if hasattr(model, "backbone") else type(model).__name__
        raise ConfigError(
            f"This network ({kind}) cannot be translated to ONNX: {_reason(e)}; predict with runtime=torch."
        ) from e
    assert program is not None
    return program.model_proto


def packed(graph: Any) -> bytes:
    """The graph without notes on the code it came from."""
    lean = type(graph)()
    lean.CopyFrom(graph)
    del lean.graph.value_info[:], lean.metadata_props[:], lean.graph.metadata_props[:]
    for part in (*lean.graph.node, *lean.graph.initializer, *lean.graph.input, *lean.graph.output):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    return lean.SerializeToString(deterministic=True)


def exported_once(model: nn.Module) -> Path:
    """The file of this network in the cache folder, written if it is not there.

    Raises:
        ConfigError: the network cannot be exported.
    """
    path = cache_folder("exports") / f"{_identity(model)}.onnx"
    try:
        read_exported(path)
    except DataError:
        write_exported(path, packed(to_onnx(model)), describe(model))
    return path


def _state_shape(model: nn.Module) -> tuple[int, ...]:
    height, width = cast(PoseModel, model).image_size
    weight = next(model.parameters())
    blank = torch.zeros(1, 3, height, width, dtype=torch.uint8, device=weight.device)
    with torch.inference_mode():
        features = cast(ContextPoseModel, model).get_representations(blank)
    return 2 * cast(ContextPoseModel, model).context, *features.shape[1:]


def _identity(model: nn.Module) -> str:
    """Of the weights, the layers, what is around them, and the versions that translate them."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (fingerprint(model), FORMAT, OPSET, torch.__version__, describe(model).made_by, _layers(model)):
        digest.update(repr(part).encode())
    return digest.hexdigest()


def _layers(model: nn.Module) -> list[Any]:
    return [(name, type(m).__qualname__, m.extra_repr(), _settings(m)) for name, m in model.named_modules()]


def _settings(thing: Any, depth: int = 3) -> Any:
    """Plain values of an object and of the objects it holds; parameters and submodules are looked at elsewhere."""
    if isinstance(thing, bool | int | float | str | type(None)):
        return thing
    if isinstance(thing, tuple | list):
        return [_settings(x, depth) for x in thing]
    if isinstance(thing, Tensor | Mapping | set | frozenset) or not hasattr(thing, "__dict__") or not depth:
        return type(thing).__qualname__
    own = sorted((k, v) for k, v in vars(thing).items() if not k.startswith("_") and k != "training")
    return type(thing).__qualname__, [(k, _settings(v, depth - 1)) for k, v in own if not isinstance(v, nn.Module)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's messages to its developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
