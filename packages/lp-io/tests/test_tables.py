"""Tables against the csv module and the layout the reference documents."""

import csv
import errno

import numpy as np
import pytest
from lp_core import DataError, PoseTable
from lp_io import PredictionWriter, atomic_path, read_predictions, write_metric, write_predictions


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 400, (3, 2, 2))
    keypoints[1, 0] = np.nan
    return PoseTable(
        keypoint_names=("nose", "tail"), index=("a/img0.png", "a/img1.png", "a/img2.png"), keypoints=keypoints,
        confidence=rng.random((3, 2)), split=("train", "validation", "unused"), scorer="heatmap_tracker",
    )  # fmt: skip


def test_layout(table, tmp_path):
    write_predictions(tmp_path / "p.csv", table)
    rows = list(csv.reader((tmp_path / "p.csv").open()))
    assert rows[0] == ["scorer", *["heatmap_tracker"] * 6, "set"]
    assert rows[1] == ["bodyparts", *["nose"] * 3, *["tail"] * 3, ""]
    assert rows[2] == ["coords", *["x", "y", "likelihood"] * 2, ""]
    assert rows[3][0] == "a/img0.png" and rows[3][-1] == "train" and rows[4][1] == ""
    assert float(rows[3][1]) == table.keypoints[0, 0, 0] and float(rows[3][3]) == table.confidence[0, 0]


def test_round_trip_is_exact(table, tmp_path):
    write_predictions(tmp_path / "p.csv", table)
    back = read_predictions(tmp_path / "p.csv")
    np.testing.assert_array_equal(back.keypoints, table.keypoints)
    np.testing.assert_array_equal(back.confidence, table.confidence)
    assert (back.index, back.split, back.keypoint_names, back.scorer) == (
        table.index,
        table.split,
        table.keypoint_names,
        table.scorer,
    )


def test_frames_are_numbered_and_written_bit_by_bit(table, tmp_path):
    with PredictionWriter(tmp_path / "v.csv", table.keypoint_names, "heatmap_tracker") as writer:
        writer.write(0, table.keypoints[:2], table.confidence[:2])
        assert not (tmp_path / "v.csv").exists()
        writer.write(2, table.keypoints[2:], table.confidence[2:])
    back = read_predictions(tmp_path / "v.csv")
    assert back.index == (0, 1, 2) and back.split is None
    np.testing.assert_array_equal(back.keypoints, table.keypoints)


def test_metric_layout(tmp_path):
    write_metric(tmp_path / "e.csv", ["nose", "tail"], np.array([[1.5, np.nan]]), ["img0.png"], ["test"])
    assert (tmp_path / "e.csv").read_text() == ",nose,tail,set\nimg0.png,1.5,,test\n"


def test_a_file_that_is_no_table_is_one_sentence(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not a prediction table"):
        read_predictions(tmp_path / "x.csv")
    with pytest.raises(DataError, match="does not exist"):
        read_predictions(tmp_path / "none.csv")


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "f.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="no room left on the disk"), atomic_path(tmp_path / "f.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_that_cannot_be_made_has_its_own_name_in_the_error(tmp_path):
    with pytest.raises(OSError, match="x") as caught, atomic_path(tmp_path / "x.csv") as temporary:
        temporary.mkdir()
        temporary.write_text("")  # a directory
    assert caught.value.filename == str(tmp_path / "x.csv")


def test_columns_beside_x_y_and_likelihood_are_passed_over(tmp_path):
    """The ensemble Kalman smoother writes nine columns per keypoint."""
    extra = ("x", "y", "likelihood", "x_ens_median", "y_ens_var")
    rows = [["scorer", *["eks"] * 10], ["bodyparts", *["nose"] * 5, *["tail"] * 5], ["coords", *extra * 2]]
    rows.append(["0", *map(str, range(10))])
    (tmp_path / "eks.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    table = read_predictions(tmp_path / "eks.csv")
    assert table.keypoint_names == ("nose", "tail") and table.keypoints.tolist() == [[[0, 1], [5, 6]]]
    assert table.confidence.tolist() == [[2, 7]]
