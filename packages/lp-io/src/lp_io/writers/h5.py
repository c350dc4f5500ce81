"""DeepLabCut's HDF5 tables of predictions, read and written without pandas.

The layout is what `DataFrame.to_hdf(path, key="df_with_missing", format="table")` writes: a group that describes itself in
attributes, and one compound dataset `table`. pandas keeps lists and tuples in attributes as pickles. Ours are of text and
numbers only; foreign ones are taken apart by `plain_pickle`, never run.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from lp_core import DataError, PoseTable, TableWriterConfig, VideoFacts

from lp_io.files import atomic_path
from lp_io.hdf_table import KEY, plain_pickle
from lp_io.tables import COORDS
from lp_io.writers.frames import frame_numbers

BLOCK = "values_block_0"
LEVELS = ["scorer", "bodyparts", "coords"]
_CHUNK = 1 << 18  # bytes
_ROOM = 64_000  # bytes an attribute may have


class H5Writer:
    """Writes float64 values and frame numbers (or image paths); NaN stays NaN."""

    suffix = ".h5"

    def write(self, path: Path, table: PoseTable, video: VideoFacts) -> None:
        """Write `path`; the layout has no place for facts about the video.

        Raises:
            DataError: more columns than the layout has room to name.
        """
        columns = [(table.scorer, name, coord) for name in table.keypoint_names for coord in COORDS]
        if len(pickle.dumps(columns, protocol=0)) > _ROOM:
            raise DataError(f"{path}: {len(table.keypoint_names)} keypoints are too many for HDF5; choose parquet.")
        rows = _rows(table)
        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            _describe(file, CLASS="GROUP", TITLE="", VERSION="1.0", PYTABLES_FORMAT_VERSION="2.1")
            _describe(file.create_group(KEY), **_group_facts(columns))
            length = max(1, min(len(rows), _CHUNK // rows.itemsize))
            data = file[KEY].create_dataset("table", data=rows, maxshape=(None,), chunks=(length,))
            _describe(data, **_table_facts(rows, columns))


def _rows(table: PoseTable) -> np.ndarray:
    numbers = frame_numbers(table)
    names = [str(name).encode() for name in table.index]
    index = np.asarray(names) if numbers is None else np.asarray(numbers, dtype=np.int64)
    values = np.concatenate([table.keypoints, table.confidence[..., None]], axis=-1).reshape(len(index), -1)
    rows = np.empty(len(index), dtype=[("index", index.dtype), (BLOCK, "<f8", (values.shape[1],))])
    rows["index"], rows[BLOCK] = index, values
    return rows


def _group_facts(columns: list[tuple[str, str, str]]) -> dict[str, Any]:
    return {
        "CLASS": "GROUP", "TITLE": "", "VERSION": "1.0",
        "pandas_type": "frame_table", "table_type": "appendable_frame", "encoding": "UTF-8", "errors": "strict",
        "levels": 1, "nan_rep": None, "data_columns": [], "index_cols": [(0, "index")], "values_cols": [BLOCK],
        "non_index_axes": [(1, columns)], "info": {1: {"names": LEVELS, "type": "MultiIndex"}, "index": {}},
    }  # fmt: skip


def _table_facts(rows: np.ndarray, columns: list[tuple[str, str, str]]) -> dict[str, Any]:
    text = rows.dtype["index"].kind == "S"
    return {
        "CLASS": "TABLE", "TITLE": "", "VERSION": "2.7", "NROWS": len(rows), "FIELD_0_NAME": "index", "FIELD_1_NAME": BLOCK,
        "index_kind": "string" if text else "integer", **({"index_nan_rep": ""} if text else {}),
        f"{BLOCK}_kind": columns, f"{BLOCK}_dtype": "float64", f"{BLOCK}_meta": None,
    }  # fmt: skip


def _describe(item: h5py.Group | h5py.Dataset, **facts: Any) -> None:
    """Attributes as PyTables writes them: text of fixed length, and pickles of whatever is not text or a number."""
    for key, fact in facts.items():
        if isinstance(fact, str):
            kind = h5py.string_dtype("utf-8", max(1, len(fact.encode())))
            item.attrs[key] = np.array(fact.encode(), dtype=kind) if fact else h5py.Empty(kind)
        else:
            item.attrs[key] = np.int64(fact) if isinstance(fact, int) else np.bytes_(pickle.dumps(fact, protocol=0))


def read_predictions_h5(path: Path | str) -> PoseTable:
    """Read predictions of one animal that this writer or DeepLabCut wrote, keypoints in the file's order.

    Raises:
        DataError: missing, another layout, or several animals.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist; predict the video first.")
    try:
        with h5py.File(path) as file:
            rows = file[KEY]["table"][:]
            columns = plain_pickle(bytes(file[KEY].attrs["non_index_axes"]))[0][1]
        values, levels = rows[BLOCK], [field for field in rows.dtype.names if field != BLOCK]
    except (OSError, KeyError, ValueError, IndexError, TypeError) as e:
        raise DataError(f"{path} is not a table of predictions DeepLabCut wrote ({e}); give the CSV instead.") from e
    if values.shape[1:] != (len(columns),):
        raise DataError(f"{path} mixes numbers and text; give the CSV instead.")
    if len(columns[0]) != len(LEVELS):
        raise DataError(f"{path} has predictions of several animals, which are not supported yet.")
    kept = [i for i, column in enumerate(columns) if column[2] in COORDS]
    if not kept or [columns[i][2] for i in kept] != [*COORDS] * (len(kept) // 3):
        raise DataError(f"{path} is not a table of predictions: each keypoint needs x, y and likelihood.")
    points = np.asarray(values[:, kept], dtype=np.float64).reshape(len(rows), -1, 3)
    return PoseTable(
        keypoint_names=tuple(str(columns[i][1]) for i in kept[::3]),
        index=_index(rows, levels),
        keypoints=points[..., :2],
        confidence=points[..., 2],
        scorer=str(columns[0][0]),
    )


def _index(rows: np.ndarray, levels: list[str]) -> tuple[str, ...] | tuple[int, ...]:
    if rows.dtype[levels[0]].kind in "iu":
        return tuple(rows[levels[0]].tolist())
    return tuple("/".join(row[level].decode() for level in levels).replace("\\", "/") for row in rows)


@dataclass(slots=True, kw_only=True)
class H5Config(TableWriterConfig):
    """HDF5 as DeepLabCut writes it, under the key df_with_missing."""

    def build(self) -> H5Writer:
        """The writer."""
        return H5Writer()
