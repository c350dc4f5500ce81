"""SLEAP's and NWB's files against sleap-io and pynwb."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from lp_core import ConfigError, DataError, PoseTable, VideoFacts
from lp_core.testing.table_writer import UNSEEN, TableWriterContract, example_table
from lp_io.writers.nwb import NwbConfig
from lp_io.writers.slp import SlpConfig

sio = pytest.importorskip("sleap_io", reason="sleap-io is not installed: pip install 'lp-io[sleap]'")
pynwb = pytest.importorskip("pynwb", reason="pynwb is not installed: pip install 'lp-io[nwb]'")


def table_of(labels, length):
    """Rows by frame number, which is what has to be right."""
    names = labels.skeletons[0].node_names
    points = np.full((length, len(names), 3), np.nan)
    for frame in labels:
        for instance in frame.predicted_instances:
            points[frame.frame_idx] = instance.numpy(scores=True)
    return PoseTable(
        keypoint_names=tuple(names), index=tuple(range(length)), keypoints=points[..., :2], confidence=points[..., 2]
    )


def load_nwb(path):
    """sleap-io 0.9.5 begins its list of times with uninitialised memory, nearly always 0; here always."""
    with patch("sleap_io.io.nwb_predictions.np.empty", np.zeros):
        return sio.load_nwb(str(path))


class TestSlp(TableWriterContract):
    name = "slp"

    def read(self, path: Path) -> PoseTable:
        labels = sio.load_slp(str(path))
        assert [frame.frame_idx for frame in labels] == list(range(8))
        assert tuple(frame.frame_idx for frame in labels if not frame.instances) == UNSEEN
        return table_of(labels, 8)


class TestNwbBySleapIo(TableWriterContract):
    """sleap-io reads NWB as float32."""

    name = "nwb"
    dtype = np.float32

    def read(self, path: Path) -> PoseTable:
        return table_of(load_nwb(path), 8)


class TestNwbByPynwb(TableWriterContract):
    name = "nwb"

    def read(self, path: Path) -> PoseTable:
        with pynwb.NWBHDF5IO(str(path), mode="r") as io:
            poses = io.read().processing["behavior"]["PoseEstimation"]
            names = tuple(poses.skeleton.nodes[:])
            index = np.rint(poses[names[0]].timestamps[:] * 25).astype(int)
            return PoseTable(
                keypoint_names=names, index=tuple(index.tolist()),
                keypoints=np.stack([poses[name].data[:] for name in names], 1),
                confidence=np.stack([poses[name].confidence[:] for name in names], 1),
            )  # fmt: skip


@pytest.fixture
def video(tmp_path):
    (tmp_path / "mouse.mp4").touch()
    return VideoFacts(path=tmp_path / "mouse.mp4", size=(240, 320), fps=25.0, skeleton=((1, 0), (1, 2)))


def test_slp_says_what_the_video_is(tmp_path, video):
    SlpConfig().build().write(tmp_path / "p.slp", example_table(), replace(video, times=np.arange(9) / 25))
    labels = sio.load_slp(str(tmp_path / "p.slp"), open_videos=False)
    assert labels.video.filename == (tmp_path / "mouse.mp4").as_posix()
    assert tuple(labels.video.shape) == (9, 240, 320, 3) and labels.video.fps == 25
    assert labels.skeleton.edge_inds == [(1, 0), (1, 2)]
    assert labels[1].instances[0].score == pytest.approx(example_table().confidence[1].mean())


def test_slp_of_images(tmp_path, video):
    names = tuple(f"labeled-data/v/img{i}.png" for i in range(8))
    SlpConfig().build().write(tmp_path / "p.slp", replace(example_table(), index=names), replace(video, path=tmp_path))
    labels = sio.load_slp(str(tmp_path / "p.slp"), open_videos=False)
    assert labels.video.filename == [(tmp_path / name).as_posix() for name in names]
    np.testing.assert_array_equal(table_of(labels, 8).keypoints, example_table().keypoints)


def test_part_of_a_video_keeps_its_frame_numbers(tmp_path, video):
    table = replace(example_table(), index=tuple(range(100, 108)))
    SlpConfig().build().write(tmp_path / "p.slp", table, video)
    assert [frame.frame_idx for frame in sio.load_slp(str(tmp_path / "p.slp"))] == list(table.index)
    for facts in (video, replace(video, times=0.08 + np.arange(120) / 25)):  # films rarely begin at time 0
        NwbConfig().build().write(tmp_path / "p.nwb", table, facts)
        seen = [
            number for number, points in zip(table.index, table.keypoints, strict=True) if np.isfinite(points).any()
        ]
        assert [frame.frame_idx for frame in load_nwb(tmp_path / "p.nwb")] == seen


def test_nwb_is_valid_and_keeps_variable_frame_times(tmp_path, video):
    times = np.cumsum(np.random.default_rng(0).random(20))
    NwbConfig(session_start="2025-03-01T14:00", identifier="m1").build().write(
        tmp_path / "p.nwb", example_table(), replace(video, times=times)
    )
    errors = pynwb.validate(path=str(tmp_path / "p.nwb"))
    assert not errors, errors
    with pynwb.NWBHDF5IO(str(tmp_path / "p.nwb"), mode="r") as io:
        file = io.read()
        poses = file.processing["behavior"]["PoseEstimation"]
        assert file.identifier == "m1" and file.session_start_time == datetime(2025, 3, 1, 14, tzinfo=UTC)
        assert poses.source_video.external_file[:] == [(tmp_path / "mouse.mp4").as_posix()]
        assert poses.source_video.dimension[:].tolist() == [320, 240] and poses.skeleton.edges[:].tolist() == [
            [1, 0],
            [1, 2],
        ]
        for series in poses.pose_estimation_series.values():
            np.testing.assert_array_equal(series.timestamps[:], times - times[0])
            assert np.isnan(series.data[8:]).all()


def test_what_nwb_cannot_hold_is_one_sentence(tmp_path, video):
    def refused(table, facts, match):
        with pytest.raises(DataError, match=match):
            NwbConfig().build().write(tmp_path / "p.nwb", table, facts)

    table = example_table()
    refused(replace(table, index=tuple("abcdefgh")), video, "single images")
    refused(replace(table, keypoint_names=("a/b", "c", "d")), video, "rename the keypoint a/b")
    refused(table, replace(video, fps=None), "frame rate")
    refused(table, replace(video, times=np.arange(5.0)), "frame 7, but .* has 5")
    refused(table, replace(video, path=Path("gone.mp4")), "session_start")
    with pytest.raises(ConfigError, match="session_start=yesterday"):
        NwbConfig(session_start="yesterday")
