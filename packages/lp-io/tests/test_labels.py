"""Every layout, and every way to get it wrong."""

import json
import pickle

import numpy as np
import pytest
from lp_core import DataError
from lp_core.testing.label_format import LabelFormatContract
from lp_io import image_size, ood_label_files, read_image, read_labels
from lp_io.hdf_table import plain_pickle, read_hdf_table
from lp_io.header_table import read_header_table
from PIL import Image

LP = """scorer,me,me,me,me
bodyparts,a,a,b,b
coords,x,y,x,y
labeled-data/v/img0.png,1,2,3,4
labeled-data/v/img1.png,5,6,,
"""


def images(root, folder="labeled-data/v", size=(10, 12)):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for i in (0, 1):
        Image.fromarray(np.full((*size, 3), i, np.uint8)).save(root / folder / f"img{i}.png")


class TestLightningPose(LabelFormatContract):
    name = "lightning_pose"

    def project(self, root):
        images(root)
        (root / "CollectedData.csv").write_text(LP)


class TestDeepLabCut(LabelFormatContract):
    """Bodyparts in another order than the table's columns, a bodypart that is never labeled, two folders, three index columns."""

    name = "deeplabcut"

    def project(self, root):
        images(root, "labeled-data/v")
        images(root, "labeled-data/w")
        (root / "config.yaml").write_text("bodyparts: [a, b]\nskeleton: [[b, a]]\nmultianimalproject: false\n")
        (root / "labeled-data/v/CollectedData_me.csv").write_text(
            "scorer,,,me,me,me,me\nbodyparts,,,b,b,a,a\ncoords,,,x,y,x,y\nlabeled-data,v,img0.png,3,4,1,2\n"
        )
        (root / "labeled-data/w/CollectedData_me.csv").write_text(
            "scorer,me,me\nbodyparts,a,a\ncoords,x,y\nlabeled-data\\w\\img1.png,5,6\n"
        )

    def test_skeleton(self, root):
        assert self.read(root).skeleton == ((1, 0),)


class TestCoco(LabelFormatContract):
    name = "coco"

    def project(self, root):
        images(root, "images")
        content = {
            "categories": [{"id": 1, "name": "animal", "keypoints": ["a", "b"], "skeleton": [[1, 2]]}],
            "images": [{"id": 7, "file_name": "img0.png"}, {"id": 9, "file_name": "img1.png"}],
            "annotations": [
                {"id": 1, "image_id": 9, "keypoints": [5, 6, 2, 0, 0, 0]},
                {"id": 2, "image_id": 7, "keypoints": [1, 2, 2, 3, 4, 2]},
            ],
        }
        (root / "annotations").mkdir()
        (root / "annotations/train.json").write_text(json.dumps(content))

    def test_skeleton_counts_from_one(self, root):
        assert self.read(root).skeleton == ((0, 1),)


@pytest.fixture
def root(tmp_path):
    TestLightningPose().project(tmp_path)
    return tmp_path


def test_the_visible_column(root):
    text = "scorer,me,me,me\nbodyparts,a,a,a\ncoords,x,y,visible\nlabeled-data/v/img0.png,1,2,1\nlabeled-data/v/img1.png,,,0\n"
    (root / "CollectedData.csv").write_text(text)
    labels = read_labels(root)
    assert labels.visibility.tolist() == [[1], [0]] and labels.keypoints[0].tolist() == [[1, 2]]


def test_ood_files_are_found_and_are_not_the_labels(root):
    (root / "CollectedData_new.csv").write_text(LP)
    labels = read_labels(root)
    assert labels.source.name == "CollectedData.csv"
    assert [p.name for p in ood_label_files(labels)] == ["CollectedData_new.csv"]


BAD = {
    "a missing image": (LP.replace("img1", "img9"), r"img9\.png does not exist"),
    "a label outside its image": (
        LP.replace("5,6", "5,60"),
        r"a in labeled-data/v/img1\.png is at \(5, 60\), outside the image of 12×10",
    ),
    "a duplicate keypoint": (LP.replace("a,a,b,b", "a,a,a,a"), "has the column a x twice"),
    "a wrong column count": (LP.replace("5,6,,", "5,6,"), "line 5 has 4 columns where the header has 5"),
    "x without y": (LP.replace("5,6", "5,"), r"img1\.png has only one of x and y for a"),
    "text for a number": (LP.replace("5,6", "5,six"), "'six' in the row of labeled-data/v/img1.png is not a number"),
    "an image twice": (LP.replace("img1", "img0"), r"lists labeled-data/v/img0\.png 2 times"),
    "no rows": ("\n".join(LP.splitlines()[:3]), "no labeled frame"),
    "nothing labeled": ("\n".join([*LP.splitlines()[:3], "labeled-data/v/img0.png,,,,"]), "every cell is empty"),
    "another table": ("a,b\n1,2\n", "first rows must start with scorer, bodyparts and coords"),
    "several animals": (
        "scorer,me,me\nindividuals,m,m\nbodyparts,a,a\ncoords,x,y\nlabeled-data/v/img0.png,1,2\n",
        "several animals",
    ),
    "a keypoint without y": (
        "scorer,me\nbodyparts,a\ncoords,x\nlabeled-data/v/img0.png,1\n",
        "needs both an x and a y",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_labels_are_one_sentence_that_names_the_file(root, case):
    text, words = BAD[case]
    (root / "CollectedData.csv").write_text(text)
    with pytest.raises(DataError, match=words) as error:
        read_labels(root)
    assert "\n" not in str(error.value) and str(root) in str(error.value)


def test_bad_projects_are_one_sentence(root, tmp_path_factory):
    with pytest.raises(DataError, match="is not a directory"):
        read_labels(root / "none")
    with pytest.raises(DataError, match="not a labeled project of a known layout"):
        read_labels(tmp_path_factory.mktemp("empty"))
    (root / "CollectedData_two.csv").write_text(LP)
    with pytest.raises(DataError, match="several label files"):
        read_labels(root)
    assert len(read_labels(root, file="CollectedData_two.csv")) == 2


def test_a_damaged_image_is_named(root):
    (root / "labeled-data/v/img1.png").write_bytes(b"\x89PNG and nothing more")
    with pytest.raises(DataError, match=r"img1\.png cannot be read as an image"):
        read_labels(root)
    whole = root / "labeled-data/v/img0.png"
    noise = np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    whole.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"img0\.png is damaged"):
        read_image(whole)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16", "1", "CMYK"])
def test_images_of_every_kind_become_rgb(tmp_path, mode):
    base = Image.fromarray(np.full((6, 8), 255 if mode == "1" else 200, np.uint8))
    image = Image.fromarray(np.full((6, 8), 200 * 256, np.uint16)) if mode == "I;16" else base.convert(mode)
    path = tmp_path / ("i.tif" if mode in ("CMYK", "I;16") else "i.png")
    image.save(path)
    pixels = read_image(path)
    assert pixels.shape == (6, 8, 3) and pixels.dtype == np.uint8 and image_size(path) == (6, 8)
    assert np.abs(pixels.astype(int) - (255 if mode == "1" else 200)).max() <= 2


def test_real_data(data):
    mouse, reaching = read_labels(data / "mirror-mouse"), read_labels(data / "dlc-reaching")
    assert len(mouse) == 90 and len(mouse.keypoint_names) == 17 and mouse.scorer == "rick"
    assert len(reaching) == 55 and reaching.keypoint_names == ("Hand", "Finger1", "Tongue", "Joystick1", "Joystick2")
    assert reaching.skeleton == ((0, 1), (3, 4))
    assert {image_size(reaching.root / i) for i in reaching.images} == {(747, 832), (470, 640)}


def test_hdf5_equals_csv_on_real_data(data):
    folder = data / "dlc-reaching/labeled-data/reachingvideo1"
    hdf, text = (
        read_hdf_table(folder / "CollectedData_Mackenzie.h5"),
        read_header_table(folder / "CollectedData_Mackenzie.csv"),
    )
    assert (hdf.index, hdf.columns, hdf.scorer) == (text.index, text.columns, text.scorer)
    np.testing.assert_array_equal(hdf.values, text.values)


@pytest.mark.parametrize("protocol", range(5))
def test_pickles_of_plain_values_are_read_without_unpickling(protocol):
    names = [(1, [("me", "a", "x"), ("me", "a", "y"), ("me", "ü", "x")])]
    assert plain_pickle(pickle.dumps(names, protocol)) == names


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    with pytest.raises(ValueError, match="more than plain values"):
        plain_pickle(pickle.dumps([Evil()], 0))
    assert not (tmp_path / "ran").exists()
