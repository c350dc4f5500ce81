"""The DALI graph that both sources share, in the API common to DALI 1.50 and 2.x."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from lp_io import ClipChange
from nvidia.dali import Pipeline, fn, types  # pyright: ignore[reportMissingImports]
from nvidia.dali.plugin.pytorch import DALIGenericIterator  # pyright: ignore[reportMissingImports]
from torch import Tensor

from lp_data_dali.plans import dali_matrix

MIDDLE = 127.5  # the grey level that contrast leaves alone


def parameters(how: ClipChange) -> tuple[Float[np.ndarray, "1 2 3"], Float[np.ndarray, 1], Float[np.ndarray, 1]]:
    """What `changed` takes for one clip, as batches of one: matrix, contrast, brightness."""
    contrast, brightness = np.array([[how.contrast], [how.brightness]], dtype=np.float32)
    return dali_matrix(how.transform)[None], contrast, brightness


def changed(frames: Any, matrix: Any, contrast: Any, brightness: Any) -> Any:
    """Graph nodes: uint8 FHWC → float FHWC, one affine map (black where nothing comes from), contrast, brightness."""
    warped = fn.warp_affine(
        frames,
        matrix=matrix,
        fill_value=0.0,
        interp_type=types.DALIInterpType.INTERP_LINEAR,
        dtype=types.DALIDataType.FLOAT,
    )
    return fn.brightness_contrast(warped, contrast=contrast, contrast_center=MIDDLE, brightness=brightness)


def outputs(pipeline: Pipeline, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """The pipeline's outputs as torch tensors on their device, one clip at a time, until its source ends."""
    try:
        for (batch,) in DALIGenericIterator([pipeline], list(names), prepare_first_batch=False):
            yield {name: values[0] for name, values in batch.items()}
    finally:
        pipeline._shutdown()  # as its destructor does, which its own reference cycles put off: threads, decoder, memory
