"""Every layout that movement reads, read by movement."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lp_core import PoseTable, VideoFacts, table_writers
from lp_core.testing.table_writer import TableWriterContract, example_table
from lp_io import write_predictions

load_poses = pytest.importorskip(
    "movement.io.load_poses", reason="movement is not installed beside lp-io (pip install movement; needs Python 3.12)"
)


def table_of(dataset):
    frames = np.rint(dataset.time.values * 25).astype(int)
    return PoseTable(
        keypoint_names=tuple(dataset.keypoint.values.tolist()), index=tuple(frames.tolist()),
        keypoints=np.asarray(dataset.position.isel(individual=0).transpose("time", "keypoint", "space").values),
        confidence=np.asarray(dataset.confidence.isel(individual=0).transpose("time", "keypoint").values),
    )  # fmt: skip


class TestH5(TableWriterContract):
    name = "h5"

    def read(self, path: Path) -> PoseTable:
        return table_of(load_poses.from_dlc_file(path, fps=25))


class TestSlp(TableWriterContract):
    """movement reads .slp as float32."""

    name = "slp"
    dtype = np.float32

    def read(self, path: Path) -> PoseTable:
        return table_of(load_poses.from_sleap_file(path, fps=25))


class TestNwb(TableWriterContract):
    """With movement's default names, and the frame rate from the file. It sorts the keypoints by name, whatever the file says."""

    name = "nwb"

    def read(self, path: Path) -> PoseTable:
        dataset = load_poses.from_nwb_file(path)
        assert dataset.fps == pytest.approx(25) and dataset.individual.values.tolist() == ["mouse"]
        assert dataset.keypoint.values.tolist() == sorted(example_table().keypoint_names)
        return table_of(dataset.sel(keypoint=list(example_table().keypoint_names)))


def test_csv_and_h5_are_the_same_dataset(tmp_path):
    write_predictions(tmp_path / "p.csv", example_table())
    table_writers["h5"]().build().write(tmp_path / "p.h5", example_table(), VideoFacts(path=tmp_path, size=(1, 1)))
    csv, h5 = load_poses.from_lp_file(tmp_path / "p.csv", fps=25), load_poses.from_dlc_file(tmp_path / "p.h5", fps=25)
    assert csv.equals(h5)


def test_part_of_a_video(tmp_path):
    """movement numbers the rows of a table from 0 and takes the frames of .slp as they are numbered."""
    video = VideoFacts(path=tmp_path / "v.mp4", size=(240, 320), fps=25.0)
    table = replace(example_table(), index=tuple(range(2, 10)))
    table_writers["slp"]().build().write(tmp_path / "p.slp", table, video)
    back = table_of(load_poses.from_sleap_file(tmp_path / "p.slp", fps=25))
    np.testing.assert_array_equal(back.keypoints[2:], table.keypoints.astype(np.float32))
    assert np.isnan(back.keypoints[:2]).all()
