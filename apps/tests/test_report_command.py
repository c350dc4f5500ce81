"""The report from the command line, of a run directory as small as can be."""

import shutil

import numpy as np
import pytest
from lp_apps.main import main
from lp_core import PoseTable
from lp_io import write_metric, write_predictions


@pytest.fixture
def run(tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    (root / "config.yaml").write_text(f"data:\n  root: {tmp_path / 'gone'}\n")
    images, names, split = tuple(f"{i}.png" for i in range(4)), ("nose", "tail"), ("test",) * 4
    points = np.zeros((4, 2, 2))
    table = PoseTable(keypoint_names=names, index=images, keypoints=points, confidence=points[..., 0], split=split)
    write_predictions(root / "predictions.csv", table)
    write_metric(root / "predictions_pixel_error.csv", names, points[..., 0] + 3, images, split)
    return root


def test_a_report_is_written_into_the_run_and_says_what_is_missing(run, capsys):
    assert main(["report", f"run={run}"]) == 0
    said = capsys.readouterr().out
    assert "3.00 px" in (run / "report.html").read_text() and f"report  {run / 'report.html'}" in said
    assert str(run.parent / "gone") in said and "data.root=DIRECTORY" in said


def test_a_comparison(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    assert main(["report", f"runs=[{run},{other}]", f"out={tmp_path / 'c.html'}"]) == 0
    assert "no clear difference" in (tmp_path / "c.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Either run=DIR or runs=[DIR,DIR]"),
        (["run=run", "runs=[run,other]"], "Either run=DIR or runs=[DIR,DIR]"),
        (["runs=[run,other]"], "out=FILE.html"),
        (["runs=[run]", "out=c.html"], "at least two"),
        (["runs=[run,run]", "out=c.html"], "named twice"),
        (["run=run", "data.rot=b"], "no option data.rot"),
        (["run=nowhere"], "nowhere must be the directory of a run"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, message, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "other")
    assert main(["report", *words]) == 2
    assert message in capsys.readouterr().err and not list(tmp_path.rglob("*.html"))
