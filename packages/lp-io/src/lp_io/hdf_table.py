"""DeepLabCut's HDF5 label tables."""

from pathlib import Path

from lp_core import DataError

from lp_io.hdf_frame import KEY, NOT_A_FRAME, plain_pickle, read_hdf_frame
from lp_io.header_table import LEVELS, Table, table_of

__all__ = ["KEY", "plain_pickle", "read_hdf_table"]


def read_hdf_table(path: Path) -> Table:
    """Read a `CollectedData_<scorer>.h5`, with one or three index columns, of one animal or several.

    Raises:
        DataError: missing, damaged, or another layout.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; give the label file with data.labels=FILE.")
    try:
        frame = read_hdf_frame(path)
        if {len(column) for column in frame.columns} - set(LEVELS):
            raise ValueError(f"its columns have {len(frame.columns[0])} levels")
    except NOT_A_FRAME as e:
        raise DataError(f"{path} is not a label table DeepLabCut wrote ({e}); convert it to CSV in DeepLabCut.") from e
    index = ["/".join(map(str, row)).replace("\\", "/") for row in frame.index]
    return table_of(path, frame.columns, index, frame.values)
