"""Projects go from layout to layout and back without a change; what cannot be kept is said."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from lp_core import ConfigError, DataError, LabelSet, label_formats
from lp_io import VideoWriter, read_labels
from lp_io.convert import WRITERS, convert
from lp_io.convert_source import open_source
from lp_io.formats.sleap import SleapConfig
from lp_io.label_writers import lightning_pose as lightning_pose_writer
from lp_io.label_writers import transfer
from lp_io.label_writers.layout import place
from PIL import Image

needs_sleap = pytest.mark.skipif(importlib.util.find_spec("sleap_io") is None, reason="sleap-io is not installed")
LAYOUTS = ["lightning_pose", "deeplabcut", "coco", pytest.param("sleap", marks=needs_sleap)]
IMAGES = ("a view/img2.png", "a view/img10.png", "a view/img1.png", "ü/img1.png", "ü/img2.jpg", "ü/wide.png")
NAMES = ("tail base", "nose", "Ohr_ü", "hidden")


@pytest.fixture(autouse=True)
def _sleap_is_a_layout():
    if "sleap" not in label_formats:
        label_formats.register("sleap")(SleapConfig)


@pytest.fixture
def project(tmp_path):
    """Two folders with equal file names, one video, three image sizes, rows out of order, a row without labels."""
    root = tmp_path / "pro ject"
    rng = np.random.default_rng(0)
    sizes = [(40, 60)] * 3 + [(30, 50), (30, 50), (20, 90)]
    for name, size in zip(IMAGES, sizes, strict=True):
        path = root / "labeled-data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)
    keypoints = rng.uniform(1, 19, (len(IMAGES), len(NAMES), 2))
    keypoints[rng.random(keypoints.shape[:2]) < 0.15] = np.nan
    keypoints[:, 3] = np.nan  # never labeled
    keypoints[2] = np.nan
    (root / "videos" / "day 1").mkdir(parents=True)
    with VideoWriter(root / "videos" / "day 1" / "ü.mp4", 25, (30, 50), threads=1) as writer:
        for value in range(3):
            writer.write(np.full((30, 50, 3), value * 80, np.uint8))
    labels = LabelSet(
        root=root, source=root / "CollectedData.csv", images=tuple(f"labeled-data/{i}" for i in IMAGES),
        keypoint_names=NAMES, keypoints=keypoints, visibility=np.where(np.isfinite(keypoints).all(-1), 2, 0),
        skeleton=((1, 0), (2, 1)), scorer="Dr. Ü",
    )  # fmt: skip
    write(labels)
    return labels


def write(labels):
    lightning_pose_writer.LightningPoseWriter().write(labels, labels.root, [])


def same(found, labels, root, images=None):
    """`found` has everything of `labels`, image bytes included."""
    assert found.keypoint_names == labels.keypoint_names and found.skeleton == labels.skeleton
    np.testing.assert_array_equal(found.keypoints, labels.keypoints)
    np.testing.assert_array_equal(found.visibility, labels.visibility)
    assert found.images == (labels.images if images is None else images)
    for old, new in zip(labels.images, found.images, strict=True):
        assert (root / new).read_bytes() == (labels.root / old).read_bytes()


def test_the_project_is_what_the_tests_think(project):
    read = read_labels(project.root)
    np.testing.assert_array_equal(read.keypoints, project.keypoints)
    assert read.images == project.images and read.scorer == project.scorer
    assert (read.visibility > 0).sum() == 9 and list(project.images) != sorted(project.images)


@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", LAYOUTS)
def test_there_and_back(project, tmp_path, first, second):
    convert(project.root, first, tmp_path / "1")
    convert(tmp_path / "1", second, tmp_path / "2")
    back = convert(tmp_path / "2", first, tmp_path / "3", scorer=project.scorer)
    convert(tmp_path / "3", "lightning_pose", tmp_path / "4")
    assert back.labels.scorer in (project.scorer, "lp")
    same(open_source(tmp_path / "4").labels, project, tmp_path / "4")
    one, three = (open_source(tmp_path / n).labels for n in "13")
    assert one.images == three.images and one.skeleton == three.skeleton
    np.testing.assert_array_equal(one.keypoints, three.keypoints)
    assert (tmp_path / "4" / "videos" / "day 1" / "ü.mp4").is_file()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


@pytest.mark.parametrize("name", ["mirror-mouse", "dlc-reaching"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_there_and_back_on_real_data(data, tmp_path, name, layout):
    source = read_labels(data / name)
    origin = {"mirror-mouse": "lightning_pose", "dlc-reaching": "deeplabcut"}[name]
    convert(data / name, layout, tmp_path / "1")
    convert(tmp_path / "1", origin, tmp_path / "2", scorer=source.scorer)
    back = read_labels(tmp_path / "2")
    loose = name == "mirror-mouse" and layout == "deeplabcut"  # which needs a folder per video
    images = tuple(i.replace("/", "/frames/", 1) for i in source.images) if loose else source.images
    same(back, source, tmp_path / "2", images)
    assert back.scorer == source.scorer


def test_visibility(project, tmp_path):
    visibility = project.visibility.copy()
    placed = np.argwhere(np.isfinite(project.keypoints).all(-1))
    visibility[tuple(placed[0])] = visibility[tuple(placed[1])] = 1
    visibility[tuple(placed[2])] = 0
    visibility[2, 0] = 1  # occluded, nobody knows where
    labels = replace(project, visibility=visibility)
    write(labels)
    assert convert(project.root, "lightning_pose", tmp_path / "lp").notes == ()
    np.testing.assert_array_equal(read_labels(tmp_path / "lp").visibility, visibility)
    dropped = "1 positions of keypoints flagged as not labeled were left out."
    known = (visibility > 0) & np.isfinite(project.keypoints).all(-1)
    coco = convert(project.root, "coco", tmp_path / "coco")
    np.testing.assert_array_equal(read_labels(tmp_path / "coco").visibility, np.where(known, visibility, 0))
    assert "COCO has no occluded keypoints without a position: 1 became not labeled." in coco.notes
    assert dropped in coco.notes
    dlc = convert(project.root, "deeplabcut", tmp_path / "dlc")
    np.testing.assert_array_equal(read_labels(tmp_path / "dlc").visibility, np.where(known, 2, 0))
    assert "DeepLabCut keeps no visibility: 2 occluded keypoints became plain labels." in dlc.notes
    assert dropped in dlc.notes


def test_deeplabcut_groups_frames_by_video_and_says_so(project, tmp_path):
    order = [3, 0, 4, 1, 2, 5]
    mixed = replace(
        project, images=tuple(project.images[i] for i in order), keypoints=project.keypoints[order],
        visibility=project.visibility[order],
    )  # fmt: skip
    write(mixed)
    done = convert(project.root, "deeplabcut", tmp_path / "dlc")
    assert any("frames are grouped by video" in note for note in done.notes)
    rows = [0, 1, 2, 3, 4, 5]
    found = read_labels(tmp_path / "dlc")
    np.testing.assert_array_equal(found.keypoints, project.keypoints[rows])
    assert found.images == project.images


def test_a_deeplabcut_project_has_what_deeplabcut_looks_for(project, tmp_path):
    convert(project.root, "deeplabcut", tmp_path / "dlc")
    config = yaml.safe_load((tmp_path / "dlc/config.yaml").read_text())
    assert config["project_path"] == str(tmp_path / "dlc") and config["bodyparts"] == list(NAMES)
    assert config["skeleton"] == [["nose", "tail base"], ["Ohr_ü", "nose"]]
    folders = [path.rsplit("/", 1)[1].removesuffix(".mp4") for path in config["video_sets"]]
    assert sorted(folders) == ["a view", "ü"]
    assert config["video_sets"][str(tmp_path / "dlc/videos/day 1/ü.mp4")] == {"crop": "0, 50, 0, 30"}
    for folder in folders:
        for suffix in ("csv", "h5"):
            assert (tmp_path / "dlc/labeled-data" / folder / f"CollectedData_{config['scorer']}.{suffix}").is_file()


def test_deeplabcut_names_every_video_once(project, tmp_path):
    film = (project.root / "videos/day 1/ü.mp4").read_bytes()
    for name, data in {"day 2/ü.mp4": film, "more.mp4": film, "broken.mp4": b"no video"}.items():
        path = project.root / "videos" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    done = convert(project.root, "deeplabcut", tmp_path / "dlc")
    sets = yaml.safe_load((tmp_path / "dlc/config.yaml").read_text())["video_sets"]
    found = {path.removeprefix(f"{tmp_path}/dlc/videos/") for path in sets}
    assert found == {"a view.mp4", "day 1/ü.mp4", "more.mp4"}
    assert any("videos/broken.mp4, videos/day 2/ü.mp4" in note for note in done.notes)
    assert (tmp_path / "dlc/videos/day 2/ü.mp4").read_bytes() == film


def test_pandas_reads_the_tables_as_deeplabcut_does(project, tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("tables", reason="PyTables is not installed")
    convert(project.root, "deeplabcut", tmp_path / "dlc")
    rows = 0
    for folder in ("a view", "ü"):
        stem = tmp_path / "dlc/labeled-data" / folder / "CollectedData_Dr. Ü"
        hdf = pandas.read_hdf(f"{stem}.h5", "df_with_missing")
        text = pandas.read_csv(f"{stem}.csv", header=[0, 1, 2], index_col=[0, 1, 2])
        assert hdf.columns.names == ["scorer", "bodyparts", "coords"] and list(hdf.index.names) == [None] * 3
        pandas.testing.assert_frame_equal(hdf, text, check_names=False)
        assert pandas.read_hdf(f"{stem}.h5").equals(hdf)  # DeepLabCut names no key in places
        ordered = hdf.reindex(NAMES, axis=1, level="bodyparts")  # what DeepLabCut does before training
        pandas.testing.assert_frame_equal(ordered, hdf)
        again = tmp_path / "again.h5"
        hdf.to_hdf(again, key="df_with_missing", mode="w")
        pandas.testing.assert_frame_equal(pandas.read_hdf(again), hdf)
        for (_, video, image), row in hdf.iterrows():
            at = IMAGES.index(f"{video}/{image}")
            values = row["Dr. Ü"].to_numpy().reshape(-1, 2)
            np.testing.assert_array_equal(values, project.keypoints[at])
            assert row["Dr. Ü"].index.get_level_values(0)[::2].tolist() == list(NAMES)
            rows += 1
    assert rows == len(IMAGES)


def test_pycocotools_reads_the_json(project, tmp_path):
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    convert(project.root, "coco", tmp_path / "coco")
    read = coco.COCO(str(tmp_path / "coco/annotations/train.json"))
    assert [c["keypoints"] for c in read.loadCats(read.getCatIds())] == [list(NAMES)]
    assert read.loadCats([1])[0]["skeleton"] == [[2, 1], [3, 2]]
    images = read.loadImgs(sorted(read.getImgIds()))
    assert [i["file_name"] for i in images] == list(IMAGES)
    for row, image in enumerate(images):
        with Image.open(tmp_path / "coco/images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
        found = read.loadAnns(read.getAnnIds(imgIds=image["id"], areaRng=[0, 1e9]))
        known = np.isfinite(project.keypoints[row]).all(-1)
        assert len(found) == bool(known.any())
        if found:
            values = np.array(found[0]["keypoints"]).reshape(-1, 3)
            np.testing.assert_array_equal(values[known, :2], project.keypoints[row][known])
            assert found[0]["num_keypoints"] == known.sum() and (values[~known] == 0).all()
            x, y, width, height = found[0]["bbox"]
            inside = project.keypoints[row][known]
            assert (inside >= [x, y]).all() and (inside <= [x + width, y + height]).all()
            assert x >= 0 and x + width <= image["width"] - 1 and y + height <= image["height"] - 1


@pytest.mark.parametrize("flat", [False, True])
def test_images_of_different_folders_stay_apart(flat):
    images = ["a/i.png", "labeled-data/a/i.png", "images/a/i.png", "../a/i.png", "/x/y/a/i.png", "/x/labeled-data/b/c/i.png",
              "labeled-data/b/c/i.png", "labeled-data/b_c/i.png", "i.png", "labeled-data/i.png", "b_c/j.png"]  # fmt: skip
    placed = place(images, "labeled-data", flat)
    assert len(set(placed)) == len(images)
    assert all(p.startswith("labeled-data/") and ".." not in p and not p.startswith("/") for p in placed)
    assert [p.rpartition("/")[2] for p in placed] == [i.rpartition("/")[2] for i in images]
    if flat:
        assert {p.count("/") for p in placed} == {2}
    assert place(images, "labeled-data", flat) == placed
    assert place(["labeled-data/b/c/i.png"], "images") == ["images/b/c/i.png"]
    assert place(["v/i.png"], "labeled-data", flat) == ["labeled-data/v/i.png"]
    assert place(["images/i.png"], "labeled-data", flat) == [
        "labeled-data/frames/i.png" if flat else "labeled-data/i.png"
    ]


def test_videos(project, tmp_path, monkeypatch):
    video = project.root / "videos/day 1/ü.mp4"
    linked = convert(project.root, "coco", tmp_path / "link")
    assert (tmp_path / "link/videos/day 1/ü.mp4").samefile(video) and linked.videos == "1 hard-linked"
    copied = convert(project.root, "coco", tmp_path / "copy", videos="copy")
    copy = tmp_path / "copy/videos/day 1/ü.mp4"
    assert not copy.samefile(video) and copy.read_bytes() == video.read_bytes() and copied.videos == "1 copied"
    none = convert(project.root, "coco", tmp_path / "none", videos="none")
    assert not (tmp_path / "none/videos").exists() and "1 left where they are" in none.videos

    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(transfer.os, "link", refuse)
    far = convert(project.root, "coco", tmp_path / "far")
    link = tmp_path / "far/videos/day 1/ü.mp4"
    assert link.is_symlink() and link.samefile(video) and "they must stay there" in far.videos
    images = tmp_path / "far/images"
    assert all(not p.is_symlink() for p in images.rglob("*")) and len(list(images.rglob("*.*"))) == len(IMAGES)


def test_videos_that_only_deeplabcut_s_config_names(project, tmp_path):
    convert(project.root, "deeplabcut", tmp_path / "dlc", videos="none")
    outside = [tmp_path / "disk1/x.mp4", tmp_path / "disk2/x.mp4"]
    for path in outside:
        path.parent.mkdir()
        path.write_bytes((project.root / "videos/day 1/ü.mp4").read_bytes())
    config = yaml.safe_load((tmp_path / "dlc/config.yaml").read_text())
    config["video_sets"] = {str(path): {"crop": "0, 50, 0, 30"} for path in [*outside, tmp_path / "gone.mp4"]}
    (tmp_path / "dlc/config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    convert(tmp_path / "dlc", "lightning_pose", tmp_path / "lp")
    assert sorted(p.name for p in (tmp_path / "lp/videos").iterdir()) == ["x.mp4", "x_2.mp4"]


def test_a_label_file_can_be_the_source(project, tmp_path):
    convert(project.root, "coco", tmp_path / "coco")
    convert(project.root, "deeplabcut", tmp_path / "dlc")
    (project.root / "CollectedData_new.csv").write_text((project.root / "CollectedData.csv").read_text())
    ood = convert(project.root, "coco", tmp_path / "0").notes
    assert any("CollectedData_new.csv" in note and "convert again with source=" in note for note in ood)
    for number, (file, rows) in enumerate(
        {
            project.root / "CollectedData_new.csv": 6,
            tmp_path / "coco/annotations/train.json": 6,
            tmp_path / "dlc/config.yaml": 6,
            tmp_path / "dlc/labeled-data/ü/CollectedData_Dr. Ü.csv": 3,
        }.items(),
        1,
    ):
        assert len(convert(file, "lightning_pose", tmp_path / f"{number}").labels) == rows
    with pytest.raises(DataError, match=r"notes\.txt is not a label file"):
        (tmp_path / "notes.txt").touch()
        convert(tmp_path / "notes.txt", "coco", tmp_path / "x")


def test_the_demo_s_skeleton_comes_along(project, tmp_path):
    (project.root / "skeleton.yaml").rename(project.root / "scene.yaml")
    convert(project.root, "deeplabcut", tmp_path / "dlc")
    assert read_labels(tmp_path / "dlc").skeleton == project.skeleton


def head(root):
    return "\n".join((root / "CollectedData.csv").read_text().splitlines()[:3])


BAD = {
    "no rows": (lambda root: (root / "CollectedData.csv").write_text(head(root)), {}, r"CollectedData\.csv has no labeled frame"),
    "nothing labeled": (
        lambda root: (root / "CollectedData.csv").write_text(head(root) + f"\nlabeled-data/{IMAGES[0]}" + "," * 8),
        {},
        r"CollectedData\.csv has no labeled keypoint",
    ),
    "a missing image": (
        lambda root: (root / "labeled-data" / IMAGES[3]).unlink(), {}, r"ü/img1\.png does not exist",
    ),
    "an unknown layout": (lambda root: None, {"to": "deeplabcu"}, r"to=deeplabcu is not a layout; did you mean 'deeplabcut'"),
    "an unknown way": (lambda root: None, {"videos": "move"}, "videos=move is not one of link, copy, none"),
    "a path as scorer": (lambda root: None, {"scorer": "a/b"}, "without slashes"),
    "no source": (lambda root: None, {"source": "gone"}, "source=gone does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_sentence_and_leaves_nothing(project, tmp_path, case):
    spoil, options, sentence = BAD[case]
    spoil(project.root)
    with pytest.raises((DataError, ConfigError), match=sentence) as error:
        convert(**{"source": project.root, "to": "coco", "out": tmp_path / "out", **options})
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


def test_nothing_is_overwritten(project, tmp_path):
    (tmp_path / "empty").mkdir()
    convert(project.root, "coco", tmp_path / "empty")
    assert len(read_labels(tmp_path / "empty")) == len(IMAGES)
    (tmp_path / "used").mkdir()
    (tmp_path / "used/thesis.txt").write_text("mine")
    (tmp_path / "file").touch()
    for out in ("used", "file"):
        with pytest.raises(DataError, match=f"{out} exists already and is not an empty directory; give a new one"):
            convert(project.root, "coco", tmp_path / out)
    assert [p.name for p in (tmp_path / "used").iterdir()] == ["thesis.txt"]


def test_an_interrupted_run_leaves_nothing_and_a_killed_one_does_not_disturb(project, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(WRITERS["coco"], "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            convert(project.root, "coco", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []
    (tmp_path / ".out.partial/images/old").mkdir(parents=True)
    convert(project.root, "coco", tmp_path / "out")
    assert not (tmp_path / "out/images/old").exists() and not (tmp_path / ".out.partial").exists()


@pytest.mark.parametrize("harm", ["shift", "swap"])
def test_a_result_that_differs_is_not_kept(project, tmp_path, monkeypatch, harm):
    right = lightning_pose_writer.write_header_table

    def wrong(path, columns, index, values):
        columns = columns[2:4] + columns[:2] + columns[4:] if harm == "swap" else columns
        right(path, columns, index, values + 1e-9 * (harm == "shift"))

    monkeypatch.setattr(lightning_pose_writer, "write_header_table", wrong)
    with pytest.raises(DataError, match="cannot be kept exactly"):
        convert(project.root, "lightning_pose", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sleap_without_sleap_io_says_what_to_install(project, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sleap_io", None)
    with pytest.raises(DataError, match=r'pip install "lp-io\[sleap\]"'):
        convert(project.root, "sleap", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_annotation_files_are_named(project, tmp_path):
    convert(project.root, "coco", tmp_path / "coco")
    (tmp_path / "coco/annotations/test.json").write_text(json.dumps({"images": []}))
    notes = convert(tmp_path / "coco", "lightning_pose", tmp_path / "lp").notes
    assert any("Only train.json was converted; for test.json" in note for note in notes)
