"""DeepLabCut's HDF5 tables against pandas, which DeepLabCut reads and writes them with."""

import pickle
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from lp_core import DataError, PoseTable, VideoFacts
from lp_core.testing.table_writer import TableWriterContract, example_table
from lp_io.writers.h5 import H5Config, read_predictions_h5

NO_PANDAS = "pandas and PyTables are not installed beside lp-io: pip install pandas tables"


def pandas():
    pytest.importorskip("tables", reason=NO_PANDAS)
    return pytest.importorskip("pandas", reason=NO_PANDAS)


class TestOurReader(TableWriterContract):
    name = "h5"

    def read(self, path: Path) -> PoseTable:
        return read_predictions_h5(path)


class TestPandas(TableWriterContract):
    """As DeepLabCut and everything built on it reads the file."""

    name = "h5"

    def read(self, path: Path) -> PoseTable:
        frame = pandas().read_hdf(path)
        assert frame.columns.names == ["scorer", "bodyparts", "coords"] and frame.index.name is None
        assert frame.index.dtype == np.int64 and frame.columns.get_level_values("coords")[:3].tolist() == [
            "x",
            "y",
            "likelihood",
        ]
        values = frame.to_numpy().reshape(len(frame), -1, 3)
        return PoseTable(
            keypoint_names=tuple(frame.columns.get_level_values("bodyparts")[::3]), index=tuple(frame.index.tolist()),
            keypoints=values[..., :2], confidence=values[..., 2],
        )  # fmt: skip


def by_pandas(path, table):
    pd, levels = pandas(), ("scorer", "bodyparts", "coords")
    rows = [(table.scorer, name, c) for name in table.keypoint_names for c in ("x", "y", "likelihood")]
    values = np.concatenate([table.keypoints, table.confidence[..., None]], -1).reshape(len(table.index), -1)
    columns = pd.MultiIndex.from_tuples(rows, names=levels)
    frame = pd.DataFrame(values, columns=columns, index=list(table.index))
    frame.to_hdf(path, key="df_with_missing", format="table", mode="w")
    return frame


def write(path, table):
    H5Config().build().write(path, table, VideoFacts(path=path, size=(240, 320)))
    return path


@pytest.mark.parametrize("images", [False, True])
def test_pandas_reads_ours_as_its_own_and_we_read_its(tmp_path, images):
    table = example_table()
    if images:
        table = replace(table, index=tuple(f"labeled-data/v/Mäuse {'x' * i}.png" for i in range(8)))
    theirs = by_pandas(tmp_path / "theirs.h5", table)
    pandas().testing.assert_frame_equal(pandas().read_hdf(write(tmp_path / "ours.h5", table)), theirs)
    back = read_predictions_h5(tmp_path / "theirs.h5")
    assert (back.index, back.keypoint_names, back.scorer) == (table.index, table.keypoint_names, table.scorer)
    np.testing.assert_array_equal(back.keypoints, table.keypoints)
    np.testing.assert_array_equal(back.confidence, table.confidence)


def test_pandas_can_go_on_with_the_file(tmp_path):
    """Rows chosen while reading, and rows added: what a table is for."""
    path = write(tmp_path / "ours.h5", example_table())
    assert pandas().read_hdf(path, "df_with_missing", where="index > 5").index.tolist() == [6, 7]
    more = pandas().read_hdf(path).set_axis(range(8, 16))
    more.to_hdf(path, key="df_with_missing", format="table", append=True)
    assert pandas().read_hdf(path).index.tolist() == list(range(16))


def test_long_tables_and_names_beyond_ascii(tmp_path):
    rng = np.random.default_rng(1)
    table = PoseTable(
        keypoint_names=tuple(f"Pfötchen_{k}" for k in range(200)), index=tuple(range(1000, 3000)),
        keypoints=rng.random((2000, 200, 2)), confidence=rng.random((2000, 200)), scorer="模型",
    )  # fmt: skip
    path = write(tmp_path / "long.h5", table)
    back = read_predictions_h5(path)
    assert (back.index, back.keypoint_names, back.scorer) == (table.index, table.keypoint_names, table.scorer)
    np.testing.assert_array_equal(back.keypoints, table.keypoints)
    assert path.stat().st_size < 1.1 * table.keypoints.size * 1.5 * 8
    assert pandas().read_hdf(path).columns.tolist()[3] == ("模型", "Pfötchen_1", "x")


def test_more_keypoints_than_the_header_holds_are_one_sentence(tmp_path):
    table = PoseTable(
        keypoint_names=tuple(f"k{k}" for k in range(3000)), index=(0,), keypoints=np.zeros((1, 3000, 2)),
        confidence=np.zeros((1, 3000)),
    )  # fmt: skip
    with pytest.raises(DataError, match="3000 keypoints"):
        write(tmp_path / "p.h5", table)
    assert not list(tmp_path.iterdir())


def test_what_is_no_table_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_predictions_h5(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("x")
    with h5py.File(tmp_path / "sleap.h5", "w") as file:
        file["tracks"] = [1]
    for name in ("text.h5", "sleap.h5"):
        with pytest.raises(DataError, match="not a table of predictions"):
            read_predictions_h5(tmp_path / name)


def test_labels_are_refused(tmp_path):
    frame = by_pandas(tmp_path / "labels.h5", example_table()).drop(columns="likelihood", level="coords")
    frame.to_hdf(tmp_path / "labels.h5", key="df_with_missing", format="table", mode="w")
    with pytest.raises(DataError, match="x, y and likelihood"):
        read_predictions_h5(tmp_path / "labels.h5")


def test_a_table_with_text_in_it_is_refused(tmp_path):
    frame = by_pandas(tmp_path / "mixed.h5", example_table())
    frame["scorer", "note", "x"] = "seen"
    frame.to_hdf(tmp_path / "mixed.h5", key="df_with_missing", format="table", mode="w")
    with pytest.raises(DataError, match="mixes numbers and text"):
        read_predictions_h5(tmp_path / "mixed.h5")


class Bomb:
    def __reduce__(self):
        return print, ("boom",)


def test_a_pickle_that_runs_something_is_refused(tmp_path, capsys):
    path = write(tmp_path / "evil.h5", example_table())
    with h5py.File(path, "a") as file:
        file["df_with_missing"].attrs["non_index_axes"] = np.bytes_(pickle.dumps([(1, [Bomb()])], 0))
    with pytest.raises(DataError, match="more than plain values"):
        read_predictions_h5(path)
    assert "boom" not in capsys.readouterr().out
