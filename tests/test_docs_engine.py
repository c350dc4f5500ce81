"""The Python of the pages on adding parts, and of the page on DeepLabCut's engine, runs in order; trainings are short."""

import csv
import json
import re
import shutil
import tomllib
from pathlib import Path

import lp_train
import numpy as np
import pytest
import torch
import yaml
from lp_core import REGISTRIES, ConfigError, TrainingPoses, backbones
from lp_core.testing.augmentation import AugmentationContract
from lp_core.testing.backbone import BackboneContract
from lp_core.testing.label_format import LabelFormatContract
from lp_core.testing.loss import LossContract
from lp_data.scene import SceneOptions, make_demo
from lp_io import VideoWriter, read_labels, read_predictions
from PIL import Image

ROOT = Path(__file__).parents[1]
SCENE = SceneOptions(size=(160, 176), labeled=20, frames=24, ood_labeled=2, ood_frames=2, hidden=0.0)
SHORT = [
    "training.max_epochs=1", "data.image_size=[96,96]", "training.batch_size=4", "training.steps_per_epoch=2",
    "training.accelerator=cpu", "training.precision=float32", "training.example_images=false",
]  # fmt: skip
RESNET10 = ["backbone=timm", "backbone.model=resnet10t", "backbone.pretrained=false"]
VIDEO = [
    "training.max_epochs=2",
    "training.anneal.freeze_until_epoch=0",
    "training.anneal.increase_factor=1",
    "clips.sequence_length=4",
]
PARTS = ("nose", "left_ear", "right_ear", "neck", "tail")


@pytest.fixture
def run_python(tmp_path, monkeypatch):
    """Runs a page's Python in one scope and directory; `words` and `SHORT` are added to every configuration. Parts that the
    page registers are gone afterwards.
    """
    monkeypatch.chdir(tmp_path)
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_local", dict(registry._local))
    compose = lp_train.compose

    def run(page, *words):
        monkeypatch.setattr(lp_train, "compose", lambda own: compose([*own, *SHORT, *words]), raising=False)
        scope = {"__name__": "page"}
        for block in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            exec(compile(block, page, "exec"), scope)
        return scope

    return run


def given(test):
    """What a test is called with: nothing, or each value of its one parameter."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    return [{mark.args[0]: value} for mark in marks for value in mark.args[1]] or [{}]


def run_suite(suite):
    """All tests of a contract's subclass; how many there were that were not skipped."""
    count = 0
    for name in dir(suite):
        if name.startswith("test_"):
            try:
                for words in given(getattr(suite, name)):
                    getattr(suite(), name)(**words)
            except pytest.skip.Exception:
                continue
            count += 1
    return count


def last_row(path):
    return list(csv.DictReader(Path(path).open()))[-1]


def coco(path, first, frames, animals):
    """An annotation file, and grey images with a bright dot at every keypoint of every animal."""
    rng = np.random.default_rng(first)
    content = {
        "categories": [{"id": 1, "name": "mouse", "keypoints": list(PARTS), "skeleton": []}],
        "images": [],
        "annotations": [],
    }
    for i in range(first, first + frames):
        picture = np.full((96, 112, 3), 80, np.uint8)
        for _ in range(animals):
            points = rng.integers([8, 8], [104, 88], (len(PARTS), 2))
            picture[points[:, 1], points[:, 0]] = 255
            flat = np.column_stack([points, np.full(len(PARTS), 2)]).ravel().tolist()
            content["annotations"].append(
                {"id": len(content["annotations"]) + 1, "image_id": i, "category_id": 1, "keypoints": flat}
            )
        Image.fromarray(picture).save(path.parents[1] / f"images/img{i:04d}.png")
        content["images"].append({"id": i, "file_name": f"img{i:04d}.png", "height": 96, "width": 112})
    path.write_text(json.dumps(content))


@pytest.fixture
def coco_project(tmp_path):
    """`COCOProject` and `test-video.mp4`, as the page has them; test images show one animal, training images two."""
    for folder in ("annotations", "images"):
        (tmp_path / "COCOProject" / folder).mkdir(parents=True)
    coco(tmp_path / "COCOProject/annotations/train.json", 0, 8, 2)
    coco(tmp_path / "COCOProject/annotations/test.json", 8, 3, 1)
    with VideoWriter(tmp_path / "test-video.mp4", 30.0, (96, 112)) as video:
        for i in range(20):
            video.write(np.full((96, 112, 3), 8 * i, np.uint8))


@pytest.fixture
def demo(tmp_path):
    make_demo(tmp_path / "demo/data", SCENE)


def test_the_engine_s_parts(run_python, coco_project, commands, tmp_path):
    page = run_python("docs/deeplabcut-engine.md", "detector.threshold=1e-6")  # it has learned nothing in two steps
    images, backbone, head = page["images"], page["backbone"], page["head"]
    assert torch.equal(backbone(images), torch.nn.functional.max_pool2d(images, 3))
    outputs = head(backbone(images))
    assert outputs["scoremaps_pred"].shape == (8, 5, 32, 32) and outputs["locref_pred"].shape == (8, 10, 32, 32)
    after, _ = page["loss"](stage="train", **outputs, **page["targets"])
    assert after < page["value"]  # the step by hand went downhill
    decoded, sure = head.predictor({k.replace("targ", "pred"): v for k, v in page["targets"].items()})
    assert (decoded - page["keypoints"]).abs().max() < 1e-3 and sure.min() > 0.99

    assert type(page["config"].head).__name__ == "LocrefConfig" and page["config"].training.max_epochs == 200
    assert type(page["config"].backbone).__name__ == "HRNetW32Config"
    parts = yaml.safe_load((tmp_path / "runs/coco/config.yaml").read_text())["parts"]
    assert (parts["backbone"], parts["head"], parts["detector"]) == ("dummy", "dummy", "centers")
    assert page["labels"].animals.parts == PARTS and page["labels"].images[0] == "images/img0000.png"
    tested = read_predictions(tmp_path / "runs/coco/predictions_test.csv")
    assert [Path(name).name for name in tested.index] == [f"img{i:04d}.png" for i in (8, 9, 10)]

    assert page["table"].keypoints.shape == (20, 10, 2) and page["points"].shape == (4, 10, 2)
    np.testing.assert_allclose(page["table"].keypoints[16:], page["points"], atol=0.01)
    assert np.isfinite(page["points"]).any()
    assert page["in_boxes"].shape == (2, 4, 5, 2) and page["alone"].shape == (2, 5, 2)
    assert len(page["predictions"]) == 20 and page["predictions"][0]["bodyparts"].shape == (2, 5, 3)
    poses = np.stack([frame["bodyparts"][..., :2].reshape(10, 2) for frame in page["predictions"]])
    np.testing.assert_allclose(poses, page["table"].keypoints, atol=0.01)
    with pytest.raises(ConfigError, match="no option 'kernel'; did you mean 'kernel_size'"):
        backbones.make("dummy", kernel=3)
    (line,) = commands("docs/deeplabcut-engine.md")
    assert lp_train.compose(line.split()[2:]).out == "runs/coco"


def test_add_a_loss(run_python, demo, capsys):
    page = run_python("docs/add-a-loss.md", *VIDEO, *RESNET10)
    assert "demo/data/videos/ood.mp4 (2 frames) is shorter than clips.sequence_length=4" in capsys.readouterr().out
    logged = last_row(page["run"] / "metrics.csv")
    assert float(logged["train_jumps_weight"]) == pytest.approx(0.5 * np.exp(-5), rel=1e-4)
    points = torch.tensor([[[0.0, 0.0]], [[3.0, 4.0]], [[3.0, 16.0]], [[90.0, 90.0]]])
    sure, there = torch.tensor([[1.0], [1.0], [1.0], [0.0]]), torch.ones(4, dtype=torch.bool)
    loss = page["Jumps"](prob_threshold=0.05, epsilon=4.0, log_weight=0.0)
    value, _ = loss(stage="train", keypoints_pred=points, confidences=sure, valid=there)
    assert value == pytest.approx((1 + 8 + 0) / 3)  # 5 and 12 px, and a frame that nobody is sure of
    assert issubclass(page["TestJumps"], LossContract) and run_suite(page["TestJumps"]) >= 10
    metric = page["metrics"]["acceleration"]().build(None)
    np.testing.assert_array_equal(metric(np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[2.0, 5.0]]]))[1], [5])


def test_add_a_model(run_python, demo):
    page = run_python("docs/add-a-model.md", *VIDEO)
    assert issubclass(page["TestStem"], BackboneContract) and run_suite(page["TestStem"]) == 4
    assert run_suite(page["TestMaps"]) >= 7
    model = lp_train.load_model(page["run"])
    assert model.model_type == "maps" and type(model.backbone).__name__ == "Stem"
    logged = last_row(page["run"] / "metrics.csv")
    assert float(logged["train_temporal_weight"]) > 0 and np.isfinite(float(logged["train_heatmap_kl_loss"]))


def test_add_an_augmentation(run_python, demo):
    page = run_python("docs/add-an-augmentation.md", *RESNET10)
    assert yaml.safe_load((page["run"] / "config.yaml").read_text())["augmentation"]["strength"] == 0.4
    images = torch.arange(2 * 3 * 4 * 6, dtype=torch.uint8).reshape(2, 3, 4, 6)
    points, seen = torch.tensor([[[1.0, 2.0], [torch.nan, torch.nan]]]).repeat(2, 1, 1), torch.tensor([[2, 0]] * 2)
    draws = torch.Generator().manual_seed(3)  # the first is turned, the second not
    out = page["Lamp"](0.0)(images, points, seen, draws)
    assert torch.equal(out.images[0], torch.rot90(images[0].float(), 2, (1, 2)))
    assert torch.equal(out.images[1], images[1].float())
    assert out.keypoints[:, 0].tolist() == [[4, 1], [1, 2]] and out.keypoints[:, 1].isnan().all()
    assert issubclass(page["TestLamp"], AugmentationContract) and run_suite(page["TestLamp"]) >= 6
    with pytest.raises(ConfigError, match="0 or more, and less than 1"):
        page["LampConfig"](strength=1.0)


def as_points(project, demo):
    """A demo's labels as the page's `points.json`, in a project of its own."""
    labels = read_labels(demo)
    shutil.copytree(demo / "labeled-data", project / "labeled-data")
    content = {
        image: {
            name: xy.tolist() for name, xy in zip(labels.keypoint_names, points, strict=True) if np.isfinite(xy).all()
        }
        for image, points in zip(labels.images, labels.keypoints, strict=True)
    }
    (project / "points.json").write_text(json.dumps(content))
    return labels


def test_add_a_label_format(run_python, demo, tmp_path):
    truth = as_points(tmp_path / "project", tmp_path / "demo/data")
    page = run_python("docs/add-a-label-format.md", "evaluation.predict_videos=false", *RESNET10)
    labels = page["labels"]
    order = [labels.keypoint_names.index(name) for name in truth.keypoint_names]
    np.testing.assert_array_equal(labels.keypoints[:, order], truth.keypoints)
    assert yaml.safe_load((page["run"] / "config.yaml").read_text())["data"]["root"] == "project"
    suite = page["TestPoints"]
    assert issubclass(suite, LabelFormatContract)
    (tmp_path / "suite").mkdir()
    suite().project(tmp_path / "suite")
    suite().test_values(tmp_path / "suite")
    suite().test_a_missing_file_is_one_sentence(tmp_path / "suite")


def test_port_a_loss(run_python, demo):
    page = run_python("docs/port.md", *VIDEO, *RESNET10)
    logged = last_row(page["run"] / "metrics.csv")
    assert float(logged["train_limbs_weight"]) == pytest.approx(0.5 * np.exp(-5), rel=1e-4)
    poses = TrainingPoses(
        keypoint_names=("a", "b", "c"),
        keypoints=np.array([[[0.0, 0], [3, 4], [0, 1]], [[0, 0], [6, 8], [0, 1]], [[0, 0], [0, 7], [np.nan] * 2]]),
    )
    loss = page["LimbsConfig"](limbs=[["a", "b"], ["c", "a"]], epsilon=1.0).build(poses)
    assert loss.lengths.tolist() == [7, 1]
    points = torch.tensor([[[0.0, 0], [0, 10], [0, 1]], [[0, 0], [99, 99], [99, 0]]])
    value, _ = loss(stage="train", keypoints_pred=points, valid=torch.tensor([True, False]))
    assert value == pytest.approx((2 + 0) / 2)  # 3 px too long, and as it was
    with pytest.raises(ConfigError, match="must be given"):
        page["LimbsConfig"]().build(poses)


PAGES = {"add-a-loss": 2, "add-a-model": 2, "add-an-augmentation": 1, "add-a-label-format": 1, "index": 1}


@pytest.mark.parametrize("page", PAGES)
def test_the_entry_points_of_the_pages_are_toml_of_known_groups(page):
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / f"docs/{page}.md").read_text(), re.DOTALL)
    groups = tomllib.loads("".join(blocks))["project"]["entry-points"]
    assert set(groups) <= {registry.group for registry in REGISTRIES} and len(groups) == PAGES[page]
