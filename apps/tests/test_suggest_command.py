"""lpose suggest: from the files of a run, which a stand-in for prediction completes."""

import csv
import json

import numpy as np
import pytest
import yaml
from lp_apps.main import COMMANDS, main
from lp_core import PoseTable
from lp_io import VideoWriter, write_predictions
from PIL import Image

FRAMES, SIZE = 60, (48, 64)


def table(seed, bad):
    rng = np.random.default_rng(seed)
    walk = np.stack([np.linspace(10, 50, FRAMES), np.full(FRAMES, 24.0)], -1)
    keypoints = np.stack([walk, walk + np.array([0, 5])], 1) + rng.normal(0, 0.2, (FRAMES, 2, 2))
    confidence = np.full((FRAMES, 2), 0.9) - rng.uniform(0, 0.02, (FRAMES, 2))
    keypoints[bad] += 12
    confidence[bad] = 0.2
    return PoseTable(keypoint_names=("a", "b"), index=tuple(range(FRAMES)), keypoints=keypoints, confidence=confidence)


@pytest.fixture
def given(tmp_path, monkeypatch):
    """A project with two videos and one labeled frame, two runs trained on it, and what was predicted."""
    project = tmp_path / "data"
    (project / "labeled-data/one").mkdir(parents=True)
    for number, name in enumerate(("one", "two")):
        with VideoWriter(project / "videos" / f"{name}.mp4", 30.0, SIZE, threads=1) as writer:
            for n in range(FRAMES):
                picture = np.full((*SIZE, 3), 80 + 40 * number, np.uint8)
                picture[20:30, n : n + 6] = 220
                writer.write(picture)
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    Image.fromarray(noise).save(project / "labeled-data/one/img0010.png")
    (project / "CollectedData.csv").write_text(
        "scorer,me,me,me,me\nbodyparts,a,a,b,b\ncoords,x,y,x,y\nlabeled-data/one/img0010.png,20,24,20,29\n"
    )
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump({"data": {"root": str(project), "format": "auto"}}))
    (tmp_path / "A" / "provenance.json").write_text(json.dumps({"skeleton": [[0, 1]]}))
    asked = []

    def predict(words):
        options = dict(word.split("=", 1) for word in words)
        stem = options["source"].rsplit("/", 1)[-1].removesuffix(".mp4")
        asked.append((options["run"].rsplit("/", 1)[-1], stem))
        write_predictions(f"{options['out']}/{stem}.csv", table(len(asked), [10, 30] if stem == "one" else [45]))

    monkeypatch.setattr("lp_apps.predict.run", predict)
    return tmp_path, asked


def rows(folder):
    return list(csv.DictReader((folder / "suggestions.csv").open()))


def test_all_videos_of_the_project(given, capsys):
    root, asked = given
    assert main(["suggest", f"run={root / 'A'}", "n=4"]) == 0
    out = root / "A" / "suggestions"
    chosen = [(row["video"].rsplit("/", 1)[-1], int(row["frame"])) for row in rows(out)]
    assert len(set(chosen)) == 4 and {name for name, _ in chosen} == {"one.mp4", "two.mp4"}
    assert any(name == "one.mp4" and abs(n - 30) <= 1 for name, n in chosen)
    assert ("one.mp4", 10) not in chosen  # labeled
    assert all((out / row["image"]).exists() for row in rows(out)) and (out / "suggested_predictions.csv").exists()
    assert asked == [("A", "one"), ("A", "two")]
    said = capsys.readouterr().out
    assert "unsure" in said and "4 frames to label in" in said
    assert (root / "data/CollectedData.csv").read_text().count("\n") == 4


def test_what_is_there_is_not_predicted_again_nor_replaced(given, capsys):
    root, asked = given
    words = ["suggest", f"run={root / 'A'}", "n=2", f"source={root / 'data/videos/two.mp4'}"]
    assert main([*words, f"out={root / 'first'}"]) == 0
    assert main([*words, f"out={root / 'second'}"]) == 0
    assert asked == [("A", "two")]
    assert [row["frame"] for row in rows(root / "first")] == [row["frame"] for row in rows(root / "second")]
    assert main([*words, f"out={root / 'first'}"]) == 2
    assert "exists; give another out=DIR" in capsys.readouterr().err


def test_runs_that_disagree(given, capsys):
    root, asked = given
    words = ["suggest", f"run={root / 'A'}", f"runs=[{root / 'A'},{root / 'B'}]", "by=[ensemble]", "n=2"]
    assert main([*words, f"out={root / 'out'}", f"source={root / 'data/videos/two.mp4'}", "format=deeplabcut"]) == 0
    assert asked == [("A", "two"), ("B", "two")]
    assert "ensemble" in capsys.readouterr().out and "ensemble" in rows(root / "out")[0]
    assert (root / "out/labeled-data/two/machinelabels-iter0.h5").exists()


def test_a_project_that_has_moved_is_named(given, capsys):
    root, _ = given
    (root / "data").rename(root / "moved")
    assert main(["suggest", f"run={root / 'A'}", "n=2"]) == 2
    assert "give source=VIDEO" in capsys.readouterr().err
    assert main(["suggest", f"run={root / 'A'}", "n=2", f"data={root / 'moved'}"]) == 0
    assert "not known" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run={t}/data"], "must be the directory of a training"),
        (["run={t}/A", "format=coco"], "format=coco is not known"),
        (["run={t}/A", "source={t}/data/CollectedData.csv"], "holds no video"),
        (["run={t}/A", "ensemble={t}"], "make it with lpose ensemble"),
    ],
)
def test_mistakes_are_one_sentence(given, words, sentence, capsys):
    assert main(["suggest", *(word.format(t=given[0]) for word in words)]) == 2
    assert sentence in capsys.readouterr().err


def test_several_cameras_are_refused(given, capsys):
    root, _ = given
    (root / "A" / "config.yaml").write_text(
        yaml.safe_dump({"data": {"root": str(root), "view_names": ["top", "side"]}})
    )
    assert main(["suggest", f"run={root / 'A'}"]) == 2
    assert "several cameras" in capsys.readouterr().err


def test_help_names_it():
    assert "suggest" in COMMANDS
