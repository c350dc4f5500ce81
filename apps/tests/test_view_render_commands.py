"""Videos and viewers by command: several runs, several cameras, slow motion; every mistake is one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
from lp_apps import view
from lp_apps.lists import run_folders, short_names
from lp_apps.main import main
from lp_core import ConfigError, PoseTable
from lp_io import VideoReader, VideoWriter, write_predictions
from lp_viz.tensorboard_viewer import TensorBoardConfig
from lp_viz.viewers import Results, ViewerConfig, viewers

SIZE, COUNT = (64, 80), 30


@pytest.fixture
def made(tmp_path) -> Path:
    """Two runs, as far as rendering reads them, and two videos that both have predicted."""
    for video in ("left", "right"):
        with VideoWriter(tmp_path / f"{video}.mp4", 10.0, SIZE) as writer:
            for _ in range(COUNT):
                writer.write(np.full((*SIZE, 3), 90, np.uint8))
    for run in ("a", "b"):
        keypoints = np.tile(np.array([[20.0, 30.0], [60.0, 40.0]]), (COUNT, 1, 1))
        keypoints[12:] += 10
        table = PoseTable(
            keypoint_names=("nose", "tail"), index=tuple(range(COUNT)), keypoints=keypoints,
            confidence=np.ones((COUNT, 2)),
        )  # fmt: skip
        for video in ("left", "right"):
            write_predictions(tmp_path / run / "video_preds" / f"{video}.csv", table)
        (tmp_path / run / "config.yaml").write_text("{}")
        (tmp_path / run / "provenance.json").write_text(json.dumps({"skeleton": [[0, 1]]}))
    return tmp_path


def test_one_run_and_its_skeleton(made):
    assert main(["render", f"run={made / 'a'}", f"source={made / 'left.mp4'}"]) == 0
    out = made / "a/video_preds/labeled_videos/left_labeled.mp4"
    with VideoReader(out) as reader:
        frame = reader.clip(0, 1)[0].astype(int)
        assert reader.frame_count == COUNT and reader.fps == pytest.approx(10)
        factor = reader.size[0] // SIZE[0]
    assert np.abs(frame[35 * factor, 40 * factor] - 90).sum() > 40  # half-way between the keypoints
    assert main(["render", f"run={made / 'a'}", f"source={made / 'left.mp4'}", "skeleton=false"]) == 0
    with VideoReader(out) as reader:
        assert np.abs(reader.clip(0, 1)[0][35 * factor, 40 * factor].astype(int) - 90).sum() < 20


def test_two_runs_two_cameras_slowly(made):
    words = [f"runs=[{made / 'a'},{made / 'b'}]", f"source=[{made / 'left.mp4'},{made / 'right.mp4'}]"]
    assert (
        main(["render", *words, f"out={made / 'out.mp4'}", "slow=jumps", "moments=1", "seconds=0.6", "min_side=1"]) == 0
    )
    with VideoReader(made / "out.mp4") as reader:
        assert (reader.frame_count, reader.fps) == (6, pytest.approx(2.5))
        assert reader.size == (SIZE[0], 2 * SIZE[1] + 4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["source=x.mp4"], "Either run=DIR or runs=[DIR,DIR] must be given"),
        (["run={a}", "runs=[{b}]", "source=x.mp4"], "Either run=DIR or runs=[DIR,DIR] must be given"),
        (["run={a}", "source=/nowhere.mp4"], "/nowhere.mp4 does not exist; give a video"),
        (["run=/nowhere", "source={left}"], "/nowhere/config.yaml does not exist"),
        (["runs=[{a},{a}]", "source={left}"], "is named twice"),
        (["run={a}", "source={left}", "slow=best"], "slow=best must be worst, jumps or unsure"),
        (["run={a}", "source={left}", "moments=3"], "moments, seconds and slower belong to slow=worst"),
        (["run={a}", "source={left}", "encoder=fast"], "encoder=fast must be one of auto, exact, quick"),
    ],
)
def test_mistakes_are_one_sentence(made, capsys, words, sentence):
    places = {"a": made / "a", "b": made / "b", "left": made / "left.mp4"}
    assert main(["render", *(word.format(**places) for word in words)]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_names_of_runs(tmp_path):
    assert short_names([Path("/x/run/v1"), Path("/y/run/v1")]) == ["x/run/v1", "y/run/v1"]
    assert short_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    with pytest.raises(ConfigError, match="names no run"):
        run_folders(None, "[]")


def test_a_viewer_gets_what_it_reads(made, monkeypatch):
    shown = []

    class Fake(ViewerConfig):
        def build(self):
            return self

        def show(self, results):
            shown.append(results)

    monkeypatch.setattr(type(viewers), "make", lambda self, name, **options: Fake(**options))
    monkeypatch.setattr(view, "results", lambda runs, source: Results(runs=runs, skeleton=((0, 1),)))
    view.run([f"runs=[{made / 'a'},{made / 'b'}]", "viewer=fake"])
    assert list(shown[0].runs) == ["a", "b"] and shown[0].skeleton == ((0, 1),)


def test_tensorboard_is_started_on_the_runs():
    viewer = TensorBoardConfig(port=7007).build()
    one, two = (viewer.command({n: Path(f"/runs/{n}") for n in names}) for names in (["a"], ["a", "b"]))
    assert one[-2:] == ["--logdir", "/runs/a"] and two[-2:] == ["--logdir_spec", "a:/runs/a,b:/runs/b"]
    assert "7007" in one and one[1:3] == ["-m", "tensorboard.main"]
    with pytest.raises(ConfigError, match="comma or colon"):
        viewer.command({"a": Path("/x,y"), "b": Path("/b")})


def test_installed_viewers():
    assert {"fiftyone", "tensorboard"} <= set(viewers)
    assert all(not part.problem for part in viewers.parts())
