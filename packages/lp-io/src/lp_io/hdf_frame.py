"""Data frames that pandas stored in HDF5, in either of its two layouts, without pandas and without unpickling.

In the layout `table` the names of the columns are a pickle. `pickletools.genops` takes a pickle apart without running it;
only lists, tuples, strings and numbers are put together again, and whatever else it holds is refused. The layout `fixed`,
which pandas takes where rows have several levels, holds no pickle.
"""

import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

KEY = "df_with_missing"
KEYS = (KEY, "tracks")  # DeepLabCut's tracked animals are under the second
NOT_A_FRAME = (OSError, KeyError, ValueError, IndexError, TypeError)  # what a file of another kind raises
_LITERALS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING", "INT", "BININT", "BININT1",
             "BININT2", "LONG", "LONG1"}  # fmt: skip
_MARK = object()


@dataclass(frozen=True, slots=True)
class HdfFrame:
    """A data frame of numbers.

    Attributes:
        columns: a tuple of names per column, one for each level.
        index: a tuple of names or numbers per row, one for each level.
    """

    columns: list[tuple[str, ...]]
    index: list[tuple[Any, ...]]
    values: Float[np.ndarray, "rows columns"]


def read_hdf_frame(path: Path) -> HdfFrame:
    """Read the frame under `df_with_missing`, under `tracks`, or the only one there is.

    Raises:
        OSError, KeyError, ValueError, IndexError, TypeError: no such file; see `NOT_A_FRAME`.
    """
    with h5py.File(path) as file:
        group = _group(file)
        return _read_table(group) if "table" in group else _read_fixed(group)


def _group(file: h5py.File) -> Any:
    for key in KEYS:
        if key in file:
            return file[key]
    found = [node for node in file.values() if isinstance(node, h5py.Group) and "pandas_type" in node.attrs]
    if len(found) != 1:
        raise ValueError(f"it holds {len(found)} tables")
    return found[0]


def _read_table(group: Any) -> HdfFrame:
    rows, facts = group["table"][:], group["table"].attrs
    columns = _names(plain_pickle(bytes(group.attrs["non_index_axes"]))[0][1])
    fields = [field for field in rows.dtype.names if field.startswith("values_block")]
    blocks = [(_names(plain_pickle(bytes(facts[f"{field}_kind"]))), rows[field]) for field in fields]
    levels = [[_plain(cell) for cell in rows[field]] for field in rows.dtype.names if field not in fields]
    return HdfFrame(columns, list(zip(*levels, strict=True)), _together(columns, blocks))


def _read_fixed(group: Any) -> HdfFrame:
    columns = _names(_axis(group, "axis0"))
    numbers = range(int(group.attrs["nblocks"]))
    blocks = [(_names(_axis(group, f"block{n}_items")), group[f"block{n}_values"][:]) for n in numbers]
    return HdfFrame(columns, _axis(group, "axis1"), _together(columns, blocks))


def _names(names: list[Any]) -> list[tuple[str, ...]]:
    return [tuple(map(str, name)) for name in names]


def _together(
    columns: list[tuple[str, ...]], blocks: list[tuple[list[tuple[str, ...]], np.ndarray]]
) -> Float[np.ndarray, "rows columns"]:
    """The values in the order of `columns`; pandas keeps a block for each kind of number."""
    values = np.full((len(blocks[0][1]), len(columns)), np.nan)
    at = {column: i for i, column in enumerate(columns)}
    for names, block in blocks:
        if block.dtype.kind not in "fiu" or block.shape[1:] != (len(names),):
            raise ValueError("it mixes numbers and text")
        values[:, [at[name] for name in names]] = block
    return values


def _axis(group: Any, name: str) -> list[tuple[Any, ...]]:
    if name in group:
        return [(value,) for value in _values(group[name])]
    levels = range(int(group.attrs[f"{name}_nlevels"]))
    names = [_values(group[f"{name}_level{level}"]) for level in levels]
    codes = [group[f"{name}_label{level}"][:].tolist() for level in levels]  # -1 = no name
    return [
        tuple(names[level][code] if code >= 0 else "" for level, code in enumerate(row))
        for row in zip(*codes, strict=True)
    ]


def _values(node: Any) -> list[Any]:
    if node.dtype.kind not in "Siu":
        raise ValueError("its names are neither text nor numbers")
    return [_plain(value) for value in node[:]]


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else int(value)


def plain_pickle(data: bytes) -> Any:
    """The lists, tuples, strings and integers a pickle holds; nothing is executed.

    Raises:
        ValueError: the pickle holds anything else.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name in _LITERALS:
            stack.append(argument)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(str(argument))] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(str(argument))])
        else:
            _collect(name, stack)
    raise ValueError("the pickle ends early")


def _collect(name: str, stack: list[Any]) -> None:
    if name in ("MARK", "EMPTY_LIST", "EMPTY_TUPLE"):
        stack.append({"MARK": _MARK, "EMPTY_LIST": [], "EMPTY_TUPLE": ()}[name])
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        count = int(name[-1])
        stack[-count:] = [tuple(stack[-count:])]
    elif name == "APPEND":
        item = stack.pop()
        stack[-1].append(item)
    elif name in ("LIST", "TUPLE", "APPENDS"):
        at = len(stack) - 1 - next(i for i, value in enumerate(reversed(stack)) if value is _MARK)
        items = stack[at + 1 :]
        del stack[at:]
        if name == "APPENDS":
            stack[-1].extend(items)
        else:
            stack.append(items if name == "LIST" else tuple(items))
    else:
        raise ValueError(f"the pickle holds more than plain values ({name})")
