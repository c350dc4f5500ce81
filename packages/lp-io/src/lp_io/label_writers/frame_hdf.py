"""A table that `pandas.read_hdf` reads, written without pandas: its fixed layout, which holds no pickle."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from lp_io.files import atomic_path
from lp_io.header_table import LEVELS

_NOTHING = h5py.Empty("S1")  # PyTables' empty string
_NODE = {"CLASS": "GROUP", "TITLE": "", "VERSION": "1.0"}
_ARRAY = {"CLASS": "ARRAY", "FLAVOR": "numpy", "TITLE": "", "VERSION": "2.4", "transposed": np.uint8(1)}


def write_frame_hdf(
    path: Path,
    key: str,
    columns: Sequence[tuple[str, ...]],
    index: Sequence[tuple[str, ...]],
    values: Float[np.ndarray, "rows columns"],
) -> None:
    """Write a data frame whose columns have the levels scorer, (individuals,) bodyparts, coords and whose rows have unnamed
    levels.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        _describe(file, {**_NODE, "PYTABLES_FORMAT_VERSION": "2.1"})
        group = file.create_group(key)
        _describe(group, {**_NODE, "pandas_type": "frame", "encoding": "UTF-8", "errors": "strict"})
        _describe(group, {"ndim": np.int64(2), "nblocks": np.int64(1)})
        for axis in ("axis0", "block0_items"):
            _write_axis(group, axis, columns, LEVELS[len(columns[0])])
        _write_axis(group, "axis1", index, ())
        _array(group, "block0_values", np.asarray(values, dtype=np.float64))


def _write_axis(group: h5py.Group, axis: str, tuples: Sequence[tuple[str, ...]], names: Sequence[str]) -> None:
    _describe(group, {f"{axis}_variety": "multi", f"{axis}_nlevels": np.int64(len(tuples[0]))})
    for level, texts in enumerate(zip(*tuples, strict=True)):
        values, codes = np.unique([text.encode() for text in texts], return_inverse=True)
        node = _array(group, f"{axis}_level{level}", values)
        _describe(node, {"kind": "string", "nan_rep": "nan"})
        if names:
            _describe(node, {"name": names[level], f"{axis}_name{names[level]}": names[level]})
        _array(group, f"{axis}_label{level}", codes.astype(np.int32))


def _array(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset:
    node = group.create_dataset(name, data=values)
    _describe(node, _ARRAY)
    return node


def _describe(node: h5py.Group | h5py.Dataset, attributes: dict[str, str | np.generic]) -> None:
    """Set attributes; texts as PyTables stores them: UTF-8 of fixed length."""
    for name, value in attributes.items():
        if isinstance(value, str) and value:
            data = value.encode()
            node.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", len(data)))
        else:
            node.attrs[name] = _NOTHING if isinstance(value, str) else value
