"""Parquet tables against pandas and polars."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lp_core import PoseTable, VideoFacts
from lp_core.testing.table_writer import UNSEEN, TableWriterContract, example_table
from lp_io.writers.parquet import ParquetConfig

parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'lp-io[parquet]'")
VIDEO = VideoFacts(path=Path("videos/mouse.mp4"), size=(240, 320), fps=25.0, skeleton=((1, 0),))


def table_of(columns, numbers):
    names = tuple(dict.fromkeys(c.rpartition(".")[0] for c in columns if "." in c))
    values = np.array([[numbers[f"{n}.{c}"] for c in ("x", "y", "likelihood")] for n in names], dtype=float)
    values = values.transpose(2, 0, 1)
    return PoseTable(
        keypoint_names=names, index=tuple(int(i) for i in numbers["frame"]), keypoints=values[..., :2],
        confidence=values[..., 2],
    )  # fmt: skip


class TestPandas(TableWriterContract):
    name = "parquet"

    def read(self, path: Path) -> PoseTable:
        pd = pytest.importorskip("pandas", reason="pandas is not installed beside lp-io")
        frame = pd.read_parquet(path)
        assert frame.dtypes.tolist() == [np.int64] + [np.float64] * 9
        return table_of(frame.columns, frame)


class TestPolars(TableWriterContract):
    name = "parquet"

    def read(self, path: Path) -> PoseTable:
        pl = pytest.importorskip("polars", reason="polars is not installed beside lp-io")
        frame = pl.read_parquet(path)
        return table_of(frame.columns, {c: frame[c].to_numpy() for c in frame.columns})


def test_averages_pass_over_frames_that_were_not_seen(tmp_path):
    pl = pytest.importorskip("polars", reason="polars is not installed beside lp-io")
    ParquetConfig().build().write(tmp_path / "p.parquet", example_table(), VIDEO)
    column = pl.read_parquet(tmp_path / "p.parquet")["tail.x"]
    assert column.null_count() == len(UNSEEN)
    assert column.mean() == pytest.approx(np.nanmean(example_table().keypoints[:, 0, 0]))


def test_metadata(tmp_path):
    ParquetConfig().build().write(tmp_path / "p.parquet", example_table(), VIDEO)
    assert json.loads(parquet.read_schema(tmp_path / "p.parquet").metadata[b"lp"]) == {
        "keypoints": ["tail", "nose", "ear"], "scorer": "heatmap_tracker", "video": "videos/mouse.mp4", "size": [240, 320],
        "fps": 25.0, "skeleton": [[1, 0]],
    }  # fmt: skip


def test_labeled_images_and_their_split(tmp_path):
    names = tuple(f"labeled-data/v/img{i}.png" for i in range(8))
    table = replace(example_table(), index=names, split=("train", "test") * 4)
    ParquetConfig().build().write(tmp_path / "p.parquet", table, VIDEO)
    columns = parquet.read_table(tmp_path / "p.parquet").to_pydict()
    assert columns["image"] == list(names) and columns["set"] == ["train", "test"] * 4
