"""Projects of several animals go from layout to layout and back without a change."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import yaml
from lp_core import Animals, DataError, LabelSet, label_formats
from lp_io import read_labels
from lp_io.convert import convert
from lp_io.convert_source import open_source
from lp_io.formats.sleap import SleapConfig
from lp_io.label_writers.deeplabcut import DeepLabCutWriter
from PIL import Image

needs_sleap = pytest.mark.skipif(importlib.util.find_spec("sleap_io") is None, reason="sleap-io is not installed")
LAYOUTS = ["deeplabcut", "coco", pytest.param("sleap", marks=needs_sleap)]
IMAGES = ("a/img1.png", "a/img2.png", "b/img1.png", "b/img9.jpg")
ANIMALS = Animals(
    individuals=("ü", "never", "b b"), parts=("tail base", "nose"), unique=("door", "food"), skeleton=((1, 0),)
)


@pytest.fixture(autouse=True)
def _sleap_is_a_layout():
    if "sleap" not in label_formats:
        label_formats.register("sleap")(SleapConfig)


def build(root, animals=ANIMALS):
    """One animal that is never labeled, a row without labels, one with unique points only."""
    rng = np.random.default_rng(0)
    for name in IMAGES:
        path = root / "labeled-data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(path)
    keypoints = rng.uniform(1, 18, (4, len(animals.keypoint_names), 2))
    keypoints[:, 2:4] = np.nan
    keypoints[1] = np.nan
    keypoints[2, :6] = np.nan
    keypoints[3, :2] = np.nan
    keypoints[0, 5] = np.nan
    skeleton = ((1, 0), (3, 2), (5, 4), *([(6, 7)] if animals.unique else []))
    labels = LabelSet(
        root=root, source=root / "labeled-data", images=tuple(f"labeled-data/{i}" for i in IMAGES), scorer="me",
        keypoint_names=animals.keypoint_names, keypoints=keypoints, animals=animals, skeleton=skeleton,
        visibility=np.where(np.isfinite(keypoints).all(-1), 2, 0),
    )  # fmt: skip
    DeepLabCutWriter().write(labels, root, [])
    return labels


def same(found, labels):
    assert found.animals == labels.animals and found.skeleton == labels.skeleton
    assert found.keypoint_names == labels.keypoint_names and found.images == labels.images
    np.testing.assert_array_equal(found.keypoints, labels.keypoints)
    np.testing.assert_array_equal(found.visibility, labels.visibility)


@pytest.mark.parametrize("unique", [("door", "food"), ()])
@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", LAYOUTS)
def test_there_and_back(tmp_path, first, second, unique):
    labels = build(tmp_path / "p", replace(ANIMALS, unique=unique))
    same(read_labels(tmp_path / "p"), labels)
    convert(tmp_path / "p", first, tmp_path / "1")
    convert(tmp_path / "1", second, tmp_path / "2")
    convert(tmp_path / "2", first, tmp_path / "3", scorer="me")
    one, three = (open_source(tmp_path / n).labels for n in "13")
    same(three, one)
    done = convert(tmp_path / "3", "deeplabcut", tmp_path / "4", scorer="me")
    same(read_labels(tmp_path / "4"), labels)
    assert done.labels.animals == labels.animals
    for name in labels.images:
        assert (tmp_path / "4" / name).read_bytes() == (tmp_path / "p" / name).read_bytes()


@pytest.mark.parametrize("layout", ["coco", pytest.param("sleap", marks=needs_sleap)])
def test_occluded_keypoints_stay_occluded(tmp_path, layout):
    build(tmp_path / "p")
    convert(tmp_path / "p", "coco", tmp_path / "1")
    path = tmp_path / "1/annotations/train.json"
    path.write_text(path.read_text().replace(", 2,", ", 1,", 1))
    labels = read_labels(tmp_path / "1")
    assert (labels.visibility == 1).sum() == 1
    convert(tmp_path / "1", layout, tmp_path / "2")
    np.testing.assert_array_equal(open_source(tmp_path / "2").labels.visibility, labels.visibility)


def test_what_deeplabcut_looks_for(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("tables", reason="PyTables is not installed")
    labels = build(tmp_path / "p")
    config = yaml.safe_load((tmp_path / "p/config.yaml").read_text())
    assert config["multianimalproject"] is True and config["bodyparts"] == "MULTI!"
    assert config["individuals"] == ["ü", "never", "b b"] and config["uniquebodyparts"] == ["door", "food"]
    assert config["multianimalbodyparts"] == ["tail base", "nose"]
    assert config["skeleton"] == [["nose", "tail base"], ["door", "food"]]
    stem = tmp_path / "p/labeled-data/b/CollectedData_me"
    hdf = pandas.read_hdf(f"{stem}.h5", "df_with_missing")
    text = pandas.read_csv(f"{stem}.csv", header=[0, 1, 2, 3], index_col=[0, 1, 2])
    assert hdf.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    pandas.testing.assert_frame_equal(hdf, text, check_names=False)
    values = hdf.xs("b b", level="individuals", axis=1).to_numpy().reshape(2, 2, 2)
    np.testing.assert_array_equal(values, labels.keypoints[2:, 4:6])


def test_a_layout_of_one_animal_refuses_and_leaves_nothing(tmp_path):
    build(tmp_path / "p")
    with pytest.raises(
        DataError, match="has several animals, which lightning_pose does not hold; choose to=deeplabcut"
    ):
        convert(tmp_path / "p", "lightning_pose", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


def test_lines_that_a_layout_cannot_draw_are_told(tmp_path):
    build(tmp_path / "p")
    path = tmp_path / "p/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["skeleton"].append(["nose", "door"])
    path.write_text(yaml.safe_dump(config, allow_unicode=True))
    assert read_labels(tmp_path / "p").skeleton[-3:] == ((1, 6), (3, 6), (5, 6))
    done = convert(tmp_path / "p", "coco", tmp_path / "1")
    assert any("3 lines were left out" in note for note in done.notes)
    assert yaml.safe_load((convert(tmp_path / "p", "deeplabcut", tmp_path / "2").out / "config.yaml").read_text())[
        "skeleton"
    ] == config["skeleton"]  # fmt: skip


def test_sleap_files_that_sleap_io_made(tmp_path):
    """Tracks in another order than the instances; without tracks; more tracks than animals at once."""
    sio = pytest.importorskip("sleap_io", reason="sleap-io is not installed")
    build(tmp_path / "p")
    skeleton = sio.Skeleton(nodes=["a", "b"], edges=[("b", "a")])
    files = [str(tmp_path / "p/labeled-data" / name) for name in IMAGES[:2]]
    video = sio.Video.from_filename(files)
    tracks = [sio.Track(name) for name in ("two", "one", "three")]
    points = np.arange(12.0).reshape(3, 2, 2) + 1

    def read(*frames):
        made = [
            sio.LabeledFrame(
                video=video, frame_idx=i,
                instances=[sio.Instance.from_numpy(points[k], skeleton=skeleton, track=t) for k, t in found],
            )
            for i, found in enumerate(frames)
        ]  # fmt: skip
        sio.save_slp(sio.Labels(made, tracks=tracks[:2]), str(tmp_path / "l.slp"), verbose=False)
        return open_source(tmp_path / "l.slp").labels

    tracked = read([(0, tracks[1]), (1, tracks[0])], [(2, tracks[1])])
    assert tracked.animals == Animals(individuals=("two", "one"), parts=("a", "b"), skeleton=((1, 0),))
    np.testing.assert_array_equal(tracked.keypoints[0], points[[1, 0]].reshape(4, 2))
    np.testing.assert_array_equal(tracked.keypoints[1], [*np.full((2, 2), np.nan), *points[2]])
    for frames in (
        [[(0, None), (1, None)], [(2, None)]],
        [[(0, tracks[0]), (1, tracks[1])], [(2, tracks[2])]],
        [[(0, tracks[0]), (1, None)], [(2, tracks[0])]],
    ):
        plain = read(*frames)
        assert plain.animals.individuals == ("individual1", "individual2")
        np.testing.assert_array_equal(plain.keypoints[0], points[:2].reshape(4, 2))
        np.testing.assert_array_equal(plain.keypoints[1, :2], points[2])
    assert read([(0, tracks[0])], [(1, tracks[1])]).animals is None
    read([(0, None), (1, None)])
    same(convert(tmp_path / "l.slp", "coco", tmp_path / "c").labels, read_labels(tmp_path / "c"))
