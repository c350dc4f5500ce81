"""Several animals in label files, written out by hand in the layouts' own words."""

import json

import numpy as np
import pytest
from lp_core import DataError
from lp_core.testing.label_format import LabelFormatContract
from lp_io import ood_label_files, read_labels
from lp_io.animals import flat_edges, identities, named_edges
from PIL import Image

CONFIG = """scorer: me
multianimalproject: true
identity: false
bodyparts: MULTI!
individuals: [m1, m2]
multianimalbodyparts: [nose, tail]
uniquebodyparts: [door]
skeleton: [[tail, nose], [door, nose]]
"""
FLAT = """scorer,me,me,me,me,me,me,me,me,me,me
individuals,m1,m1,m1,m1,m2,m2,m2,m2,single,single
bodyparts,nose,nose,tail,tail,nose,nose,tail,tail,door,door
coords,x,y,x,y,x,y,x,y,x,y
labeled-data\\v\\img0.png,1,2,3,4,5,6,7,8,9,0
labeled-data/v/img1.png,,,,,2.5,6,,,9,0
"""
NAMES = ("m1/nose", "m1/tail", "m2/nose", "m2/tail", "door")
POINTS = np.array(
    [[[1, 2], [3, 4], [5, 6], [7, 8], [9, 0]], [[np.nan] * 2, [np.nan] * 2, [2.5, 6], [np.nan] * 2, [9, 0]]]
)


def three_levels(text):
    """The same table with an index of three columns."""
    lines = [line.replace("\\", "/").split(",") for line in text.splitlines()]
    spread = [[first, "", ""] if i < 4 else first.split("/") for i, (first, *_) in enumerate(lines)]
    return "".join(",".join([*index, *line[1:]]) + "\n" for index, line in zip(spread, lines, strict=True))


def images(root, folder="labeled-data/v"):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for i in (0, 1):
        Image.fromarray(np.full((10, 12, 3), i, np.uint8)).save(root / folder / f"img{i}.png")


@pytest.fixture
def project(tmp_path):
    images(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "labeled-data/v/CollectedData_me.csv").write_text(FLAT)
    return tmp_path


def check(labels):
    assert labels.keypoint_names == labels.animals.keypoint_names == NAMES
    assert (labels.animals.individuals, labels.animals.parts, labels.animals.unique) == (
        ("m1", "m2"),
        ("nose", "tail"),
        ("door",),
    )
    np.testing.assert_array_equal(labels.keypoints, POINTS)
    np.testing.assert_array_equal(labels.visibility, np.where(np.isfinite(POINTS[..., 0]), 2, 0))
    assert labels.images == ("labeled-data/v/img0.png", "labeled-data/v/img1.png")
    assert labels.animals.skeleton == ((1, 0),) and labels.skeleton == ((1, 0), (3, 2), (4, 0), (4, 2))


@pytest.mark.parametrize("change", [str, three_levels])
def test_deeplabcut_csv(project, change):
    (project / "labeled-data/v/CollectedData_me.csv").write_text(change(FLAT))
    check(read_labels(project))


@pytest.mark.parametrize("key", ["df_with_missing", "tracks", "whatever"])
@pytest.mark.parametrize("layout", ["fixed", "table"])
@pytest.mark.parametrize("levels", [1, 3])
def test_deeplabcut_hdf5_as_pandas_writes_it(project, key, layout, levels):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("tables", reason="PyTables is not installed")
    if levels == 3 and layout == "table":
        pytest.skip("pandas itself cannot write this")
    path = project / "labeled-data/v/CollectedData_me.csv"
    if levels == 3:
        path.write_text(three_levels(FLAT))
    frame = pandas.read_csv(path, header=[0, 1, 2, 3], index_col=list(range(levels)))
    frame.to_hdf(path.with_suffix(".h5"), key=key, mode="w", format=layout)
    path.unlink()
    check(read_labels(project))


def test_columns_in_any_order_and_animals_a_table_lacks(project):
    path = project / "labeled-data/v/CollectedData_me.csv"
    rows = [line.split(",") for line in FLAT.splitlines()]
    path.write_text("".join(",".join([row[0], *row[9:], *row[7:9], *row[5:7], *row[1:5]]) + "\n" for row in rows))
    check(read_labels(project))
    path.write_text("".join(",".join([row[0], *row[5:9]]) + "\n" for row in rows))  # only m2
    labels = read_labels(project)
    assert labels.keypoint_names == NAMES[:4] and np.isnan(labels.keypoints[:, :2]).all()
    np.testing.assert_array_equal(labels.keypoints[:, 2:], POINTS[:, 2:4])


def test_a_project_of_several_that_lists_one_is_a_project_of_one(project):
    (project / "config.yaml").write_text(CONFIG.replace("[m1, m2]", "[m2]"))
    rows = [line.split(",") for line in FLAT.splitlines()]
    text = "".join(",".join([row[0], *row[5:]]) + "\n" for row in rows)
    (project / "labeled-data/v/CollectedData_me.csv").write_text(text)
    labels = read_labels(project)
    assert labels.animals is None and labels.keypoint_names == ("nose", "tail", "door")
    np.testing.assert_array_equal(labels.keypoints, POINTS[:, 2:])
    assert labels.skeleton == ((1, 0), (2, 0))


def test_out_of_distribution_tables_are_kept_apart(project):
    images(project, "labeled-data/w")
    table = FLAT.replace("/v/", "/w/").replace("\\v\\", "/w/")
    (project / "labeled-data/w/CollectedData_me_new.csv").write_text(table)
    labels = read_labels(project)
    check(labels)
    (path,) = ood_label_files(labels)
    new = read_labels(project, file=path.relative_to(project).as_posix())
    assert new.keypoint_names == NAMES and new.images[0] == "labeled-data/w/img0.png"


BAD = {
    "another layout": (CONFIG.replace("project: true", "project: false"), FLAT, "has a row individuals, but"),
    "a single table": (
        CONFIG, "scorer,me,me\nbodyparts,a,a\ncoords,x,y\nlabeled-data/v/img0.png,1,2\n", "has no row individuals, but",
    ),
    "an animal not listed": (CONFIG.replace("[m1, m2]", "[m1]"), FLAT, r"config\.yaml does not list m2 nose"),
    "no bodyparts": (CONFIG.replace("[nose, tail]", "[]"), FLAT, "does not list m1 nose"),
    "one of x and y": (CONFIG, FLAT.replace("2.5,6", "2.5,"), "has only one of x and y for m2/nose"),
    "outside": (CONFIG, FLAT.replace("2.5,6", "25,6"), r"m2/nose in labeled-data/v/img1\.png is at \(25, 6\), outside"),
    "a column twice": (CONFIG, FLAT.replace("tail,tail,nose,nose,tail,tail", "tail,tail,nose,nose,nose,nose"), "twice"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_one_sentence(project, case):
    config, table, words = BAD[case]
    (project / "config.yaml").write_text(config)
    (project / "labeled-data/v/CollectedData_me.csv").write_text(table)
    with pytest.raises(DataError, match=words) as error:
        read_labels(project)
    assert "\n" not in str(error.value)


def coco(root, annotations, **more):
    images(root, "images/sub")
    content = {
        "categories": [{"id": 3, "name": "mouse", "keypoints": ["nose", "tail"], "skeleton": [[2, 1]]}],
        "images": [
            {"id": 7, "file_name": "sub/img0.png"},
            {"id": 9, "file_name": str(root.resolve() / "images/sub/img1.png")},
        ],
        "annotations": [{"id": i, "category_id": 3} | a for i, a in enumerate(annotations)],
    } | more
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations/train.json").write_text(json.dumps(content))
    return read_labels(root)


A, B, C, NONE = [1, 2, 2, 3, 4, 1], [5, 6, 2, 0, 0, 0], [7, 8, 2, 9, 1, 2], [0] * 6


def found(*points):
    """What annotations mean: x, y where the flag says so."""
    values = np.reshape(points, (-1, 3)).astype(float)
    return np.where(values[:, 2:] > 0, values[:, :2], np.nan), values[:, 2]


class TestCoco(LabelFormatContract):
    """One animal at most, although some annotations say nothing and others are of no animal."""

    name = "coco"

    def project(self, root):
        annotations = [
            {"image_id": 9, "keypoints": [5, 6, 2, 0, 0, 0]}, {"image_id": 7, "keypoints": [1, 2, 2, 3, 4, 2]},
            {"image_id": 7, "keypoints": NONE}, {"image_id": 7, "category_id": 8, "bbox": [1, 2, 3, 4]},
        ]  # fmt: skip
        categories = [{"id": 8, "name": "food"}, {"id": 3, "name": "mouse", "keypoints": ["a", "b"], "skeleton": []}]
        labels = coco(root, annotations, categories=categories)
        assert labels.animals is None


def test_coco_animals_without_names(tmp_path):
    """As many individuals as an image shows at most, an absolute path, and a picture in a folder of `images`."""
    labels = coco(tmp_path, [{"image_id": i, "keypoints": k} for i, k in ((9, C), (7, B), (9, NONE), (9, A), (9, B))])
    assert labels.animals.individuals == ("individual1", "individual2", "individual3")
    assert labels.animals.parts == ("nose", "tail") and labels.animals.skeleton == ((1, 0),)
    assert labels.images[0] == "images/sub/img0.png" and labels.images[1].startswith("/")
    for row, expected in enumerate(([B, NONE, NONE], [C, A, B])):
        points, flags = found(*expected)
        np.testing.assert_array_equal(labels.keypoints[row], points)
        np.testing.assert_array_equal(labels.visibility[row], flags)
    assert labels.skeleton == ((1, 0), (3, 2), (5, 4))


@pytest.mark.parametrize("fuller", ["train", "test"])
def test_coco_parts_of_a_project_have_the_same_animals(tmp_path, fuller):
    """`test.json` is never trained on; whichever part shows more animals in an image, both have room for them."""
    few, many = ([{"image_id": 7, "keypoints": k} for k in kinds] for kinds in ([A], [B, C]))
    train, test = (many, few) if fuller == "train" else (few, many)
    alone = coco(tmp_path, test)
    (tmp_path / "annotations/train.json").rename(tmp_path / "annotations/test.json")
    labels = coco(tmp_path, train)
    path, *others = ood_label_files(labels)
    tested = read_labels(tmp_path, file=str(path.relative_to(tmp_path)))
    assert not others and tested.keypoint_names == labels.keypoint_names and len(labels.animals.individuals) == 2
    assert len(alone.keypoint_names) == 2 * len(test)
    path.write_text(path.read_text().replace('"annotations"', '"others"'))  # a list of images without labels
    assert ood_label_files(labels) == [] and len(read_labels(tmp_path).keypoint_names) == 2 * len(train)
    np.testing.assert_array_equal(
        tested.keypoints[0], found(*[k["keypoints"] for k in [*test, {"keypoints": NONE}][:2]])[0]
    )


@pytest.mark.parametrize("key", ["track_id", "instance_id", "attributes"])
def test_coco_animals_with_tracks(tmp_path, key):
    def annotation(image, keypoints, track):
        return {"image_id": image, "keypoints": keypoints, key: {"object_id": track} if key == "attributes" else track}

    labels = coco(tmp_path, [annotation(7, A, 40), annotation(7, B, 5), annotation(9, C, 40)])
    np.testing.assert_array_equal(labels.keypoints[0], found(B, A)[0])  # 5 comes before 40
    np.testing.assert_array_equal(labels.keypoints[1], found(NONE, C)[0])
    broken = coco(tmp_path, [annotation(7, A, 40), annotation(7, B, 5), annotation(9, C, 41)])  # tracks that break off
    assert broken.animals.individuals == ("individual1", "individual2")
    np.testing.assert_array_equal(broken.keypoints[1], found(C, NONE)[0])


def test_identities_closed_form():
    assert identities([0, 0, 1], ["b", "a", "b"], ["a", "b"]) == (("a", "b"), [1, 0, 1])
    assert identities([0, 1, 1], ["b", None, "b"], ["b"]) == (("individual1", "individual2"), [0, 0, 1])
    assert identities([0, 0], ["a", "a"], ["a"]) == (("individual1", "individual2"), [0, 1])
    assert identities([0, 1], ["a", "b"], ["a", "b"]) == (("individual1",), [0, 0])
    assert identities([0, 1], ["a", "b"], ["a", "b", "c"], listed=True) == (("a", "b", "c"), [0, 1])


def test_edges_go_to_the_axis_and_back(project):
    labels = read_labels(project)
    assert named_edges(NAMES, labels.animals, labels.skeleton) == [["tail", "nose"], ["door", "nose"]]
    assert flat_edges(labels.animals, [("door", "nobody"), ("door", "door")]) == ((4, 4),)
