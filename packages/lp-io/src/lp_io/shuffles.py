"""DeepLabCut's splits into training and test frames, without running what a pickle says."""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lp_core import DataError

from lp_io.hdf_table import read_hdf_table
from lp_io.header_table import read_header_table

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


def find_shuffle(root: Path, shuffle: str) -> Path:
    """The documentation of a shuffle: a number, of the iteration that the project's `config.yaml` names, or a file.

    Raises:
        DataError: there is none, or several of that number.
    """
    if not shuffle.isdigit():
        return root / shuffle
    folder = root / "training-datasets"
    found = sorted(folder.glob(f"*/*/Documentation_data-*shuffle{int(shuffle)}.pickle"))
    here = [path for path in found if path.parent.parent.name == f"iteration-{_iteration(root)}"]
    if len(here) == 1:
        return here[0]
    others = here or found or sorted(folder.glob("*/*/Documentation_data-*.pickle"))
    if not others:
        raise DataError(f"data.split.shuffle={shuffle}: {folder} has no Documentation_data-….pickle; leave it out.")
    names = ", ".join(path.relative_to(root).as_posix() for path in others)
    raise DataError(f"data.split.shuffle={shuffle} stands for no single file; give one of {names}.")


def _iteration(root: Path) -> int:
    try:
        return int(yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8")).get("iteration") or 0)
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return 0


def shuffle_images(path: Path) -> tuple[list[str], list[str]]:
    """The training and the test images of a shuffle, by the merged label table that DeepLabCut keeps beside it.

    Raises:
        DataError: the table is missing, or is not of this shuffle.
    """
    train, test = read_shuffle(path)
    tables = sorted([*path.parent.glob("CollectedData_*.csv"), *path.parent.glob("CollectedData_*.h5")])
    if not tables:
        raise DataError(
            f"{path.parent} has no CollectedData_….csv or .h5, which says what the rows of {path.name} are."
        )
    table = read_hdf_table(tables[0]) if tables[0].suffix == ".h5" else read_header_table(tables[0])
    if max([*train, *test], default=0) >= len(table.index):
        raise DataError(f"{path} has rows that {tables[0].name} beside it lacks; they must be of the same data set.")
    return [table.index[row] for row in train], [table.index[row] for row in test]
