"""What evaluation says of several animals: boxes, individuals, and DeepLabCut's own numbers."""

import itertools
import json

import numpy as np
import pytest
import torch
from lp_core import Animals, LabelSet
from lp_data.scene import SceneOptions, make_demo
from lp_train import compose, evaluate, load_model, results_table, train
from lp_train.animal_scores import AnimalScores
from lp_train.box_metrics import box_precision
from lp_train.dlc_scores import DeepLabCutScores
from lp_train.evaluation import Evaluation
from lp_train.found import Found, FoundBoxes

PAIR = Animals(individuals=("a", "b"), parts=("nose", "ear", "tail"))
NAN = np.nan


def box(*values):
    return np.array(values, float)[None]  # (1, boxes, 4)


def iou(one, two):
    low, high = np.maximum(one[:2], two[:2]), np.minimum(one[2:], two[2:])
    shared = np.clip(high - low, 0, None).prod()
    return shared / ((one[2:] - one[:2]).prod() + (two[2:] - two[:2]).prod() - shared)


def by_hand(found, scores, truth, limit):
    """Average precision by its definition: the surest first, each takes the best free label, precision at 101 recalls."""
    every = [(s, f, b) for f, (boxes, sure) in enumerate(zip(found, scores, strict=True)) for b, s in enumerate(sure)]
    known = [(f, a) for f in range(len(truth)) for a in range(truth.shape[1]) if np.isfinite(truth[f, a]).all()]
    taken, right = set(), []
    for _, f, b in sorted(every, key=lambda e: -e[0]):
        free = [(iou(found[f, b], truth[f, a]), a) for g, a in known if g == f and (f, a) not in taken]
        best = max(free, default=(0.0, -1))
        right.append(best[0] >= limit)
        if right[-1]:
            taken.add((f, best[1]))
    hits = np.cumsum(right)
    recall, precision = hits / len(known), hits / np.arange(1, len(hits) + 1)
    return 100 * np.mean([max(precision[recall >= r], default=0.0) for r in np.linspace(0, 1, 101)])


def test_boxes_against_the_definition():
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 60, (30, 4, 2))
    truth = np.concatenate([corner, corner + rng.uniform(10, 30, (30, 4, 2))], -1)
    found = truth + rng.normal(0, 3, truth.shape)
    scores = rng.permutation(120).reshape(30, 4) / 120
    truth[rng.random((30, 4)) < 0.2] = NAN
    result = box_precision(found, scores, truth)
    limits = [round(0.5 + 0.05 * n, 2) for n in range(10)]
    assert list(result.ap) == limits and 5 < result.map < 95
    for limit in limits:
        assert result.ap[limit] == pytest.approx(by_hand(found, scores, truth, limit), abs=1e-6)
    assert result.map == pytest.approx(np.mean(list(result.ap.values())))


def test_boxes_of_few_frames_by_hand():
    """Overlap 60 of 100: right at .50, .55 and .60 only."""
    truth, found = box([0, 0, 10, 10]), box([0, 0, 10, 6])
    result = box_precision(found, np.ones((1, 1)), truth)
    assert result.map == pytest.approx(30) and result.mar == pytest.approx(30)
    nobody = box([NAN] * 4)
    assert box_precision(nobody, np.zeros((1, 1)), truth).map == 0
    assert np.isnan(box_precision(found, np.ones((1, 1)), nobody).map)


def labels_of(poses, animals, tmp_path):
    points = np.asarray(poses, float).reshape(len(poses), -1, 2)
    names = animals.keypoint_names if animals else tuple("xyz"[: points.shape[1]])
    return LabelSet(
        root=tmp_path, source=tmp_path / "labels.csv", images=tuple(f"{n}.png" for n in range(len(points))),
        keypoint_names=names, keypoints=points, visibility=2 * np.isfinite(points).all(-1).astype(int), animals=animals,
    )  # fmt: skip


POSE = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 20.0]])


def test_the_right_individual_is_that_of_the_row(tmp_path):
    """Two of three frames have the animals in their rows; in the third they are exchanged."""
    truth = np.stack([[POSE, POSE + 200]] * 3)
    poses = truth + 1.0
    poses[2] = poses[2, ::-1]
    found = Found(keypoints=poses.reshape(3, -1, 2), confidence=np.ones((3, 6)))
    labels, rows = labels_of(truth, PAIR, tmp_path), np.ones(3, dtype=bool)
    scores = AnimalScores.of(found, labels, rows, identity=True)
    assert scores.identity == pytest.approx(200 / 3) and "right individual 66.7%" in str(scores)
    assert scores.missed == scores.invented == 0 and scores.map == pytest.approx(100)
    plain = AnimalScores.of(found, labels, rows)
    assert plain.identity is None and plain.box_map is None and "individual" not in str(plain)


def test_only_the_boxes_of_the_frames_asked_for(tmp_path):
    truth = np.stack([[POSE, POSE + 200]] * 2)
    boxes = np.array([[[0.0, 0, 10, 10], [50, 50, 60, 60]]] * 2)
    found = Found(
        keypoints=truth.reshape(2, -1, 2), confidence=np.ones((2, 6)),
        boxes=FoundBoxes(found=boxes, scores=np.ones((2, 2)), truth=boxes + np.array([0, 500])[:, None, None]),
    )  # fmt: skip
    labels = labels_of(truth, PAIR, tmp_path)
    assert [AnimalScores.of(found, labels, np.arange(2) == n).box_map for n in (0, 1)] == pytest.approx([100, 0])


def test_deeplabcut_s_numbers_of_one_animal(tmp_path):
    """Distances 3, 4 and 5, and a keypoint that is not labeled; the mean distance, not its root of squares."""
    truth = np.stack([POSE, POSE])
    truth[1, 1:] = NAN
    found = truth.copy()
    found[0] += [[3, 0], [0, 4], [3, 4]]
    found[1, 1] = 9
    confidence = np.array([[0.9, 0.5, 0.7], [0.6, 1, 1]])
    labels = labels_of(truth, None, tmp_path)
    scores = DeepLabCutScores.of(Found(keypoints=found, confidence=confidence), labels, np.ones(2, bool), 0.6)
    assert scores.rmse == pytest.approx(12 / 4) and scores.rmse_pcutoff == pytest.approx(8 / 3)
    assert str(scores) == "DeepLabCut's rmse 3.00 px, from confidence 0.6 on 2.67 px"
    none = DeepLabCutScores.of(Found(keypoints=found, confidence=confidence * 0), labels, np.arange(2) == 1, 0.6)
    assert none.rmse == 0 and none.rmse_pcutoff is None and "none px" in str(none)


def test_deeplabcut_s_pairs_have_no_second_choice_and_missed_animals_do_not_count(tmp_path):
    """Both found animals are nearest to the first labeled one: the second is left out, however far it is."""
    truth = np.stack([[POSE, POSE + 40]])
    poses = np.stack([[POSE + np.array([3, 4]), POSE + np.array([6, 8])]])
    labels = labels_of(truth, PAIR, tmp_path)
    found = Found(keypoints=poses.reshape(1, -1, 2), confidence=np.ones((1, 6)))
    assert DeepLabCutScores.of(found, labels, np.ones(1, bool), 0.6).rmse == pytest.approx(5)
    distance = [np.hypot(*(p - t)[0]) for p, t in itertools.product(poses[0], truth[0])]
    assert min(distance[0] + distance[3], distance[1] + distance[2]) / 2 > 20  # what a best assignment says


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("arena")
    make_demo(root, SceneOptions(animals=2, size=(96, 128), labeled=10, frames=12, ood_labeled=3, ood_frames=4))
    return root


@pytest.mark.parametrize(
    "words",
    [
        ["head=heatmap", "data.crop_size=[64,64]", "detector.width=0.5", "detector.threshold=0"],
        ["head=paf", "head.hidden=16", "head.num_stages=1", "head.identity=true", "evaluation.dlc_compat=true"],
    ],
    ids=["top_down", "identity"],
)
def test_a_run_is_measured_in_full(words, project, tmp_path):
    config = compose([
        *words, f"data.root={project}", f"out={tmp_path / 'run'}", "backbone=resnet18", "backbone.pretrained=false",
        "data.image_size=[96,128]", "training.max_epochs=1", "training.batch_size=4", "training.accelerator=cpu",
        "training.example_images=false", "evaluation.predict_videos=false",
    ])  # fmt: skip
    said = []
    root = train(config, say=lambda _: None)
    known, new = evaluate(root, dlc_compat="head=heatmap" in words, say=said.append)
    top_down = "head=heatmap" in words
    for scores in (*known.animals.values(), *new.animals.values()):
        assert (scores.box_map is not None) == top_down and (top_down <= (scores.identity is None))
    assert set(known.deeplabcut) == set(known.splits) and set(new.deeplabcut) == {"new"}
    assert ("boxes mAP" in said[-1]) == top_down and "DeepLabCut's rmse" in said[-1]
    stored = json.loads((root / "evaluation.json").read_text())[0]
    assert stored["deeplabcut"]["train"]["pcutoff"] == 0.6 and "box_map" in stored["animals"]["train"]
    if top_down:
        truth = load_model(root)
        frames = torch.zeros(1, 3, 96, 128, dtype=torch.uint8)
        assert truth.detect(frames)[0].shape == (1, 4, 4)  # data.boxes_per_animal


def test_nothing_is_said_where_nothing_was_asked():
    assert "DeepLabCut" not in results_table([Evaluation("labels", {}, {}, {}, {})])
