"""What others do to the files while the page is open, and killing it at the worst moment."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from lp_core import DataError
from lp_io import read_labels
from lp_viz.review.project import ReviewOptions, open_review
from lp_viz.review.session import Place, Session, Start

IMAGE = "labeled-data/mouse/img0010.png"
MOVED = (33.25, 12.5, 2)


@pytest.fixture
def opened():
    """Opens sessions, and closes them with the test."""
    found = []

    def begin(world):
        project = open_review(ReviewOptions(run=world.run, root=world.root))
        assert project.labels is not None, project.reason
        found.append((Session(project, project.labels), project))
        return found[-1][0]

    yield begin
    for session, project in found:
        session.close()
        project.close()


def move(session, place=None, keypoint=1, point=MOVED):
    return session.edit(place or Place(video=0, frame=10), keypoint, point, Start())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text[: text.index("img0010") + 20], "cells"),  # another program is still writing
        (lambda text: text.replace("11.50", "eleven"), "eleven"),
        (lambda text: "", "label table"),
        (lambda text: "\n".join(text.splitlines()[:3]) + "\n", None),  # no rows left: all labels are gone
        (lambda text: text.replace("tail,tail", "rump,rump"), "tail"),
        (lambda text: text.replace("scorer,", "\x00\xff,"), "label table"),
        (lambda text: text.replace("bodyparts,nose,nose", "bodyparts,nose"), "cells"),
    ],
)
def test_a_label_file_that_was_spoiled_meanwhile_is_one_sentence(world, opened, spoil, says):
    path = world.root / "CollectedData.csv"
    session = opened(world)
    move(session)
    path.write_text(spoil(path.read_text()))
    content = path.read_bytes()
    if says is None:
        assert session.refresh() and session.conflicts == {IMAGE}
        return
    for _ in range(2):
        with pytest.raises(DataError, match=says):
            session.save()
    assert path.read_bytes() == content and len(session.edits.dirty) == 1


def test_what_a_killed_page_left_half_written_is_cleared_away(world, opened):
    folder = world.root / "labeled-data/mouse"
    left = [world.root / ".CollectedData.123.tmp.csv", folder / ".img0005.123.tmp.png"]
    kept = [world.root / ".hidden.csv", folder / ".img0006.124.tmp.png"]
    for path in (*left, *kept):
        path.touch()
    for path in (*left, kept[0]):
        os.utime(path, (0, 0))
    opened(world)
    assert not any(path.exists() for path in left) and all(path.exists() for path in kept)


def test_a_label_file_that_is_gone_is_one_sentence(world, opened):
    path = world.root / "CollectedData.csv"
    session = opened(world)
    move(session)
    text = path.read_text()
    path.unlink()
    with pytest.raises(DataError, match="is gone"):
        session.save()
    path.write_text(text)
    assert session.save()["saved"] == 1


def test_a_labeled_image_that_is_gone_does_not_hide_the_video(world, opened):
    session = opened(world)
    (world.root / "labeled-data/mouse/img0003.png").unlink()
    assert session.labeled_frames(0) == [3, 10, 40]
    session.add(Place(video=0, frame=5), Start())
    assert session.save()["saved"] == 1


def test_labels_that_cannot_be_read_do_not_hide_the_video(world):
    (world.root / "labeled-data/mouse/img0003.png").unlink()
    project = open_review(ReviewOptions(run=world.run))
    assert [video.name for video in project.videos] == ["mouse"] and "img0003.png does not exist" in project.reason
    project.close()


def test_runs_of_several_cameras_are_shown_and_say_why_nothing_is_edited(world):
    """Frames that were added to the labels of one camera alone would not be trained on any more."""
    (world.root / "CollectedData.csv").rename(world.root / "top.csv")
    (world.root / "side.csv").write_text((world.root / "top.csv").read_text())
    config = yaml.safe_load((world.run / "config.yaml").read_text())
    config["data"]["view_names"] = ["top", "side"]
    (world.run / "config.yaml").write_text(yaml.safe_dump(config))
    project = open_review(ReviewOptions(run=world.run))
    assert project.labels is None and "several cameras" in project.reason
    assert [video.name for video in project.videos] == ["mouse"] and project.videos[0].predictions()
    project.close()


def test_images_numbered_otherwise_are_not_taken_for_frames(world, opened):
    """Their names end in digits, but they show other frames."""
    path = world.root / "CollectedData.csv"
    text = path.read_text()
    for name, other in (("img0003", "best_1"), ("img0010", "best_2"), ("img0040", "best_3")):
        (world.root / f"labeled-data/mouse/{name}.png").rename(world.root / f"labeled-data/mouse/{other}.png")
        text = text.replace(name, other)
    path.write_text(text)
    session = opened(world)
    assert session.labeled_frames(0) == []
    with pytest.raises(DataError, match="not its frames"):
        session.add(Place(video=0, frame=5), Start())
    move(session, Place(image=1))
    assert "video" not in session.state()["frames"][0]  # the list of edits leads to the image


def test_a_point_of_an_added_frame_that_was_undone_meanwhile(world, opened):
    """Another tab has taken the frame back; this one still shows it among the labeled frames."""
    session = opened(world)
    session.add(Place(video=0, frame=5), Start())
    number = session.images.index("labeled-data/mouse/img0005.png")
    session.undo()
    move(session, Place(image=number))
    assert session.pose("labeled-data/mouse/img0005.png") == ((15.0, 8.0, 2), MOVED, (10.0, 40.0, 2))
    assert session.save()["saved"] == 1 and world.pose("labeled-data/mouse/img0005.png")[0][1] == [33.25, 12.5]


def test_two_tabs_on_one_frame_keep_both_points(world, opened):
    session = opened(world)
    move(session, keypoint=1)
    move(session, Place(image=1), keypoint=0, point=(1.0, 2.0, 2))
    assert session.pose(IMAGE)[:2] == ((1.0, 2.0, 2), MOVED)
    assert session.undo().what == "nose moved" and session.pose(IMAGE)[:2] == ((11.5, 8.0, 2), MOVED)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no uids")
def test_a_label_file_that_may_not_be_written_stays(world, opened, monkeypatch):
    path = world.root / "CollectedData.csv"
    path.chmod(0o444)
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda p, mode: real(p, mode) and (mode != os.W_OK or Path(p) != path)
    )  # root may
    session = opened(world)
    move(session)
    content = path.read_bytes()
    with pytest.raises(DataError, match="may not be written"):
        session.save()
    assert path.read_bytes() == content and len(session.edits.dirty) == 1


def test_killed_between_both_files_of_deeplabcut_writes_both_again(deeplabcut, opened, monkeypatch):
    from lp_viz.review import label_store

    session = opened(deeplabcut)
    move(session)
    session.add(Place(video=0, frame=5), Start())
    written = []
    original = label_store.LabelStore._edit

    def one(store, path, poses):
        if written:
            raise KeyboardInterrupt  # stands for the kill
        written.append(path)
        original(store, path, poses)

    monkeypatch.setattr(label_store.LabelStore, "_edit", one)
    with pytest.raises(KeyboardInterrupt):
        session.save()
    monkeypatch.undo()
    session.close()
    again = opened(deeplabcut)
    assert not again.conflicts
    again.save()
    stem = "labeled-data/mouse/CollectedData_me"
    csv, h5 = (read_labels(deeplabcut.root, "deeplabcut", f"{stem}.{kind}") for kind in ("csv", "h5"))
    assert csv.images == h5.images and len(csv.images) == 4
    np.testing.assert_array_equal(csv.keypoints, h5.keypoints)
    assert csv.keypoints[1, 1].tolist() == [33.25, 12.5]


SAVING = """
import sys
from pathlib import Path
from lp_viz.review.project import ReviewOptions, open_review
from lp_viz.review.session import Place, Session, Start
project = open_review(ReviewOptions(run=Path(sys.argv[1]), root=Path(sys.argv[2])))
session = Session(project, project.labels)
print("open", flush=True)
for n in range(int(sys.argv[3]), 10_000):
    session.edit(Place(video=0, frame=10), 1, (1 + n / 1000, 12.5, 2), Start())
    print(n, flush=True)
    session.save()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("kind", ["world", "deeplabcut"])
def test_killed_again_and_again_while_it_saves(kind, request, opened):
    """After every kill the label file is whole, and the last edit that was answered is in the file or the journal."""
    world, last = request.getfixturevalue(kind), 0
    image = IMAGE if kind == "world" else "labeled-data/mouse/img10.png"
    before = (None if kind == "world" else 3.0,)
    for number in range(4):
        words = [sys.executable, "-c", SAVING, world.run, world.root, str(last + 1)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout and process.stdout.readline() == "open\n"
            time.sleep(0.03 + 0.023 * number)
            process.send_signal(signal.SIGKILL)
            told = process.stdout.read().split()
        last = int(told[-1]) if told else last
        assert len(world.labels()) == 3
        session = opened(world)
        assert not session.conflicts
        found = session.pose(image)[1][0]
        assert (not last and found == before[0]) or round((found - 1) * 1000) in (last, last + 1)
        last = last if found == before[0] else round((found - 1) * 1000)
        session.close()
        for line in (world.root / "review_journal.jsonl").read_text().splitlines()[:-1]:
            assert json.loads(line)


def test_tables_that_lead_out_of_the_run_are_not_read(world, tmp_path):
    folder = world.run / "video_preds"
    for name in ("mouse_temporal_norm.csv", "mouse.csv"):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
        project = open_review(ReviewOptions(run=world.run, videos=[world.video]))
        found = project.videos[0].predictions()
        if name == "mouse.csv":
            assert not found and "leads out" in project.videos[0].notes[0]
        else:
            assert found[0].names == ["confidence"]
        project.close()


def test_a_folder_of_labels_that_leads_out_is_refused_before_anything_is_edited(deeplabcut, opened, tmp_path):
    folder = deeplabcut.root / "labeled-data/mouse"
    folder.rename(tmp_path / "far")
    folder.symlink_to(tmp_path / "far")
    with pytest.raises(DataError, match="leads out"):
        opened(deeplabcut)
