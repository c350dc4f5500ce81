"""lpose ensemble: runs and tables in, one smoothed table out; what exists is not predicted again."""

import csv

import numpy as np
import pytest
from lp_apps import ensemble
from lp_core import ConfigError, DataError, PoseTable, TrainingPoses
from lp_io import read_predictions, write_predictions
from lp_train import RunDir
from lp_train.poses import save_poses

FRAMES = 30


def table(seed, index=None, names=("nose", "tail")):
    rng = np.random.default_rng(seed)
    index = tuple(range(FRAMES)) if index is None else index
    walk = np.cumsum(np.random.default_rng(99).normal(size=(len(index), len(names), 2)), 0) + 100
    keypoints = walk + rng.normal(size=walk.shape)
    return PoseTable(keypoint_names=names, index=index, keypoints=keypoints, confidence=np.full(walk.shape[:2], 0.8))


def numbers(path):
    """(frames, keypoints, 9) of the table written."""
    rows = list(csv.reader(path.open()))
    return np.array([[float(cell or "nan") for cell in row[1:]] for row in rows[3:]]).reshape(len(rows) - 3, -1, 9)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / name / "v.csv" for name in "abc"]
    for seed, path in enumerate(paths):
        write_predictions(path, table(seed))
    return paths


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three directories, and a stand-in for `lpose predict` that keeps what it was asked."""
    asked = []

    def predict(words):
        given = dict(word.split("=", 1) for word in words)
        asked.append(given)
        stem = given["source"].rsplit("/", 1)[-1].removesuffix(".mp4")
        write_predictions(f"{given['out']}/{stem}.csv", table(len(asked)))

    monkeypatch.setattr("lp_apps.predict.run", predict)
    (tmp_path / "v.mp4").touch()
    for name in "ABC":
        (tmp_path / name).mkdir()
    return asked


def listed(*names):
    return f"[{','.join(map(str, names))}]"


def test_tables_become_one(files, tmp_path, capsys):
    ensemble.run([f"members={listed(*files)}", f"out={tmp_path / 'out'}"])
    found = numbers(tmp_path / "out" / "v.csv")
    members = np.stack([read_predictions(file).keypoints for file in files])
    np.testing.assert_allclose(found[..., 3:5], np.median(members, 0))
    assert np.isfinite(found).all() and np.abs(found[..., :2] - found[..., 3:5]).max() > 0.01
    out = capsys.readouterr().out
    assert (
        f"3 members, {np.sqrt(members.var(0).sum(-1)).mean():.2f} px" in out and str(tmp_path / "out" / "v.csv") in out
    )
    assert out.count("\n") == 1


def test_its_table_says_as_much_about_disagreement_as_its_members(files, tmp_path):
    from lp_viz.suggest.evidence import read_ensemble, spread

    ensemble.run([f"members={listed(*files)}", f"out={tmp_path / 'out'}"])
    tables = [read_predictions(file) for file in files]
    found = read_ensemble(tmp_path / "out" / "v.csv", tables[0])
    np.testing.assert_allclose(found, spread(tables, files), rtol=1e-5)


def test_options(files, tmp_path):
    words = [f"members={listed(*files)}", f"out={tmp_path / 'out'}", "source=other.mp4"]
    members = np.stack([read_predictions(file).keypoints for file in files])
    ensemble.run([*words, "mean=true", "smooth=false"])
    found = numbers(tmp_path / "out" / "other.csv")
    np.testing.assert_allclose(found[..., :2], members.mean(0))
    assert np.isnan(found[..., 7:]).all()
    rough = []
    for s in (1e-6, 1e6):
        ensemble.run([*words, f"s={s:f}"])
        rough.append(np.abs(np.diff(numbers(tmp_path / "out" / "other.csv")[..., :2], axis=0)).mean())
    assert rough[0] < 0.01 < 0.1 < rough[1]


def test_runs_are_predicted_once(runs, tmp_path, capsys):
    words = [f"runs={tmp_path / 'A'},{tmp_path / 'B'}", f"source={tmp_path / 'v.mp4'}", f"out={tmp_path / 'out'}"]
    ensemble.run([*words, "device=cpu", "batch_size=4"])
    folder = tmp_path / "out" / "members"
    assert [given["run"] for given in runs] == [str(tmp_path / "A"), str(tmp_path / "B")]
    assert runs[0]["out"] == str(folder / "A") and (runs[0]["device"], runs[0]["batch_size"]) == ("cpu", "4")
    first = (tmp_path / "out" / "v.csv").read_bytes()
    (folder / "B" / "v.csv").unlink()
    (tmp_path / "out" / "v.csv").unlink()
    ensemble.run(words)
    assert [given["run"] for given in runs[2:]] == [str(tmp_path / "B")]
    ensemble.run([words[0][:-1] + "C", *words[1:]])
    assert [given["run"] for given in runs[3:]] == [str(tmp_path / "C")]
    assert (tmp_path / "out" / "v.csv").read_bytes() != first and "2 members" in capsys.readouterr().out


def test_a_folder_of_videos(runs, tmp_path):
    for name in ("x.mp4", "y.mp4", "notes.txt"):
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / name).touch()
    ensemble.run([f"runs={listed(tmp_path / 'A', tmp_path / 'B')}", f"source={tmp_path / 'videos'}", f"out={tmp_path}"])
    assert len(runs) == 4 and (tmp_path / "x.csv").exists() and (tmp_path / "y.csv").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["out=o"], r"Either runs=\[…\] or members=\[…\] must be given"),
        (["out=o", "runs=[A,B]", "members=[a,b]"], "Either runs"),
        (["out=o", "runs=[{t}/A]", "source={t}/v.mp4"], "fewer than two members; an ensemble needs at least two"),
        (["out=o", "members=[]"], "fewer than two members"),
        (["out=o", "runs=[{t}/A,{t}/B]"], r"source=… must be given with runs=\[…\]"),
        (
            ["out=o", "runs=[{t}/A,{t}/C/../A]", "source={t}/v.mp4"],
            "names A twice; the members must have different names",
        ),
        (["out=o", "members=[{t}/a/v.csv,{t}/b/../a/v.csv]"], r"a/v\.csv twice"),
        (["out=o", "members=[{t}/a/v.csv,{t}/b/v.csv]", "s=2", "smooth=false"], "leave one of them out"),
        (["out={t}/a", "members=[{t}/a/v.csv,{t}/b/v.csv]"], r"a/v\.csv is one of the members"),
        (["out={t}/o", "members=[{t}/a/v.csv,{t}/b/v.csv]", "s=0"], "s=0.0 must be positive"),
        (["out={t}/o", "runs=[{t}/A,{t}/B]", "source={t}/v.mp4", "s=-1"], "s=-1.0 must be positive"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, runs, files, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        ensemble.run([word.format(t=tmp_path) for word in words])
    assert not runs and not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["runs=[{t}/A,{t}/gone]", "source={t}/v.mp4"], "gone is not a directory"),
        (["runs=[{t}/A,{t}/B]", "source=[{t}/v.mp4,{t}/A/v.mp4]"], "would have the same table"),
        (
            ["runs=[{t}/A,{t}/D]", "source={t}/v.mp4"],
            r"A and .*D have different keypoints \(only one of them has ear, tail\)",
        ),
        (["runs=[{t}/A,{t}/B]", "source={t}/gone.mp4"], r"gone\.mp4 does not exist"),
        (["runs=[{t}/A,{t}/B]", "source={t}/a/v.csv"], "holds no video"),
        (["members=[{t}/a/v.csv,{t}/gone.csv]"], r"gone\.csv does not exist"),
        (
            ["members=[{t}/a/v.csv,{t}/other.csv]"],
            r"a/v\.csv has the keypoints nose, tail but .*other\.csv has nose, ear",
        ),
        (["members=[{t}/images.csv,{t}/images2.csv]"], "combine them with smooth=false"),
    ],
)
def test_a_file_that_does_not_fit(words, sentence, runs, files, tmp_path):
    write_predictions(tmp_path / "other.csv", table(3, names=("nose", "ear")))
    (tmp_path / "A/v.mp4").touch()
    (tmp_path / "D").mkdir()
    for run, names in (("A", ("nose", "tail")), ("D", ("nose", "ear"))):
        poses = TrainingPoses(keypoint_names=names, keypoints=np.zeros((3, 2, 2)))
        save_poses(RunDir(tmp_path / run).poses, poses)
    for name in ("images.csv", "images2.csv"):
        write_predictions(tmp_path / name, table(4, index=("a.png", "b.png")))
    with pytest.raises(DataError, match=sentence):
        ensemble.run(["out=" + str(tmp_path / "o"), *(word.format(t=tmp_path) for word in words)])
    assert not runs and not (tmp_path / "o").exists()


def test_images_can_be_combined(tmp_path):
    for name in ("a.csv", "b.csv"):
        write_predictions(tmp_path / name, table(4, index=("a.png", "b.png")))
    ensemble.run([f"members={tmp_path / 'a.csv'},{tmp_path / 'b.csv'}", f"out={tmp_path / 'o'}", "smooth=false"])
    assert (tmp_path / "o" / "a.csv").read_text().splitlines()[3].startswith("a.png,")
