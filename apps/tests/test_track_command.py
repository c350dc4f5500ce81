"""The command that gives every animal its own columns, from table to table."""

import dataclasses

import numpy as np
import pytest
from lp_apps.main import COMMANDS, main
from lp_core import Animals, PoseTable
from lp_io import VideoWriter, read_predictions, write_predictions

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


@pytest.fixture
def turning(tmp_path):
    """A table and a video of a red and a blue animal that meet, are not found for 8 frames, and go back where they came
    from; by their motion they would have passed each other.
    """
    t = np.minimum(np.arange(80), 79 - np.arange(80))[:, None, None]
    body, step = np.array([[-16, 0], [0, 4], [16, 0]]), t * np.array([2.0, 0.0])
    truth = np.stack([body + np.array([20, 60]) + step, body + np.array([180, 60]) - step], 1)
    video = tmp_path / "video.mp4"
    with VideoWriter(video, 30, (120, 200), threads=1) as writer:
        for frame in truth:
            picture = np.full((120, 200, 3), 128, np.uint8)
            for (x, y), colour in zip(frame.mean(1).astype(int), [(220, 60, 60), (60, 60, 220)], strict=True):
                picture[y - 8 : y + 9, x - 20 : x + 21] = colour
            writer.write(picture)
    truth[36:44] = np.nan
    animals = Animals(individuals=("a", "b"), parts=("nose", "neck", "tail"))
    table = PoseTable(
        keypoint_names=animals.keypoint_names,
        index=tuple(range(80)),
        keypoints=truth.reshape(80, 6, 2),
        confidence=np.where(np.isnan(truth[..., 0]), 0.0, 0.9).reshape(80, 6),
        animals=animals,
    )
    write_predictions(tmp_path / "turning.csv", table)
    return tmp_path / "turning.csv", video, truth


def test_colours_in_the_video_say_who_is_who(turning, tmp_path, capsys):
    path, video, truth = turning
    for words, right in (([], False), ([f"source={video}"], True)):
        out = tmp_path / f"{right}.csv"
        assert main(["track", f"predictions={path}", f"out={out}", *words]) == 0
        found = read_predictions(out).keypoints.reshape(80, 2, 3, 2)
        assert np.allclose(found, truth, equal_nan=True) == right
        assert ("tell the animals apart" in capsys.readouterr().out) == right


def test_a_video_that_does_not_fit_is_one_sentence(given, turning, tmp_path, capsys):
    table = read_predictions(given[0])
    longer = dataclasses.replace(
        table,
        index=tuple(range(120)),
        keypoints=np.tile(table.keypoints, (2, 1, 1)),
        confidence=np.tile(table.confidence, (2, 1)),
    )
    write_predictions(tmp_path / "longer.csv", longer)
    words = ["track", f"predictions={tmp_path / 'longer.csv'}", f"out={tmp_path / 'out.csv'}"]
    assert main([*words, f"source={turning[1]}"]) == 2
    assert "has 80 frames and the predictions go to frame 119" in capsys.readouterr().err
    assert main([*words, f"source={tmp_path / 'none.mp4'}"]) == 2
    assert "none.mp4" in capsys.readouterr().err and not (tmp_path / "out.csv").exists()


def test_the_table_itself_is_never_replaced(given, capsys):
    before = given[0].read_bytes()
    assert main(["track", f"predictions={given[0]}", f"out={given[0]}"]) == 2
    assert "would be replaced" in capsys.readouterr().err and given[0].read_bytes() == before


def test_help_names_it():
    assert "track" in COMMANDS
