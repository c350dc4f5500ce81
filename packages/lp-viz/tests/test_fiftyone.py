"""Labels and predictions as samples of FiftyOne: its own objects, without its database."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from lp_core import Animals, ConfigError, DataError, LabelSet, PoseTable
from lp_io import VideoWriter, write_predictions
from lp_viz.fiftyone_samples import disagreement, field_names, image_samples, keypoints, skeleton, video_sample
from lp_viz.fiftyone_viewer import MARK, FiftyOneConfig, add_views, saved_views
from lp_viz.viewers import Results
from PIL import Image

NAMES, SIZE = ("nose", "tail base"), (60, 80)


@pytest.fixture(scope="module")
def fo():
    return pytest.importorskip("fiftyone", reason="FiftyOne is an extra: pip install 'lp-viz[fiftyone]'")


@pytest.fixture
def labels(tmp_path) -> LabelSet:
    for number in range(3):
        Image.new("RGB", SIZE[::-1]).save(tmp_path / f"img{number}.png")
    points = np.array([[[9.5, 19.5], [39.5, 29.5]], [[0.0, 0.0], [np.nan, np.nan]], [[79.0, 59.0], [10.0, 10.0]]])
    return LabelSet(
        root=tmp_path, source=tmp_path / "labels.csv", images=tuple(f"img{n}.png" for n in range(3)),
        keypoint_names=NAMES, keypoints=points, visibility=np.full((3, 2), 2),
    )  # fmt: skip


def table(labels: LabelSet, shift: tuple[float, float], split=("train", "test", "test"), order=(2, 0, 1)) -> PoseTable:
    """Predictions `shift` away from the labels, in another order of rows; where there is no label, at (1, 1)."""
    points = np.nan_to_num(labels.keypoints, nan=1.0) + np.array(shift)
    return PoseTable(
        keypoint_names=NAMES, index=tuple(labels.images[n] for n in order), keypoints=points[list(order)],
        confidence=np.array([[0.9, 0.5]] * 3), split=tuple(split[n] for n in order),
    )  # fmt: skip


def test_a_sample_has_truth_and_every_model_side_by_side(fo, labels):
    a, b = table(labels, (3.0, 4.0)), table(labels, (0.0, -1.0))
    samples = list(image_samples(labels, {"run a": a, "b": b}))
    assert len(samples) == 3 and all(isinstance(s, fo.Sample) for s in samples)
    first, second, _ = samples
    assert first.filepath == str(labels.root / "img0.png") and first.tags == ["train"] and second.tags == ["test"]
    assert (first.metadata.width, first.metadata.height) == (80, 60)
    (truth,), (predicted,) = first.ground_truth.keypoints, first.run_a.keypoints
    np.testing.assert_allclose(
        truth.points, [(10 / 80, 20 / 60), (40 / 80, 30 / 60)]
    )  # half a pixel: edges, not centres
    np.testing.assert_allclose(predicted.points, [(13 / 80, 24 / 60), (43 / 80, 34 / 60)])
    assert predicted.confidence == [0.9, 0.5] and truth.confidence is None
    assert first.error_run_a == pytest.approx(5) and first.error_b == pytest.approx(1)
    assert first.errors_run_a.tail_base == pytest.approx(5) and first.confidence_b == pytest.approx(0.7)
    assert first.disagreement == pytest.approx(np.hypot(3, 5))


def test_what_is_missing_stays_missing(fo, labels):
    sample = list(image_samples(labels, {"a": table(labels, (3.0, 4.0))}))[1]
    (truth,) = sample.ground_truth.keypoints
    assert tuple(truth.points[0]) == (0.5 / 80, 0.5 / 60) and np.isnan(truth.points[1]).all()
    assert sample.error_a == pytest.approx(5) and not sample.errors_a.has_field("tail_base")
    assert not sample.has_field("disagreement")


def test_samples_survive_fiftyones_own_format(fo, labels):
    sample = next(iter(image_samples(labels, {"a": table(labels, (3.0, 4.0))})))
    again = fo.Sample.from_dict(sample.to_dict())
    np.testing.assert_array_equal(again.a.keypoints[0].points, sample.a.keypoints[0].points)
    assert again.tags == ["train"] and again.errors_a.nose == pytest.approx(5)


def test_models_that_split_differently_say_so(fo, labels):
    other = table(labels, (0.0, 1.0), split=("test", "test", "train"))
    samples = list(image_samples(labels, {"a": table(labels, (3.0, 4.0)), "b": other}))
    assert [s.tags for s in samples] == [["a: train", "b: test"], ["test"], ["a: test", "b: train"]]


def test_several_animals_are_several_instances(fo):
    animals = Animals(individuals=("x", "y"), parts=("nose", "tail"), unique=("corner",), skeleton=((0, 1),))
    points = np.array([[1.0, 1.0], [2.0, np.nan], [np.nan, np.nan], [np.nan, np.nan], [5.0, 5.0]])
    found = keypoints(points, SIZE, np.linspace(0, 1, 5), animals).keypoints
    assert [k.label for k in found] == ["x", "corner"] and [len(k.points) for k in found] == [2, 1]
    assert found[0].confidence == [0.0, 0.25] and found[1].confidence == [1.0]
    edges = skeleton(animals.keypoint_names, [(0, 1), (2, 3)], animals)
    assert list(edges.labels) == ["nose", "tail"] and [list(e) for e in edges.edges] == [[0, 1]]


def test_a_video_has_keypoints_in_its_frames(fo, tmp_path):
    video, count = tmp_path / "v.mp4", 6
    with VideoWriter(video, 10.0, SIZE) as writer:
        for _ in range(count):
            writer.write(np.zeros((*SIZE, 3), np.uint8))
    points = np.zeros((count, 2, 2)) + np.arange(count)[:, None, None] * np.array([3.0, 4.0])
    given = PoseTable(
        keypoint_names=NAMES, index=tuple(range(count)), keypoints=points, confidence=np.full((count, 2), 0.5)
    )
    write_predictions(tmp_path / "a.csv", given)
    sample = video_sample(video, {"a": tmp_path / "a.csv", "b": given})
    assert sample.media_type == "video" and len(sample.frames) == count  # FiftyOne counts from 1
    assert (sample.metadata.total_frame_count, sample.metadata.frame_rate) == (count, pytest.approx(10))
    np.testing.assert_allclose(sample.frames[3].a.keypoints[0].points, [(6.5 / 80, 8.5 / 60)] * 2)
    assert sample.frames[3].jump_a == pytest.approx(5) and sample.frames[3].disagreement == 0
    assert sorted(video_sample(video, {"a": given}, every=4).frames) == [1, 5]
    with pytest.raises(DataError, match=r"a\.csv has 6 rows but .* has 7 frames|rows but"):
        video_sample(tmp_path / "v.mp4", {"a": PoseTable(keypoint_names=NAMES, index=(0,), keypoints=points[:1],
                                                          confidence=np.ones((1, 2)))})  # fmt: skip


def test_without_a_database_one_sentence_says_what_to_do(fo, labels, monkeypatch):
    def refused(name):
        raise ConnectionError("Could not connect to `mongod`")

    monkeypatch.setattr(fo, "dataset_exists", refused)
    results = Results(runs={"a": labels.root}, labels=labels, predictions={"a": table(labels, (0.0, 0.0))})
    with pytest.raises(DataError, match=r"FiftyOne reaches no MongoDB: .* FIFTYONE_DATABASE_URI=mongodb://"):
        FiftyOneConfig().build().show(results)


def test_a_dataset_of_somebody_else_is_not_replaced(fo, labels, monkeypatch):
    monkeypatch.setattr(fo, "dataset_exists", lambda name: True)
    monkeypatch.setattr(fo, "load_dataset", lambda name: SimpleNamespace(info={}))
    results = Results(runs={"a": labels.root}, labels=labels, predictions={"a": table(labels, (0.0, 0.0))})
    with pytest.raises(ConfigError, match="dataset 'mine' that lpose did not make"):
        FiftyOneConfig(name="mine").build().show(results)
    assert MARK


def test_saved_views_are_made_of_fields_that_samples_have(fo, labels):
    """Calls that a dataset gets, on a stand-in that knows the samples: no database is here."""
    runs = ["run a", "b"]
    samples = list(image_samples(labels, {run: table(labels, (1.0 + n, 0.0)) for n, run in enumerate(runs)}))
    saved = {}

    class Dataset:
        def __init__(self, items=samples):
            self.items = items

        def match_tags(self, tag):
            return Dataset([s for s in self.items if tag in s.tags])

        def exists(self, field):
            return Dataset([s for s in self.items if s[field] is not None])

        def sort_by(self, field, reverse):
            return Dataset(sorted(self.items, key=lambda s: s[field], reverse=reverse))

        def limit(self, count):
            return Dataset(self.items[:count])

        def __len__(self):
            return len(self.items)

        def save_view(self, name, view):
            saved[name] = [s.filepath[-8:-4] for s in view.items]

    add_views(Dataset(), saved_views(runs))
    assert {"worst frames of run a", "b is least sure", "models disagree", "test frames"} <= saved.keys()
    assert saved["test frames"] == ["img1", "img2"] and "validation frames" not in saved
    assert saved_views(runs, video=True) == []


def test_names_become_fields():
    found = field_names(["run 1", "run.1", "2nd", "tags", "ü", "a/b"])
    assert list(found.values()) == ["run_1", "run_1_2", "run_2nd", "run_tags", "field", "a_b"]


def test_disagreement_is_between_those_farthest_apart():
    poses = [
        np.array([[0.0, 0.0], [np.nan, np.nan]]),
        np.array([[3.0, 4.0], [1.0, 1.0]]),
        np.array([[0.0, 1.0], [1.0, 3.0]]),
    ]
    assert disagreement(poses) == pytest.approx((5 + 2) / 2)
    assert disagreement([poses[0] * np.nan, poses[1]]) is None


def test_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(ConfigError, match=r"viewer=fiftyone needs FiftyOne; pip install 'lp-viz\[fiftyone\]'"):
        FiftyOneConfig().build()
