"""The report from the command line, of a run directory as small as can be."""

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
    assert main(["report", f"runs=[{run},{run}]", f"out={tmp_path / 'c.html'}"]) == 0
    assert "no clear difference" in (tmp_path / "c.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "run=RUN or runs=[A,B]"),
        (["run=a", "runs=[a,b]"], "run=RUN or runs=[A,B]"),
        (["runs=[a,b]"], "out=FILE.html"),
        (["runs=[a]", "out=c.html"], "at least two"),
        (["runs=a", "out=c.html"], "list of run directories"),
        (["run=a", "data.rot=b"], "no option data.rot"),
        (["run=nowhere"], "nowhere is not a run directory"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *words]) == 2
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())
