"""What every writer of predictions must do."""

import os
from pathlib import Path

import numpy as np
import pytest

from lp_core import PoseTable, TableWriter, VideoFacts, table_writers

UNSEEN = (0, 3, 7)  # frames that could not be decoded: the first, one between and the last


def example_table() -> PoseTable:
    """Eight frames of three keypoints whose order is not the alphabet's; some frames and one keypoint are NaN."""
    rng = np.random.default_rng(0)
    keypoints, confidence = rng.uniform(-3, 400, (8, 3, 2)), rng.random((8, 3))
    keypoints[5, 1], confidence[5, 1] = np.nan, np.nan
    keypoints[list(UNSEEN)], confidence[list(UNSEEN)] = np.nan, np.nan
    return PoseTable(
        keypoint_names=("tail", "nose", "ear"), index=tuple(range(8)), keypoints=keypoints, confidence=confidence
    )


class TableWriterContract:
    """Subclass in a plugin's tests, set `name`, and read the file back in `read`, best with the library its users have.

    Attributes:
        dtype: what the library reads numbers as; values must be the ones written, rounded to it.
    """

    name: str
    dtype: type = np.float64

    def read(self, path: Path) -> PoseTable:
        """Read the file, one row for each of the eight frames."""
        raise NotImplementedError

    def build(self) -> TableWriter:
        return table_writers[self.name]().build()

    @pytest.fixture
    def video(self, tmp_path: Path) -> VideoFacts:
        path = tmp_path / "videos" / "mouse.mp4"
        path.parent.mkdir()
        path.touch()
        return VideoFacts(path=path, size=(240, 320), fps=25.0, times=np.arange(8) / 25, skeleton=((1, 0), (1, 2)))

    @pytest.fixture
    def written(self, tmp_path: Path, video: VideoFacts) -> Path:
        writer = self.build()
        path = tmp_path / f"mouse{writer.suffix}"
        writer.write(path, example_table(), video)
        return path

    def test_it_is_a_table_writer(self) -> None:
        assert isinstance(self.build(), TableWriter)
        assert self.build().suffix.startswith(".")

    def test_keypoints_keep_their_order(self, written: Path) -> None:
        assert self.read(written).keypoint_names == example_table().keypoint_names

    def test_values(self, written: Path) -> None:
        read, table = self.read(written), example_table()
        np.testing.assert_array_equal(read.keypoints, table.keypoints.astype(self.dtype))
        seen = np.isfinite(table.keypoints).all(-1)
        np.testing.assert_array_equal(read.confidence[seen], table.confidence[seen].astype(self.dtype))

    def test_frames_that_were_not_seen_shift_nothing(self, written: Path) -> None:
        read = self.read(written)
        assert read.index == example_table().index
        assert tuple(np.flatnonzero(np.isnan(read.keypoints).all((1, 2)))) == UNSEEN

    def test_an_older_file_is_replaced_whole_or_not_at_all(
        self, tmp_path: Path, video: VideoFacts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer, path = self.build(), tmp_path / "out" / f"mouse{self.build().suffix}"
        path.parent.mkdir()
        path.write_text("old")
        with monkeypatch.context() as broken, pytest.raises(OSError, match="pulled out"):
            for name in ("replace", "rename"):
                broken.setattr(os, name, _fails)
            writer.write(path, example_table(), video)
        assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]
        writer.write(path, example_table(), video)
        assert self.read(path).index == example_table().index and list(path.parent.iterdir()) == [path]


def _fails(*_: object, **__: object) -> None:
    raise OSError("the disk was pulled out")
