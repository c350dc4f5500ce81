"""A graph in MNN: one frame at a time, on one thread. No torch.

MNN chooses by the number of frames and of threads how it computes a layer. So a frame gives the same bytes whatever frames
are with it.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from lp_core import Size


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Without what a library in C prints to standard output, where it says things to its developers."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is none
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 1)
        yield
    finally:
        ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)


with silenced():
    import MNN  # pyright: ignore[reportMissingImports]

VERSION: str = MNN.version()
IN_ORDER = MNN.Tensor_DimensionType_Caffe  # dimensions lie as in an array


class Network:
    """A file of MNN's converter, ready to run; several may run at the same time.

    Args:
        path: of the file, which is not needed any more when this returns.
        size: (height, width) of the frames.
        outputs: names of those that are wanted, float32.
    """

    def __init__(self, path: Path, size: Size, outputs: Sequence[str]) -> None:
        with silenced():
            self._network = MNN.Interpreter(str(path))
            self._session = self._network.createSession({"numThread": 1, "precision": "high"})
            self._frames = self._network.getSessionInput(self._session, "frames")
            self._network.resizeTensor(self._frames, (1, *size, 3))
            self._network.resizeSession(self._session)
        self._outputs = [self._network.getSessionOutput(self._session, name) for name in outputs]

    def __call__(self, frame: UInt8[np.ndarray, "1 height width 3"]) -> list[np.ndarray]:
        """Values of the outputs."""
        given = MNN.Tensor(frame.shape, MNN.Halide_Type_Uint8, np.ascontiguousarray(frame), IN_ORDER)
        self._frames.copyFrom(given)
        if error := self._network.runSession(self._session):
            raise RuntimeError(f"MNN stopped with error {error}")
        return [_array(tensor) for tensor in self._outputs]


def _array(tensor: "MNN.Tensor") -> np.ndarray:
    shape = tensor.getShape()
    given = MNN.Tensor(shape, MNN.Halide_Type_Float, np.empty(shape, np.float32), IN_ORDER)
    tensor.copyToHostTensor(given)
    return np.array(given.getNumpyData(), np.float32).reshape(shape)
