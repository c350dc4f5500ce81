"""Networks that are told the pose to look for: trained on labels with errors, told another run's poses later."""

import dataclasses

import numpy as np
import pytest
import torch
from lp_core import Animals, ConfigError, DataError
from lp_core.tensors import Augmented, LabeledBatch
from lp_data.scene import SceneOptions, make_demo
from lp_detectors.conditional import ConditionalNet, boxes_round
from lp_detectors.conditions import ConditionOptions
from lp_io import read_labels, read_predictions, write_predictions
from lp_train import (
    RunDir,
    compose,
    evaluate,
    following,
    given_for_labels,
    given_for_video,
    is_waiting,
    load_model,
    train,
)
from lp_train.crops import CropRule, Told, mirror_parts

MICE = Animals(individuals=("a", "b"), parts=("ear_left", "ear_right", "tail"))
FRAME, CROP = (60, 80), (32, 48)
SMALL = ["backbone=timm", "backbone.model=mobilenetv3_small_050"]
QUIET = {"say": lambda _: None}


def words(project, out, *more: str) -> list[str]:
    return [
        f"data.root={project}", f"out={out}", "backbone.pretrained=false", "data.image_size=[96,128]",
        "data.crop_size=[64,64]", "training.max_epochs=1", "training.batch_size=4", *more,
    ]  # fmt: skip


def told(*more: str) -> list[str]:
    return ["backbone=cond_prenet", SMALL[1], "head=heatmap", *more]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("arena")
    options = SceneOptions(animals=2, size=(96, 128), labeled=10, frames=12, ood_labeled=3, ood_frames=4)
    make_demo(root, options)
    return root


@pytest.fixture(scope="module")
def proposer(project, tmp_path_factory):
    """A run that finds animals by itself; hardly trained, it is made to name some everywhere."""
    root = tmp_path_factory.mktemp("runs") / "finds"
    train(compose(words(project, root, *SMALL, "head=heatmap", "detector.width=0.25", "detector.threshold=0")), **QUIET)
    evaluate(root, **QUIET)
    return root


@pytest.fixture(scope="module")
def run(project, proposer, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "told"
    return train(compose(words(project, root, *told(f"conditions={proposer}"))), **QUIET)


def labeled() -> LabeledBatch:
    points = torch.tensor([[[30.0, 20], [50, 40], [40, 30], [10, 10], [12, 30], [25, 20]]])
    images = torch.randint(0, 256, (1, 3, *FRAME), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    seen = points.isfinite().all(-1) * 2
    return LabeledBatch(
        images=images, keypoints=points, visibility=seen, index=torch.tensor([4]), original_size=torch.tensor([FRAME])
    )


@pytest.mark.parametrize("way", ["validation", "training"])
@pytest.mark.parametrize("errors", [{"jitter": 0, "miss": 0, "inversion": 0, "swap": 0}, {"inversion": 1}])
def test_crops_are_taken_round_conditions_with_errors(way, errors):
    none = {"jitter": 0.0, "miss": 0.0, "inversion": 0.0, "swap": 0.0}
    rule, batch = CropRule(MICE, FRAME, CROP, 16, ConditionOptions(**none | errors)), labeled()
    frames = Augmented(
        images=batch.images.float(), keypoints=batch.keypoints, visibility=batch.visibility,
        transforms=torch.eye(2, 3)[None],
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    crops, seen = rule.validation(batch) if way == "validation" else rule.training(batch, frames, generator)
    assert isinstance(seen, Told) and seen.conditions.shape == (2, 3, 2) and len(crops) == 2
    truth = batch.keypoints.unflatten(1, (2, 3))[0]
    scale = (truth[:, 0] - truth[:, 1]).norm(dim=-1) / (seen.keypoints[:, 0] - seen.keypoints[:, 1]).norm(dim=-1)
    off = (seen.conditions - seen.keypoints) * scale[:, None, None]  # in pixels of the frame
    box = boxes_round(seen.conditions)
    middle = (box[:, :2] + box[:, 2:]) / 2
    assert torch.allclose(middle, torch.tensor([[23.5, 15.5]]).expand(2, 2), atol=1e-3)
    if errors.get("inversion"):
        sides = truth[:, [1, 0]] - truth[:, :2]
        assert ((off[:, :2] - sides).norm(dim=-1) < 0.6 * sides.norm(dim=-1)).all()  # at the other ear, about
    else:
        side = (truth.amax(1) - truth.amin(1)).prod(-1).sqrt()
        assert (off.norm(dim=-1) < 0.3 * side[:, None]).all() and (off.norm(dim=-1) > 0).all()


def test_validation_always_sees_the_same_conditions():
    rule = CropRule(MICE, FRAME, CROP, 16, ConditionOptions())
    one, two = (rule.validation(labeled())[1] for _ in range(2))
    assert isinstance(one, Told) and isinstance(two, Told) and torch.equal(one.conditions, two.conditions)


def test_sides_are_found_in_names():
    assert mirror_parts(MICE.parts) == (1, 0, 2) and mirror_parts(("ear_left", "tail")) == ()


def test_trained_measured_and_loaded_without_the_run_that_proposes(run, proposer):
    known, new = evaluate(run, **QUIET)
    assert set(known.animals) >= {"train", "validation"} and new.animals["new"].animals == 6
    header = (RunDir(run).root / "metrics.csv").read_text().splitlines()[0]
    assert "train_heatmap_kl_loss" in header and "detection" not in header
    moved = proposer.with_name("gone")
    proposer.rename(moved)
    try:
        net = load_model(run)
        assert isinstance(net, ConditionalNet) and net.model_type == "conditional_heatmap"
        keypoints, confidence = net(torch.zeros(2, 3, 96, 128, dtype=torch.uint8))
        assert keypoints.shape == (2, 12, 2) and confidence.shape == (2, 12)
    finally:
        moved.rename(proposer)


def test_a_table_of_proposals_gives_what_the_run_gives(run, proposer):
    evaluate(run, **QUIET)
    by_run = read_predictions(run / "predictions.csv")
    results = evaluate(run, conditions=proposer / "predictions.csv", **QUIET)
    by_table = read_predictions(run / "predictions.csv")
    assert len(results) == 1 and by_run.confidence.max() > 0
    assert np.allclose(by_run.keypoints, by_table.keypoints, atol=1e-2, equal_nan=True)


def test_proposals_can_come_from_another_run(run, proposer):
    net = load_model(run, conditions=proposer)
    again = load_model(run)
    images = torch.randint(0, 256, (1, 3, 96, 128), dtype=torch.uint8)
    assert torch.equal(net(images)[0].nan_to_num(), again(images)[0].nan_to_num())
    with pytest.raises(ConfigError, match="finds animals by itself"):
        load_model(proposer, conditions=run)


def test_training_needs_no_proposals_and_prediction_says_so(project, tmp_path):
    root = train(compose(words(project, tmp_path / "run", *told())), **QUIET)
    assert is_waiting(root) and not (root / "conditions").exists()
    with pytest.raises(ConfigError, match="give conditions=RUN"):
        evaluate(root, **QUIET)


def test_what_does_not_go_together_is_said_before_training(project, proposer, tmp_path):
    def refused(pattern, *more):
        with pytest.raises(ConfigError, match=pattern):
            train(compose(words(project, tmp_path / "run", *more)), **QUIET)
        assert not (tmp_path / "run").exists()

    refused("is for backbones that are told poses", "backbone=resnet18", "head=heatmap", f"conditions={proposer}")
    refused("a head for one", *told("head=dekr")[:2], "head=dekr")
    refused("learn from video", *told("losses=[temporal]"))
    refused("is a table", *told("conditions=poses.csv"))
    refused("does not exist", *told("conditions=nowhere"))
    refused("at most in sum", *told("condition_errors.swap=0.9"))


def test_tables_of_something_else_are_refused(run, proposer, project, tmp_path):
    net, table = load_model(run), proposer / "predictions.csv"
    labels = read_labels(project)
    with pytest.raises(DataError, match="of this video"):
        given_for_video(net, table, 12, (96, 128))
    new = read_labels(project, file=next(project.glob("**/*_new.csv")).relative_to(project).as_posix())
    with pytest.raises(DataError, match="none of the frames"):
        given_for_labels(net, table, new)
    one = read_predictions(table)
    fewer = tmp_path / "fewer.csv"
    names = ("animal1/nose", "animal2/nose")
    keep = [one.keypoint_names.index(n) if n in one.keypoint_names else 0 for n in names]
    animals = Animals(individuals=("animal1", "animal2"), parts=("nose",))
    write_predictions(fewer, dataclasses.replace(
        one, keypoint_names=names, keypoints=one.keypoints[:, keep], confidence=one.confidence[:, keep], animals=animals
    ))  # fmt: skip
    with pytest.raises(DataError, match="same animals and parts"):
        given_for_labels(net, fewer, labels)
    with pytest.raises(ConfigError, match="'evry' is none of them"):
        following(net, {"evry": 3})
    with pytest.raises(ConfigError, match="leave it out"):
        following(load_model(proposer), {})
