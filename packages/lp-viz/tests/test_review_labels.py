"""Edits, their journal, and the label files they end in."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from lp_core import DataError
from lp_io import VideoReader, read_labels
from lp_viz.review.project import ReviewOptions, open_review
from lp_viz.review.session import Place, Session, Start
from PIL import Image

IMAGE = "labeled-data/mouse/img0010.png"
MOVED = (33.25, 12.5, 2)


@dataclass
class Open:
    """A session, opened as often as wanted."""

    world: object

    def __enter__(self) -> Session:
        self.project = open_review(ReviewOptions(run=self.world.run, root=self.world.root))
        assert self.project.labels is not None and not self.project.reason
        self.session = Session(self.project, self.project.labels)
        return self.session

    def __exit__(self, *_):
        self.session.close()
        self.project.close()


def move(session, place=None, keypoint=1, point=MOVED, start=None):
    return session.edit(place or Place(video=0, frame=10), keypoint, point, start or Start())


def test_a_corrected_row_changes_and_all_others_keep_their_bytes(world):
    before = (world.root / "CollectedData.csv").read_text().splitlines()
    with Open(world) as session:
        move(session)
        assert (world.root / "CollectedData.csv").read_text().splitlines() == before
        assert session.save()["saved"] == 1 and not session.edits.dirty
    after = (world.root / "CollectedData.csv").read_text().splitlines()
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, True, True, False, True]
    assert after[4] == f"{IMAGE},11.50,8.0,33.25,12.5,6.25,40.125"


def test_lines_end_as_they_did(world):
    path = world.root / "CollectedData.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with Open(world) as session:
        move(session)
        session.add(Place(video=0, frame=5), Start())
        session.save()
    assert path.read_bytes().count(b"\r\n") == path.read_bytes().count(b"\n") == 7


def test_an_added_frame_is_the_frame_and_training_reads_it(world):
    with Open(world) as session:
        session.add(Place(video=0, frame=21), Start(floor=0.1))
        assert session.labeled_frames(0) == [3, 10, 21, 40]
        session.save()
    image = "labeled-data/mouse/img0021.png"
    keypoints, visibility = world.pose(image)
    assert keypoints[0] == [31, 8] and keypoints[2] == [26, 40]
    assert np.isnan(keypoints[1]).all() and visibility == [2, 0, 2]  # less sure than the floor
    with VideoReader(world.video, threads=1) as reader, Image.open(world.root / image) as stored:
        assert np.array_equal(np.asarray(stored), reader.clip(21, 1)[0])


def test_moving_a_point_of_an_unlabeled_frame_adds_it_in_one_step(world):
    with Open(world) as session:
        move(session, Place(video=0, frame=7))
        image = session.image_at(Place(video=0, frame=7))
        assert session.pose(image) == ((17.0, 8.0, 2), MOVED, (12.0, 40.0, 2))
        assert session.undo().what == "tail moved"
        assert session.image_at(Place(video=0, frame=7)) is None and not session.edits.dirty


def test_occluded_and_not_visible_points(world):
    with Open(world) as session:
        move(session, keypoint=0, point=(11.5, 8.0, 1))
        move(session, keypoint=1, point=(None, None, 1))
        move(session, keypoint=2, point=(None, None, 0))
        session.save()
    keypoints, visibility = world.pose(IMAGE)
    assert visibility == [1, 1, 0] and keypoints[0] == [11.5, 8] and np.isnan(keypoints[1:]).all()
    assert world.pose("labeled-data/mouse/img0003.png")[1] == [2, 0, 2]
    assert "coords,x,y,visible,x,y,visible,x,y,visible" in (world.root / "CollectedData.csv").read_text()


def test_a_removed_frame_leaves_the_file(world):
    before = (world.root / "CollectedData.csv").read_bytes()
    with Open(world) as session:
        session.add(Place(video=0, frame=5), Start())
        session.save()
        session.remove(session.images.index("labeled-data/mouse/img0005.png"))
        session.save()
        assert (world.root / "CollectedData.csv").read_bytes() == before
        with pytest.raises(DataError, match="was not added"):
            session.remove(0)


def test_points_outside_and_frames_that_are_not_there_are_refused(world):
    with Open(world) as session:
        for point in ((96.0, 3.0, 2), (3.0, -0.6, 2), (float("nan"), 3.0, 2)):
            with pytest.raises(DataError, match="outside"):
                move(session, point=point)
        with pytest.raises(DataError, match="frames 0 to 59"):
            session.add(Place(video=0, frame=60), Start())
        with pytest.raises(DataError, match="already"):
            session.add(Place(video=0, frame=10), Start())
        assert not session.edits.done


def test_frames_that_measure_generalisation_are_not_learned_from(world):
    text = (world.root / "CollectedData.csv").read_text().replace("img0003", "img0050")
    (world.root / "CollectedData_new.csv").write_text("\n".join(text.splitlines()[:4]) + "\n")
    with Open(world) as session, pytest.raises(DataError, match=r"CollectedData_new\.csv"):
        session.add(Place(video=0, frame=50), Start())


def test_undo_and_redo_outlive_a_restart(world):
    with Open(world) as session:
        move(session)
        move(session, keypoint=0, point=(1.0, 1.0, 2))
        session.save()
    with Open(world) as session:
        assert session.undo().what == "nose moved"
        assert set(session.edits.dirty) == {IMAGE}
    with Open(world) as session:
        assert session.pose(IMAGE)[:2] == ((11.5, 8.0, 2), MOVED)
        session.undo()
        assert session.pose(IMAGE)[1] == (None, None, 0) and session.undo() is None
        session.redo()
        session.redo()
        assert session.redo() is None and not session.edits.dirty  # what is saved again


KILLED = """
import os, signal, sys
from pathlib import Path
from lp_viz.review.project import ReviewOptions, open_review
from lp_viz.review.session import Place, Session, Start
project = open_review(ReviewOptions(run=Path(sys.argv[1]), root=Path(sys.argv[2])))
session = Session(project, project.labels)
session.edit(Place(video=0, frame=10), 1, (33.25, 12.5, 2), Start())
session.add(Place(video=0, frame=5), Start())
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killing_the_server_loses_nothing(world):
    done = subprocess.run([sys.executable, "-c", KILLED, world.run, world.root], check=False)
    assert done.returncode == -signal.SIGKILL
    with (world.root / "review_journal.jsonl").open("a") as file:
        file.write('{"do":"change","image":"labeled-da')  # killed in the middle of a line
    assert not (world.root / "labeled-data/mouse/img0005.png").exists()
    with Open(world) as session:
        assert session.pose(IMAGE)[1] == MOVED and len(session.edits.dirty) == 2
        assert session.state()["undo"] == "frame added in img0005.png"
        assert session.save()["saved"] == 2
    assert world.pose(IMAGE)[0][1] == [33.25, 12.5] and world.pose("labeled-data/mouse/img0005.png")
    for line in (world.root / "review_journal.jsonl").read_text().splitlines():
        assert line.startswith('{"do":"change","image":"labeled-da') or json.loads(line)


def test_killed_between_the_label_file_and_the_journal_is_no_conflict(world, monkeypatch):
    with Open(world) as session:
        move(session)
        monkeypatch.setattr(type(session.edits), "saved", lambda *_: None)
        session.save()
    monkeypatch.undo()
    with Open(world) as session:
        assert not session.conflicts and not session.edits.dirty


def test_two_pages_on_one_project(world):
    with Open(world), pytest.raises(DataError, match="Another review page"):
        Session(open_review(ReviewOptions(run=world.run)), world.labels())


def change_file(world, old: str, new: str) -> None:
    path = world.root / "CollectedData.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1_000_000))


def test_other_rows_changed_by_another_program_are_kept(world):
    with Open(world) as session:
        move(session)
        change_file(world, "10.50,8.0", "44.0,44.0")
        assert session.save()["saved"] == 1
    assert world.pose("labeled-data/mouse/img0003.png")[0][0] == [44, 44] and world.pose(IMAGE)[0][1] == [33.25, 12.5]


@pytest.mark.parametrize("mine", [True, False])
def test_the_same_row_changed_by_another_program_is_asked_about(world, mine):
    with Open(world) as session:
        move(session)
        change_file(world, "11.50,8.0", "44.0,44.0")
        content = (world.root / "CollectedData.csv").read_bytes()
        assert session.save()["saved"] == 0 and session.conflicts == {IMAGE}
        assert (world.root / "CollectedData.csv").read_bytes() == content
    with Open(world) as session:  # also after a restart
        assert session.conflicts == {IMAGE}
        session.resolve(session.images.index(IMAGE), mine)
        session.save()
        assert not session.conflicts and not session.edits.dirty
    expected = [11.5, 8] if mine else [44, 44]
    assert world.pose(IMAGE)[0][0] == expected
    assert np.isfinite(world.pose(IMAGE)[0][1]).all() == mine


def test_a_change_between_reading_and_writing_is_not_overwritten(world, monkeypatch):
    from lp_viz.review.label_csv import LabelCsv

    original = LabelCsv.write

    def late(file):
        change_file(world, "12.50,8.0", "45.0,45.0")
        original(file)

    with Open(world) as session:
        move(session)
        monkeypatch.setattr(LabelCsv, "write", late)
        with pytest.raises(DataError, match="save again"):
            session.save()
        monkeypatch.undo()
        assert session.save()["saved"] == 1
    assert world.pose("labeled-data/mouse/img0040.png")[0][0] == [45, 45] and world.pose(IMAGE)[0][1] == [33.25, 12.5]


def test_an_image_that_shows_something_else_is_not_replaced(world):
    path = world.root / "labeled-data/mouse/img0005.png"
    Image.fromarray(np.full((48, 96, 3), 255, np.uint8)).save(path)
    content = path.read_bytes()
    with Open(world) as session:
        session.add(Place(video=0, frame=5), Start())
        done = session.save()
        assert done["saved"] == 0 and "something else" in done["notes"][0] and len(session.edits.dirty) == 1
    assert path.read_bytes() == content


def test_links_that_lead_out_are_not_written_through(world, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (world.root / "videos" / "other.mp4").write_bytes(world.video.read_bytes())
    (world.root / "labeled-data" / "other").symlink_to(outside)
    (world.run / "video_preds" / "other.csv").write_bytes((world.run / "video_preds" / "mouse.csv").read_bytes())
    with Open(world) as session:
        session.add(Place(video=1, frame=5), Start())
        with pytest.raises(DataError, match="leads out"):
            session.save()
    assert not list(outside.iterdir())


def test_a_label_file_that_leads_out_is_refused(world, tmp_path):
    path = world.root / "CollectedData.csv"
    path.rename(tmp_path / "elsewhere.csv")
    path.symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(DataError, match="leads out"), Open(world):
        pass


def test_videos_that_lead_out_must_be_named(world, tmp_path):
    world.video.rename(tmp_path / "far.mp4")
    world.video.symlink_to(tmp_path / "far.mp4")
    project = open_review(ReviewOptions(run=world.run))
    assert not project.videos and "source=" in project.notes[0]
    named = open_review(ReviewOptions(run=world.run, videos=[world.video]))
    assert [video.path.name for video in named.videos] == ["far.mp4"]


def test_deeplabcut_keeps_its_layout(deeplabcut):
    with Open(deeplabcut) as session:
        move(session, keypoint=1, point=(33.25, 12.5, 1))
        session.add(Place(video=0, frame=5), Start())
        assert sorted(session.save()["files"]) == [
            f"labeled-data/mouse/CollectedData_me.{kind}" for kind in ("csv", "h5")
        ]
    stem = "labeled-data/mouse/CollectedData_me"
    csv, h5 = (read_labels(deeplabcut.root, "deeplabcut", f"{stem}.{kind}") for kind in ("csv", "h5"))
    assert csv.images == h5.images == tuple(f"labeled-data/mouse/img{n}.png" for n in ("03", "10", "40", "05"))
    assert np.array_equal(csv.keypoints, h5.keypoints, equal_nan=True)
    assert csv.keypoints[1, 1].tolist() == [33.25, 12.5] and csv.keypoints[3, 0].tolist() == [15, 8]
    assert "visible" not in (deeplabcut.root / f"{stem}.csv").read_text()
    with Open(deeplabcut) as session:
        assert not session.conflicts and not session.edits.dirty


def test_a_new_video_of_a_deeplabcut_project(deeplabcut):
    with Open(deeplabcut) as session:
        number = [video.name for video in session.project.videos].index("new")
        for frame in (5, 9):
            session.add(Place(video=number, frame=frame), Start())
        assert session.save() == {
            "saved": 2, "files": [f"labeled-data/new/CollectedData_me.{kind}" for kind in ("csv", "h5")], "notes": []
        }  # fmt: skip
    config = (deeplabcut.root / "config.yaml").read_text()
    assert "# my project" in config and "# all of it" in config and "/new.mp4'" in config
    csv, h5 = (
        read_labels(deeplabcut.root, "deeplabcut", f"labeled-data/new/CollectedData_me.{k}") for k in ("csv", "h5")
    )
    assert csv.images == h5.images == ("labeled-data/new/img05.png", "labeled-data/new/img09.png")
    assert np.array_equal(csv.keypoints, h5.keypoints) and csv.keypoints[1, 0].tolist() == [19, 8]
    assert len(deeplabcut.labels()) == 5
    with Open(deeplabcut) as session:  # and taken back
        session.undo()
        session.undo()
        session.save()
    assert len(deeplabcut.labels()) == 3 and not list((deeplabcut.root / "labeled-data/new").glob("*.csv"))


def test_cropped_images_are_not_mixed_with_whole_frames(world):
    for path in (world.root / "labeled-data/mouse").glob("*.png"):
        with Image.open(path) as whole:
            whole.crop((0, 0, 90, 48)).save(path)
    with Open(world) as session:
        assert session.labeled_frames(0) == [] and session.image_at(Place(video=0, frame=10)) is None
        with pytest.raises(DataError, match="another size"):
            session.add(Place(video=0, frame=5), Start())
        move(session, Place(image=1))
        assert session.save()["saved"] == 1
