"""Prediction tables of any length: what comes in parts is what comes at once, and no more is held."""

import tracemalloc

import numpy as np
import pytest
from lp_core import Animals, DataError, PoseTable
from lp_io import PredictionRows, PredictionWriter, read_predictions, write_predictions


def table(rows: int, animals: Animals | None = None) -> PoseTable:
    names = animals.keypoint_names if animals else ("nose", "tail", "paw")
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 500, (rows, len(names), 2))
    keypoints[rng.random((rows, len(names))) < 0.1] = np.nan
    return PoseTable(
        keypoint_names=names, index=tuple(range(rows)), keypoints=keypoints,
        confidence=rng.random((rows, len(names))), animals=animals,
    )  # fmt: skip


@pytest.mark.parametrize("animals", [None, Animals(individuals=("a", "b"), parts=("x", "y"), unique=("corner",))])
@pytest.mark.parametrize("rows", [0, 1, 20, 23])
def test_parts_make_the_whole(tmp_path, rows, animals):
    given = table(rows, animals)
    with PredictionWriter(tmp_path / "t.csv", given.keypoint_names, "me", animals=animals) as writer:
        if rows:
            writer.write(0, given.keypoints, given.confidence)
    found = PredictionRows(tmp_path / "t.csv")
    parts = list(found.chunks(10))
    assert len(found) == rows and [len(p.index) for p in parts] == [10] * (rows // 10) + [rows % 10] * (rows % 10 > 0)
    assert found.keypoint_names == given.keypoint_names and found.animals == animals
    if rows:
        np.testing.assert_array_equal(np.concatenate([p.keypoints for p in parts]), given.keypoints)
        np.testing.assert_array_equal(np.concatenate([p.confidence for p in parts]), given.confidence)
        assert [n for p in parts for n in p.index] == list(read_predictions(tmp_path / "t.csv").index)


def test_a_last_line_without_an_end_counts(tmp_path):
    write_predictions(tmp_path / "t.csv", table(5))
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text().rstrip("\n"))
    assert len(PredictionRows(tmp_path / "t.csv")) == 5


def test_memory_does_not_grow_with_the_table(tmp_path):
    peaks = []
    for rows in (2000, 20000):
        write_predictions(tmp_path / "t.csv", table(rows))
        found = PredictionRows(tmp_path / "t.csv")
        tracemalloc.start()
        assert len(found) == sum(len(part.index) for part in found.chunks(500)) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_mistakes_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"t\.csv does not exist"):
        PredictionRows(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not a prediction table"):
        PredictionRows(tmp_path / "t.csv")
    write_predictions(tmp_path / "t.csv", table(12))
    lines = (tmp_path / "t.csv").read_text().splitlines()
    lines[13] = "10,1,2"
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"t\.csv, rows 10 to 11: a cell that is not a number, or a line that is too"):
        list(PredictionRows(tmp_path / "t.csv").chunks(10))
