"""How far the results of a runtime are from those of the network computed in float64."""

import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import UInt8
from lp_core import Poses, Runtime
from lp_core.tensors import ContextPoseModel
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

SURE = 0.1  # confidence from which a keypoint counts: below it two far peaks may be all but equal
BATCH = 4  # frames computed in float64 at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """Differences of a runtime's results from float64.

    Attributes:
        largest, mean: distance in input pixels, of the keypoints counted.
        confidence: largest difference, of all keypoints.
        counted: share of the keypoints whose confidence is at least `SURE`; all count where there is none.
        largest_unsure: distance in input pixels, of the keypoints not counted.
    """

    largest: float
    mean: float
    confidence: float
    counted: float
    largest_unsure: float

    def __str__(self) -> str:
        return f"largest difference {self.largest:.2g} px, mean {self.mean:.2g} px, of confidence {self.confidence:.2g}"


def parity(runtime: Runtime, reference: Poses, frames: UInt8[np.ndarray, "frames height width 3"]) -> Parity:
    """Run `frames` and compare with `exact` results of the same frames."""
    points, sure = _streamed(runtime, frames)
    distance = np.linalg.norm(points - reference[0], axis=-1)
    counts = reference[1] >= SURE
    counts = counts if counts.any() else np.ones_like(counts)
    return Parity(
        largest=float(distance[counts].max()),
        mean=float(distance[counts].mean()),
        confidence=float(np.abs(sure - reference[1]).max()),
        counted=float((reference[1] >= SURE).mean()),
        largest_unsure=float(distance[~counts].max(initial=0.0)),
    )


def exact(model: nn.Module, frames: UInt8[np.ndarray, "frames height width 3"]) -> Poses:
    """Poses of `model` computed in float64 throughout.

    For networks that look around, `frames` follow each other, and the poses are of those with a whole window.
    """
    network = copy.deepcopy(model).cpu().eval().double()
    images = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).split(BATCH)
    with torch.inference_mode(), _InFloat64():
        if not (context := getattr(model, "context", 0)):
            parts = [network(batch) for batch in images]
        else:
            rows = torch.cat([cast(ContextPoseModel, network).get_representations(batch) for batch in images])
            windows = torch.arange(len(rows) - 2 * context)[:, None] + torch.arange(2 * context + 1)
            parts = [cast(ContextPoseModel, network).decode(rows, some) for some in windows.split(BATCH)]
        points, sure = (torch.cat(values).numpy() for values in zip(*parts, strict=True))
    return points, sure


def _streamed(runtime: Runtime, frames: UInt8[np.ndarray, "frames height width 3"]) -> Poses:
    """In calls of the runtime's batch size, the first of them one frame shorter: no call is like all others."""
    starts = [0, *range(max(1, runtime.batch_size - 1), len(frames), runtime.batch_size), len(frames)]
    parts, state = [], None
    for first, last in itertools.pairwise(starts):
        wait, state = runtime.start(frames[first:last], state)
        parts.append(wait())
    points, sure = (np.concatenate(values)[2 * runtime.context :] for values in zip(*parts, strict=True))
    return points, sure


class _InFloat64(TorchFunctionMode):
    """What a network would make float32 becomes float64."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.float:
            return args[0].double()
        given = {key: _wider(value) for key, value in (kwargs or {}).items()}
        return func(*map(_wider, args), **given)


def _wider(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value
