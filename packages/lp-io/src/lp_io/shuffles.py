"""DeepLabCut's splits into training and test frames, without running what a pickle says."""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from lp_core import DataError

_NUMBER = re.compile(r"[biuf][1248]$")


class _Kind:
    """Stands for `numpy.dtype`: of booleans and numbers only; what else an array holds is not looked at."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Any) -> None:
        self.order = {">": ">"}.get(str(state[1]), "<")

    def values(self, data: Any) -> np.ndarray:
        """The numbers in `data`; none if they are not numbers."""
        if not _NUMBER.match(self.code):
            return np.zeros(0)
        raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
        return np.frombuffer(raw, np.dtype(f"{self.order}{self.code}"))


class _Array:
    """Stands for `numpy.ndarray`: its numbers, flat."""

    def __init__(self, *_: Any) -> None:
        self.flat = np.zeros(0)

    def __setstate__(self, state: Any) -> None:
        _, _, kind, _, data = state
        self.flat = kind.values(data)


def _from_buffer(data: Any, kind: _Kind, *_: Any) -> _Array:
    array = _Array()
    array.flat = kind.values(data)
    return array


def _scalar(kind: _Kind, data: Any) -> Any:
    found = kind.values(data)
    return found[0].item() if len(found) else None


def _latin(text: str, _: Any = None) -> bytes:
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "dtype"): _Kind, ("numpy", "ndarray"): _Array, ("_codecs", "encode"): _latin,
    ("multiarray", "_reconstruct"): _Array, ("multiarray", "scalar"): _scalar, ("numeric", "_frombuffer"): _from_buffer,
}  # fmt: skip


class _Plain(pickle.Unpickler):
    """Lists, tuples, dictionaries, texts, numbers and NumPy's arrays, the last by the stand-ins above."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """The stand-in.

        Raises:
            UnpicklingError: there is none.
        """
        short = re.sub(r"^numpy\._?core\.", "", module_name)
        if (short, global_name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return _ALLOWED[short, global_name]


def read_shuffle(path: Path | str) -> tuple[list[int], list[int]]:
    """Training and test rows of a `Documentation_data-*.pickle`, as numbers of rows of the merged label table beside it.

    DeepLabCut fills unequal lists up with -1, which is left out.

    Raises:
        DataError: missing, not such a file, or one that holds more than lists, texts and numbers.
    """
    try:
        with Path(path).open("rb") as file:
            content = _Plain(file, encoding="latin1").load()
        _, train, test = content[:3]
        return _rows(train), _rows(test)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give a Documentation_data-….pickle of training-datasets/.") from None
    except Exception as e:  # a damaged pickle can raise anything
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise DataError(
            f"{path} is not a shuffle that DeepLabCut wrote ({reason}); give a Documentation_data-….pickle."
        ) from e


def _rows(indices: Any) -> list[int]:
    numbers = indices.flat.tolist() if isinstance(indices, _Array) else list(indices)
    if any(int(number) != number for number in numbers):
        raise ValueError("its rows are not whole numbers")
    return [int(number) for number in numbers if number >= 0]
