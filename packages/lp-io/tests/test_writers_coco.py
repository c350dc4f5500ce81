"""COCO predictions against pycocotools, sleap-io and our own reader of labels."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lp_core import PoseTable, VideoFacts
from lp_core.testing.table_writer import TableWriterContract, example_table
from lp_io import read_labels
from lp_io.writers.coco import CocoConfig
from PIL import Image

NAMES = tuple(f"labeled-data/v/img{i}.png" for i in range(8))


def pycocotools():
    return pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed beside lp-io")


def quiet():
    return contextlib.redirect_stdout(None)


def table_of(images, annotations, category):
    found = {a["image_id"]: a for a in annotations}
    points = np.full((len(images), len(category["keypoints"]), 3), np.nan)
    for row, image in enumerate(images):
        if annotation := found.get(image["id"]):
            flat = np.reshape(annotation["keypoints"], (-1, 3))
            points[row, :, :2] = np.where(flat[:, 2:] == 2, flat[:, :2], np.nan)
            points[row, :, 2] = annotation["keypoint_scores"]
    return PoseTable(
        keypoint_names=tuple(category["keypoints"]), index=tuple(i["frame_id"] for i in images),
        keypoints=points[..., :2], confidence=points[..., 2],
    )  # fmt: skip


class TestJson(TableWriterContract):
    name = "coco"

    def read(self, path: Path) -> PoseTable:
        content = json.loads(path.read_text())
        return table_of(content["images"], content["annotations"], content["categories"][0])


class TestPycocotools(TableWriterContract):
    name = "coco"

    def read(self, path: Path) -> PoseTable:
        with quiet():
            coco = pycocotools().COCO(str(path))
        images = coco.loadImgs(sorted(coco.getImgIds()))
        assert coco.loadCats(1)[0]["skeleton"] == [[2, 1], [2, 3]]
        return table_of(images, coco.loadAnns(coco.getAnnIds()), coco.loadCats(1)[0])


def test_annotations_are_results_that_coco_scores(tmp_path):
    """Predictions against themselves have an average precision of one; moved a hundred pixels, of zero."""
    evaluation = pytest.importorskip("pycocotools.cocoeval", reason="pycocotools is not installed beside lp-io")
    table = example_table()
    video = VideoFacts(path=tmp_path / "v.mp4", size=(400, 400))
    precision = []
    for shift in (0, 1000):
        CocoConfig().build().write(tmp_path / "p.json", replace(table, keypoints=table.keypoints + shift), video)
        CocoConfig().build().write(tmp_path / "truth.json", table, video)
        with quiet():
            truth = pycocotools().COCO(str(tmp_path / "truth.json"))
            results = truth.loadRes(json.loads((tmp_path / "p.json").read_text())["annotations"])
            score = evaluation.COCOeval(truth, results, "keypoints")
            score.params.kpt_oks_sigmas = np.full(3, 0.05)
            score.evaluate()
            score.accumulate()
            score.summarize()
        precision.append(score.stats[0])
    assert precision == pytest.approx([1, 0])


def inside():
    return replace(example_table(), index=NAMES, keypoints=abs(example_table().keypoints))


@pytest.fixture
def project(tmp_path):
    """Eight images and predictions of them."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((400, 400, 3), np.uint8)).save(tmp_path / name)
    video = VideoFacts(path=tmp_path, size=(400, 400), skeleton=((1, 0),))
    CocoConfig().build().write(tmp_path / "p.json", inside(), video)
    return tmp_path


def test_our_reader_of_labels_takes_predictions_of_images(project):
    labels = read_labels(project, "coco")
    assert labels.images == NAMES and labels.skeleton == ((1, 0),)
    np.testing.assert_array_equal(labels.keypoints, inside().keypoints)


def test_sleap_io_takes_predictions_of_images(project):
    """It reads COCO as float32."""
    sio = pytest.importorskip("sleap_io", reason="sleap-io is not installed: pip install 'lp-io[sleap]'")
    labels = sio.load_coco(str(project / "p.json"))
    assert labels.skeletons[0].node_names == list(example_table().keypoint_names)
    found = {Path(f.video.filename[f.frame_idx]).name: f.instances[0].numpy() for f in labels if len(f.instances)}
    for name, points in zip(NAMES, inside().keypoints, strict=True):
        if np.isfinite(points).any():
            np.testing.assert_array_equal(found.pop(Path(name).name), points.astype(np.float32))
    assert not found
