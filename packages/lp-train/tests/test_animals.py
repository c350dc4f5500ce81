"""Networks for several animals: trained, measured, loaded again."""

import csv
import itertools
import json

import numpy as np
import pytest
import torch
from lp_core import Animals, ConfigError
from lp_data.scene import SceneOptions, make_demo
from lp_io import read_predictions
from lp_train import (
    RunDir,
    available_detectors,
    available_models,
    build_network,
    compose,
    evaluate,
    load_model,
    train,
)
from lp_train.animals import match_animals
from lp_train.build import build_tracker
from lp_train.data import load_data
from lp_train.streams import TrainBatch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

MICE = Animals(individuals=("a", "b", "c"), parts=("nose", "tail"), unique=("corner",))
HEADS = [
    ["head=paf", "head.hidden=16", "head.num_stages=1"],
    ["head=dekr"],
    ["head=heatmap", "data.crop_size=[64,64]", "detector.width=0.5", "detector.threshold=0"],
]
CERTAIN = ["losses.pseudo_boxes.prob_threshold=0", "losses.pseudo_boxes.empty_threshold=0"]  # whatever is found


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("arena")
    options = SceneOptions(animals=2, size=(96, 128), labeled=10, frames=12, ood_labeled=3, ood_frames=4)
    make_demo(root, options)
    return root


def test_matching_is_the_best_of_all_orders():
    rng = np.random.default_rng(0)
    labeled = rng.uniform(0, 100, (40, 7, 2))
    predicted = labeled + rng.normal(0, 20, labeled.shape)
    labeled[rng.random(labeled.shape[:2]) < 0.2] = np.nan
    predicted[:, :6] = rng.permuted(predicted[:, :6].reshape(40, 3, 4), axis=1).reshape(40, 6, 2)
    confidence = rng.random((40, 7))
    points, sure = match_animals(predicted, confidence, labeled, MICE)
    for n in range(40):
        own, truth = predicted[n, :6].reshape(3, 2, 2), labeled[n, :6].reshape(3, 2, 2)
        orders = [own[list(order)] for order in itertools.permutations(range(3))]
        known = np.isfinite(truth).all(-1).any(-1)
        costs = [np.nanmean(np.linalg.norm(o - truth, axis=-1)[known], axis=1).sum() for o in orders]
        mine = points[n, :6].reshape(3, 2, 2)
        found = np.nanmean(np.linalg.norm(mine - truth, axis=-1)[known], axis=1).sum()
        assert found == pytest.approx(min(costs))
        assert sorted(map(tuple, mine.reshape(3, -1))) == sorted(map(tuple, own.reshape(3, -1)))
        where = [next(i for i in range(3) if np.array_equal(own[i], m)) for m in mine]
        assert np.array_equal(sure[n, :6].reshape(3, 2), confidence[n, :6].reshape(3, 2)[where])
    assert np.array_equal(points[:, 6], predicted[:, 6]) and np.array_equal(sure[:, 6], confidence[:, 6])


@pytest.mark.parametrize("words", HEADS, ids=lambda words: words[0])
def test_train_evaluate_and_load(words, project, tmp_path):
    taught = "detector.width=0.5" in words
    names = ["temporal", "pca_singleview", "unimodal_mse", "consistency", *["pseudo_boxes"] * taught]
    config = compose([
        *words, f"data.root={project}", f"out={tmp_path / 'run'}", "backbone=resnet18", "backbone.pretrained=false",
        "data.image_size=[96,128]", "training.max_epochs=2", "training.batch_size=4", "training.anneal.freeze_until_epoch=0",
        "training.anneal.increase_factor=1", "clips.sequence_length=4", "losses.temporal.epsilon=5",
        f"losses=[{','.join(names)}]",
        "training.example_images=false", *CERTAIN * taught,
    ])  # fmt: skip
    root = train(config, say=lambda _: None)
    known, new = evaluate(root, say=lambda _: None)
    assert set(known.animals) == set(known.splits) >= {"train", "validation"} and set(new.animals) == {"new"}
    assert sum(scores.animals for scores in known.animals.values()) == 20 and new.animals["new"].animals == 6
    table = read_predictions(root / "predictions.csv")
    assert table.animals is not None and table.animals.individuals == ("animal1", "animal2")
    task = json.loads(RunDir(root).provenance.read_text())["task"]
    assert task == ("top down" if taught else "bottom up")
    losses = (RunDir(root).root / "metrics.csv").read_text().splitlines()[0].split(",")
    learned = {f"train_{name}_loss" for name in names}
    assert learned <= set(losses) and ("train_detection_loss" in losses) == taught
    if taught:
        last = list(csv.DictReader((root / "metrics.csv").open()))[-1]
        assert float(last["train_pseudo_boxes_frames"]) > 0 and float(last["train_pseudo_boxes_loss"]) > 0
    one, two = load_model(root), load_model(root)
    assert one.animals == two.animals and one.animals is not None and len(one.animals.skeleton) == 6
    frames = torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8)
    with torch.inference_mode():
        found, again = one(frames), two(frames)
    assert found[0].shape == (2, 12, 2)
    assert all(torch.equal(a.nan_to_num(-1), b.nan_to_num(-1)) for a, b in zip(found, again, strict=True))


@pytest.mark.parametrize("loss", ["temporal", "temporal_heatmap_kl"])
def test_a_loss_that_compares_frames_wants_more_than_one(loss, project, tmp_path):
    config = compose([
        f"data.root={project}", f"out={tmp_path / 'run'}", "head=dekr", "backbone=resnet18", "backbone.pretrained=false",
        "data.image_size=[96,128]", f"losses=[{loss}]", "clips.sequence_length=1",
    ])  # fmt: skip
    with pytest.raises(ConfigError, match=rf"losses\.{loss} compares frames, and clips\.sequence_length=1"):
        train(config, say=lambda _: None)


def test_a_loss_for_detectors_wants_one_that_learns(project, tmp_path):
    words = [f"data.root={project}", f"out={tmp_path / 'run'}", "backbone=resnet18", "backbone.pretrained=false"]
    config = compose([*words, "head=dekr", "data.image_size=[96,128]", "losses=[pseudo_boxes]"])
    with pytest.raises(ConfigError, match=r"losses\.pseudo_boxes teaches a detector, and here is none that learns"):
        train(config, say=lambda _: None)


def test_a_detector_as_it_is_stays_so_and_a_run_is_loaded_without_its_file(project, tmp_path):
    torch.manual_seed(0)
    file = tmp_path / "coco.pth"
    coco = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=91)
    torch.save(coco.state_dict(), file)
    config = compose([
        f"data.root={project}", f"out={tmp_path / 'run'}", "backbone=resnet18", "backbone.pretrained=false",
        "data.image_size=[96,128]", "data.crop_size=[64,64]", "training.max_epochs=1", "training.batch_size=4",
        "detector=ssdlite", f"detector.weights={file}", "detector.kinds=[dog]",
        "training.example_images=false",
    ])  # fmt: skip
    root = train(config, say=lambda _: None)
    file.unlink()
    state = load_model(root).detector.state_dict()
    assert all(torch.equal(state[f"model.{name}"], value) for name, value in coco.state_dict().items())


@pytest.mark.parametrize("name", [name for name in available_models() if not name.startswith("top_down")])
def test_every_model_trains_a_step(name, project):
    """The four that crash in DeepLabCut with what it configures for them are among those with `rtmpose_x`."""
    config = compose([
        f"model={name}", f"data.root={project}", "data.image_size=[64,64]", "data.crop_size=[64,64]",
        "backbone.pretrained=false", "detector.width=0.25", "training.batch_size=2", "training.precision=float32",
    ])  # fmt: skip
    data = load_data(config, say=lambda _: None)
    tracker = build_tracker(config, data).train()
    tracker._log = lambda *_: None  # there is no trainer to log to
    loss = tracker.training_step(TrainBatch(labeled=data.dataset.batch(data.split.train[:2]), seed=0), 0)
    loss.backward()
    assert torch.isfinite(loss) and any(
        p.grad is not None and p.grad.abs().sum() > 0 for p in tracker.pose.backbone.parameters()
    )


def test_a_weight_of_losses_without_labels_means_the_same_for_every_head(project):
    """Beside a head's own loss, at the start, of the order of what they are beside a heatmap's."""
    shares = {}
    for words in (
        [*HEADS[2], "detector.width=0.25"],
        HEADS[0],
        HEADS[1],
        ["head=heatmap_locref", "data.crop_size=[64,64]"],
    ):
        config = compose([
            *words, f"data.root={project}", "backbone=resnet18", "backbone.pretrained=false", "data.image_size=[96,128]",
            "training.batch_size=8", "training.precision=float32",
        ])  # fmt: skip
        data = load_data(config, say=lambda _: None)
        tracker, logged = build_tracker(config, data).train(), {}
        tracker._log = lambda logs, _, logged=logged: logged.update(logs)
        tracker.training_step(TrainBatch(labeled=data.dataset.batch(data.split.train[:8]), seed=0), 0)
        own = float(logged[f"train_{config.head.supervised_loss}_loss_weighted"])
        shares[words[0]] = tracker.unsupervised.anneal(1000) / own
    usual = shares.pop("head=heatmap")
    assert all(1 / 8 < share / usual < 8 for share in shares.values()), (usual, shares)


def test_models_by_name():
    config = compose(["model=rtmpose_x"])
    assert config.data.image_size == [384, 384] and config.head.model_type == "rtmcc"
    assert compose(["model=top_down_hrnet_w18"]) == compose(["model=hrnet_w18"])
    assert compose(["model=rtmpose_x", "data.image_size=[256,256]"]).data.image_size == [256, 256]
    with pytest.raises(ConfigError, match="did you mean 'dekr_w32'"):
        compose(["model=dekr_w33"])
    assert len(available_models()) == 35 and "centers" in available_detectors()


def test_top_down_refuses_points_that_are_in_no_crop():
    words = ["head=heatmap", "backbone.pretrained=false", "data.image_size=[64,64]", "data.crop_size=[64,64]"]
    with pytest.raises(ConfigError, match="corner"):
        build_network(compose(words), MICE.keypoint_names, MICE)


def test_a_head_for_several_animals_refuses_names_of_one():
    with pytest.raises(ConfigError, match="head=paf is for several animals"):
        build_network(compose(["head=paf", "backbone.pretrained=false", "data.image_size=[64,64]"]), ("nose", "tail"))
