"""The command that gives every animal its own columns, from table to table."""

import numpy as np
import pytest
from lp_apps.main import COMMANDS, main
from lp_core import Animals, PoseTable
from lp_io import read_predictions, write_predictions

ANIMALS = Animals(individuals=("a", "b"), parts=("nose", "neck", "tail"), unique=("corner",))


@pytest.fixture
def given(tmp_path):
    """Two animals that cross, in random order, one of them missing for a while; and where they are in right order."""
    t = np.arange(60)[:, None, None]
    body = np.array([[0, 0], [10, 2], [20, 0]])
    step = t * np.array([2.0, 0.0])
    truth = np.stack([body + np.array([30, 50]) + step, body + np.array([150, 60]) - step], 1)
    truth[20:24, 1] = np.nan
    order = np.argsort(np.random.default_rng(0).random((60, 2)), axis=1)
    poses = np.take_along_axis(truth, order[:, :, None, None], 1)
    keypoints = np.concatenate([poses.reshape(60, 6, 2), np.full((60, 1, 2), 7.0)], 1)
    table = PoseTable(
        keypoint_names=ANIMALS.keypoint_names,
        index=tuple(range(60)),
        keypoints=keypoints,
        confidence=np.where(np.isnan(keypoints[..., 0]), 0.0, 0.9),
        animals=ANIMALS,
    )
    path = tmp_path / "video.csv"
    write_predictions(path, table)
    return path, truth


@pytest.mark.parametrize("tracker", ["ellipse", "box", "skeleton"])
def test_each_animal_has_its_columns(given, tmp_path, capsys, tracker):
    path, truth = given
    out = tmp_path / "new" / "tracked.csv"
    assert main(["track", f"predictions={path}", f"out={out}", f"tracker={tracker}", "tracker.max_age=4"]) == 0
    table = read_predictions(out)
    assert table.animals == ANIMALS
    np.testing.assert_allclose(table.keypoints[:, :6].reshape(60, 2, 3, 2), truth)
    assert (table.keypoints[:, 6] == 7).all()
    said = capsys.readouterr().out
    assert "116 of 116" in said and "b in 93.3% of the frames" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tracker=elipse"], "did you mean 'ellipse'"),
        (["tracker.similarity=3"], "above 0 and at most 1"),
        (["animals=0"], "not a number of animals"),
    ],
)
def test_mistakes_are_one_sentence(given, tmp_path, capsys, words, sentence):
    assert main(["track", f"predictions={given[0]}", f"out={tmp_path / 'out.csv'}", *words]) == 2
    assert sentence in capsys.readouterr().err and not (tmp_path / "out.csv").exists()


def test_the_table_itself_is_never_replaced(given, capsys):
    before = given[0].read_bytes()
    assert main(["track", f"predictions={given[0]}", f"out={given[0]}"]) == 2
    assert "would be replaced" in capsys.readouterr().err and given[0].read_bytes() == before


def test_help_names_it():
    assert "track" in COMMANDS
