"""DeepLabCut's HDF5 label tables, read without unpickling anything.

pandas stores the column names of a table as a pickle. `pickletools.genops` takes a pickle apart without running it;
only lists, tuples, strings and numbers are put together again, and whatever else it holds is refused.
"""

import pickletools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from lp_core import DataError

from lp_io.header_table import MULTI, Table

KEY = "df_with_missing"
_LITERALS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING", "INT", "BININT", "BININT1",
             "BININT2", "LONG", "LONG1"}  # fmt: skip
_MARK = object()


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
            memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(argument)])
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


def read_hdf_table(path: Path) -> Table:
    """Read the table `df_with_missing` of a `CollectedData_<scorer>.h5`, with one or three index columns.

    Raises:
        DataError: missing, damaged, another layout, or several animals.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; give the label file with data.labels=FILE.")
    try:
        with h5py.File(path) as file:
            group = file[KEY]
            rows = group["table"][:]
            names = plain_pickle(bytes(group.attrs["non_index_axes"]))[0][1]
    except (OSError, KeyError, ValueError, IndexError, TypeError) as e:
        raise DataError(f"{path} is not a label table DeepLabCut wrote ({e}); convert it to CSV in DeepLabCut.") from e
    if len(names[0]) != 3:
        raise DataError(f"{path} has labels of several animals ({MULTI}), which are not supported yet.")
    blocks = [f for f in rows.dtype.names if f.startswith("values_block")]
    if len(blocks) != 1:
        raise DataError(f"{path} mixes numbers and text; convert it to CSV in DeepLabCut.")
    levels = [f for f in rows.dtype.names if f not in blocks]
    index = ["/".join(bytes(row[f]).decode() for f in levels).replace("\\", "/") for row in rows]
    return Table(
        source=path,
        scorer=str(names[0][0]),
        columns=tuple((str(n[1]), str(n[2])) for n in names),
        index=tuple(index),
        values=np.asarray(rows[blocks[0]], dtype=np.float64),
    )
