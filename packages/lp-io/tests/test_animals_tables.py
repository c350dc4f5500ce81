"""Predictions of several animals, read back with the libraries their users have."""

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest
from lp_core import Animals, DataError, PoseTable, VideoFacts, table_writers
from lp_io import PredictionWriter, read_predictions, write_predictions
from lp_io.writers.h5 import read_predictions_h5

ANIMALS = Animals(individuals=("z", "a", "m"), parts=("tail", "nose"), unique=("door", "food"), skeleton=((1, 0),))
NO_PANDAS = "pandas and PyTables are not installed beside lp-io: pip install pandas tables"


def example(animals=ANIMALS):
    """Five frames: all animals, one missing, none of them, a part missing, no unique point."""
    rng = np.random.default_rng(0)
    names = animals.keypoint_names
    keypoints, confidence = rng.uniform(-3, 400, (5, len(names), 2)), rng.random((5, len(names)))
    for place in ((1, slice(2, 4)), (2, slice(0, 6)), (3, 0), (4, slice(6, None))):
        keypoints[place], confidence[place] = np.nan, np.nan
    return PoseTable(
        keypoint_names=names, index=tuple(range(5)), keypoints=keypoints, confidence=confidence, animals=animals
    )


TABLE = example()


@pytest.fixture
def video(tmp_path):
    (tmp_path / "v.mp4").touch()
    return VideoFacts(path=tmp_path / "v.mp4", size=(240, 320), fps=25.0, skeleton=((1, 0), (3, 2), (5, 4), (6, 7)))


def write(name, path, video, table=TABLE):
    table_writers[name]().build().write(path, table, video)
    return path


def same(found, table=TABLE, dtype=np.float64):
    assert found.keypoint_names == table.keypoint_names and found.index == table.index
    assert found.animals == replace(table.animals, skeleton=()) and found.scorer == table.scorer
    np.testing.assert_array_equal(found.keypoints, table.keypoints.astype(dtype))
    np.testing.assert_array_equal(found.confidence, table.confidence.astype(dtype))


@pytest.mark.parametrize("unique", [(), ("door", "food")])
def test_csv_there_and_back(tmp_path, unique):
    table = example(replace(ANIMALS, unique=unique, parts=("tail", "nose", "ear")[: 2 + (not unique)]))
    write_predictions(tmp_path / "p.csv", table)
    same(read_predictions(tmp_path / "p.csv"), table)
    split = replace(table, split=("train", "test", "unused", "train", "validation"))
    write_predictions(tmp_path / "p.csv", split)
    assert read_predictions(tmp_path / "p.csv").split == split.split
    same(read_predictions(tmp_path / "p.csv"), table)


def test_csv_layout(tmp_path):
    write_predictions(tmp_path / "p.csv", TABLE)
    rows = [line.split(",") for line in (tmp_path / "p.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["scorer", "individuals", "bodyparts", "coords", *"01234"]
    assert rows[1][1:] == [name for name in ("z", "a", "m") for _ in range(6)] + ["single"] * 6
    assert rows[2][1:8:3] == ["tail", "nose", "tail"] and rows[2][-6::3] == ["door", "food"]
    assert rows[3][1:] == ["x", "y", "likelihood"] * 8 and rows[5][7:13] == [""] * 6


def test_rows_can_be_appended_behind_the_header(tmp_path):
    """As live predictions are kept."""
    with PredictionWriter(tmp_path / "p.csv", TABLE.keypoint_names, TABLE.scorer, animals=ANIMALS):
        pass
    values = np.concatenate([TABLE.keypoints, TABLE.confidence[..., None]], -1).reshape(5, -1).tolist()
    with (tmp_path / "p.csv").open("a") as file:
        for i, row in enumerate(values):
            file.write(",".join([str(i), *("" if v != v else repr(v) for v in row)]) + "\n")
            file.flush()
            assert read_predictions(tmp_path / "p.csv").index == tuple(range(i + 1))
    same(read_predictions(tmp_path / "p.csv"))


def test_pandas_reads_csv_and_h5_as_the_same_frame(tmp_path, video):
    pytest.importorskip("tables", reason=NO_PANDAS)
    pandas = pytest.importorskip("pandas", reason=NO_PANDAS)
    write_predictions(tmp_path / "p.csv", TABLE)
    text = pandas.read_csv(tmp_path / "p.csv", header=[0, 1, 2, 3], index_col=0)
    hdf = pandas.read_hdf(write("h5", tmp_path / "p.h5", video))
    assert hdf.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    pandas.testing.assert_frame_equal(text, hdf, check_names=False)
    animal = hdf.xs("m", level="individuals", axis=1).to_numpy().reshape(5, 2, 3)
    np.testing.assert_array_equal(animal[..., :2], TABLE.keypoints[:, 4:6])
    same(read_predictions_h5(tmp_path / "p.h5"))
    for key in ("tracks", "df_with_missing"):
        for layout in ("table", "fixed"):
            hdf.to_hdf(tmp_path / "theirs.h5", key=key, mode="w", format=layout)
            same(read_predictions_h5(tmp_path / "theirs.h5"))


def test_columns_in_another_order(tmp_path):
    write_predictions(tmp_path / "p.csv", TABLE)
    rows = [line.split(",") for line in (tmp_path / "p.csv").read_text().splitlines()]
    moved = [
        [row[0], *row[19:], *row[4:7], *row[1:4], *row[7:19]] for row in rows
    ]  # unique points first, z's nose first
    (tmp_path / "p.csv").write_text("".join(",".join(row) + "\n" for row in moved))
    found = read_predictions(tmp_path / "p.csv")
    assert found.animals == Animals(individuals=("z", "a", "m"), parts=("nose", "tail"), unique=("door", "food"))
    order = [TABLE.keypoint_names.index(name) for name in found.keypoint_names]
    np.testing.assert_array_equal(found.keypoints, TABLE.keypoints[:, order])


def test_what_no_table_can_be_is_one_sentence(tmp_path):
    write_predictions(tmp_path / "p.csv", TABLE)
    rows = [line.split(",") for line in (tmp_path / "p.csv").read_text().splitlines()]
    for cut, words in (
        ((4, 7), "every animal needs the same bodyparts, and z has no nose"),
        ((1, 2), "needs x, y and"),
    ):
        (tmp_path / "bad.csv").write_text("".join(",".join(r[: cut[0]] + r[cut[1] :]) + "\n" for r in rows))
        with pytest.raises(DataError, match=words):
            read_predictions(tmp_path / "bad.csv")
    with pytest.raises(DataError, match="called single"):
        write_predictions(tmp_path / "p2.csv", example(replace(ANIMALS, individuals=("a", "single", "b"))))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv", "p.csv"]


def test_sleap_io_reads_tracks(tmp_path, video):
    sio = pytest.importorskip("sleap_io", reason="sleap-io is not installed: pip install 'lp-io[sleap]'")
    labels = sio.load_slp(str(write("slp", tmp_path / "p.slp", video)))
    assert [track.name for track in labels.tracks] == ["z", "a", "m"] and len(labels) == 5
    assert [(s.name, s.node_names, s.edge_inds) for s in labels.skeletons] == [
        ("animal", ["tail", "nose"], [(1, 0)]),
        ("single", ["door", "food"], [(0, 1)]),
    ]
    keypoints, confidence = np.full_like(TABLE.keypoints, np.nan), np.full_like(TABLE.confidence, np.nan)
    for frame in labels:
        for instance in frame.predicted_instances:
            number = 3 if instance.track is None else ["z", "a", "m"].index(instance.track.name)
            values = instance.numpy(scores=True)
            keypoints[frame.frame_idx, 2 * number : 2 * number + 2] = values[:, :2]
            confidence[frame.frame_idx, 2 * number : 2 * number + 2] = values[:, 2]
    np.testing.assert_array_equal(keypoints, TABLE.keypoints)
    seen = np.isfinite(keypoints).all(-1)
    np.testing.assert_array_equal(confidence[seen], TABLE.confidence[seen])
    assert [len(frame) for frame in labels] == [4, 3, 1, 4, 3]


def test_pycocotools_reads_an_annotation_per_animal(tmp_path, video):
    tools = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed beside lp-io")
    with contextlib.redirect_stdout(None):
        coco = tools.COCO(str(write("coco", tmp_path / "p.json", video)))
    assert [(c["name"], c["keypoints"], c["skeleton"]) for c in coco.loadCats([1, 2])] == [
        ("animal", ["tail", "nose"], [[2, 1]]),
        ("single", ["door", "food"], [[1, 2]]),
    ]
    keypoints = np.full_like(TABLE.keypoints, np.nan)
    for image in coco.loadImgs(coco.getImgIds()):
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            flat = np.reshape(annotation["keypoints"], (-1, 3))
            start = 2 * (annotation["track_id"] - 1) if annotation["category_id"] == 1 else 6
            place = keypoints[image["frame_id"], start : start + 2]
            place[:] = np.where(flat[:, 2:] == 2, flat[:, :2], np.nan)
    np.testing.assert_array_equal(keypoints, TABLE.keypoints)
    assert json.loads((tmp_path / "p.json").read_text())["info"]["individuals"] == ["z", "a", "m"]
    assert len(set(coco.getAnnIds())) == len(coco.loadAnns(coco.getAnnIds())) == 15


def test_nwb_has_a_pose_estimation_for_each(tmp_path, video):
    pynwb = pytest.importorskip("pynwb", reason="pynwb is not installed: pip install 'lp-io[nwb]'")
    path = write("nwb", tmp_path / "p.nwb", video)
    errors = pynwb.validate(path=str(path))
    assert not errors, errors
    with pynwb.NWBHDF5IO(str(path), mode="r") as io:
        behavior = io.read().processing["behavior"]
        for start, name in zip(range(0, 8, 2), ("z", "a", "m", "single"), strict=True):
            poses = behavior[name]
            for k, part in enumerate(poses.skeleton.nodes[:], start):
                np.testing.assert_array_equal(poses[part].data[:], TABLE.keypoints[:, k])
                np.testing.assert_array_equal(poses[part].confidence[:], TABLE.confidence[:, k])
        assert behavior["z"].skeleton.edges[:].tolist() == [[1, 0]]
    with pytest.raises(DataError, match="rename the individual a:b"):
        write("nwb", path, video, example(replace(ANIMALS, individuals=("a:b", "c", "d"))))


def test_sleap_io_reads_nwb(tmp_path, video):
    sio = pytest.importorskip("sleap_io", reason="sleap-io is not installed: pip install 'lp-io[sleap]'")
    pytest.importorskip("pynwb", reason="pynwb is not installed: pip install 'lp-io[nwb]'")
    labels = sio.load_nwb(str(write("nwb", tmp_path / "p.nwb", video)))
    found = sorted(tuple(i.numpy()[0]) for f in labels for i in f.instances if np.isfinite(i.numpy()[0]).all())
    rows = TABLE.keypoints[:, 0:6:2].reshape(-1, 2)
    expected = sorted(map(tuple, rows[np.isfinite(rows).all(-1)].astype(np.float32)))
    assert found == expected


def test_parquet_names_and_facts(tmp_path, video):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'lp-io[parquet]'")
    read = parquet.read_table(write("parquet", tmp_path / "p.parquet", video))
    for k, name in enumerate(TABLE.keypoint_names):
        values = read[f"{name}.x"].to_numpy()
        np.testing.assert_array_equal(values, TABLE.keypoints[:, k, 0])
    facts = json.loads(read.schema.metadata[b"lp"])
    assert facts["individuals"] == ["z", "a", "m"] and facts["parts"] == ["tail", "nose"]
    assert facts["unique"] == ["door", "food"] and facts["keypoints"][2] == "a/tail"
