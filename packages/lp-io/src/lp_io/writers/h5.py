"""DeepLabCut's HDF5 tables of predictions, read and written without pandas.

The layout is what `DataFrame.to_hdf(path, key="df_with_missing", format="table")` writes: a group that describes itself in
attributes, and one compound dataset `table`. pandas keeps lists and tuples in attributes as pickles. Ours are of text and
numbers only; foreign ones are taken apart by `lp_io.hdf_frame.plain_pickle`, never run.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from lp_core import DataError, PoseTable, TableWriterConfig, VideoFacts

from lp_io.files import atomic_path
from lp_io.hdf_frame import KEY, NOT_A_FRAME, read_hdf_frame
from lp_io.header_table import LEVELS
from lp_io.tables import pose_columns, pose_table
from lp_io.writers.frames import frame_numbers

BLOCK = "values_block_0"
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
        columns = pose_columns(table.keypoint_names, table.scorer, table.animals)
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


def _group_facts(columns: list[tuple[str, ...]]) -> dict[str, Any]:
    names = {"names": list(LEVELS[len(columns[0])]), "type": "MultiIndex"}
    return {
        "CLASS": "GROUP", "TITLE": "", "VERSION": "1.0", "pandas_version": "0.15.2",
        "pandas_type": "frame_table", "table_type": "appendable_frame", "encoding": "UTF-8", "errors": "strict",
        "levels": 1, "nan_rep": None, "data_columns": [], "index_cols": [(0, "index")], "values_cols": [BLOCK],
        "non_index_axes": [(1, columns)], "info": {1: names, "index": {}},
    }  # fmt: skip


def _table_facts(rows: np.ndarray, columns: list[tuple[str, ...]]) -> dict[str, Any]:
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
    """Read predictions of one animal or several that this writer or DeepLabCut wrote, keypoints in the file's order.

    Raises:
        DataError: missing, or another layout.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist; predict the video first.")
    try:
        frame = read_hdf_frame(path)
        if {len(column) for column in frame.columns} - set(LEVELS):
            raise ValueError(f"its columns have {len(frame.columns[0])} levels")
    except NOT_A_FRAME as e:
        raise DataError(f"{path} is not a table of predictions DeepLabCut wrote ({e}); give the CSV instead.") from e
    index = [row[0] if isinstance(row[0], int) else "/".join(map(str, row)).replace("\\", "/") for row in frame.index]
    return pose_table(path, frame.columns, frame.values, index)


@dataclass(slots=True, kw_only=True)
class H5Config(TableWriterConfig):
    """HDF5 as DeepLabCut writes it, under the key df_with_missing."""

    def build(self) -> H5Writer:
        """The writer."""
        return H5Writer()
