"""Losses on unlabeled frames with several animals: against brute force, NumPy, and the losses for one animal."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from lp_core import Animals, ConfigError, TrainingPoses, losses
from lp_core.testing.loss import LossContract
from lp_losses import PoseSubspace, follow, pose_centering, singleview_columns

FRAMES, MAP = 6, (6, 5)
THREE = Animals(individuals=("a", "b", "c"), parts=("nose", "hip", "tail"), unique=("corner",))
OPTIONS = {
    "temporal": {"epsilon": 0.5, "prob_threshold": 0.3},
    "temporal_heatmap_mse": {"epsilon": 1e-5, "prob_threshold": 0.3},
    "temporal_heatmap_kl": {"epsilon": 0.01, "prob_threshold": 0.3},
    "pca_singleview": {"epsilon": 0.1, "components_to_keep": 1},
    "pca_multiview": {"epsilon": 0.1, "components_to_keep": 2},
    "unimodal_mse": {"prob_threshold": 0.3},
    "unimodal_kl": {"prob_threshold": 0.3},
    "unimodal_js": {"prob_threshold": 0.3},
    "consistency": {"prob_threshold": 0.3},
}


def poses_of(animals, frames=40, seed=0):
    """Labels of animals anywhere, and of fixed shape but for one way to bend, and noise."""
    rng = np.random.default_rng(seed)
    individuals, parts = len(animals.individuals), len(animals.parts)
    shape, bend = 9 * rng.normal(size=(2, parts, 2))
    where = 100 * rng.random((frames, individuals, 1, 2))
    owned = where + shape + bend * rng.normal(size=(frames, individuals, 1, 1))
    owned += 0.1 * rng.normal(size=owned.shape)
    keypoints = np.concatenate([owned.reshape(frames, -1, 2), rng.random((frames, len(animals.unique), 2))], axis=1)
    columns = np.arange(animals.owned).reshape(individuals, parts)
    views = (tuple(columns[:, 0].tolist()), tuple(columns[:, 1].tolist()))
    return TrainingPoses(keypoint_names=animals.keypoint_names, keypoints=keypoints, views=views, animals=animals)


def inputs_of(animals, spread=200.0):
    """Animals that walk at a distance of `spread` from each other, all of them found."""
    g = torch.Generator().manual_seed(5)
    individuals, parts, unique = len(animals.individuals), len(animals.parts), len(animals.unique)
    homes = spread * torch.arange(individuals)[:, None, None] * torch.tensor([1.0, 0.5])
    owned = homes + 9 * torch.rand(FRAMES, individuals, parts, 2, generator=g)
    points = torch.cat([owned.flatten(1, 2), 9 * torch.rand(FRAMES, unique, 2, generator=g)], dim=1).double()
    count = animals.owned + unique
    sure = {n: torch.rand(FRAMES, count, generator=g).double() for n in ("confidences", "confidences_teacher")}
    maps = {
        f"heatmaps_{n}": torch.rand(FRAMES, parts + unique, *MAP, generator=g).double()
        for n in ("pred", "unimodal", "teacher")
    }
    return {"keypoints_pred": points, **sure, **maps, "valid": torch.ones(FRAMES, dtype=torch.bool)}


def without(inputs, animals, frame, animal):
    """The same, but this animal was not found in this frame."""
    columns = slice(animal * len(animals.parts), (animal + 1) * len(animals.parts))
    out = {key: value.clone() for key, value in inputs.items()}
    out["keypoints_pred"][frame, columns] = torch.nan
    for key in ("confidences", "confidences_teacher"):
        out[key][frame, columns] = 0
    return out


def reordered(values, animals, orders):
    """The animals of each frame in another order."""
    out = values.clone()
    for frame, order in enumerate(orders):
        owned = values[frame, : animals.owned].unflatten(0, (len(order), -1))
        out[frame, : animals.owned] = owned[list(order)].flatten(0, 1)
    return out


def value(name, inputs, animals, **options):
    loss = losses.make(name, **(OPTIONS[name] | options)).build(poses_of(animals))
    return loss(stage="train", **inputs)[0]


TWO = Animals(individuals=("a", "b"), parts=("nose", "tail"))


@pytest.mark.parametrize("name", OPTIONS)
class TestContract(LossContract):
    @pytest.fixture(autouse=True)
    def _name(self, name):
        self.name, self.options, self.directed = name, OPTIONS[name], name == "temporal_heatmap_kl"

    def poses(self):
        return poses_of(TWO)

    def inputs(self):
        maps = {k: v[:, :2] for k, v in super().inputs().items() if k.startswith("heatmaps_")}
        return {**super().inputs(), **maps}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("gone", [(), ((2, 1),), ((1, 0), (2, 0), (3, 2), (4, 2), (5, 2))])
def test_the_order_in_a_frame_does_not_matter(name, gone):
    inputs = inputs_of(THREE, spread=20.0)
    for frame, animal in gone:
        inputs = without(inputs, THREE, frame, animal)
    expected, rng = value(name, inputs, THREE), np.random.default_rng(0)
    assert expected > 0
    for _ in range(5):
        orders = [rng.permutation(3) for _ in range(FRAMES)]
        mixed = {
            key: reordered(v, THREE, orders) if key.startswith(("keypoints", "confidences")) else v
            for key, v in inputs.items()
        }
        torch.testing.assert_close(value(name, mixed, THREE), expected)


@pytest.mark.parametrize("name", [n for n in OPTIONS if n != "pca_multiview"])
def test_one_animal_is_the_loss_for_one(name):
    one = Animals(individuals=("a",), parts=("nose", "hip", "tail"))
    inputs = inputs_of(one)
    inputs |= {k: v / v.sum((-1, -2), keepdim=True) for k, v in inputs.items() if k.startswith("heatmaps")}
    alone = poses_of(one)
    alone = TrainingPoses(keypoint_names=alone.keypoint_names, keypoints=alone.keypoints)
    options = OPTIONS[name] | ({"centering_method": "mean"} if name == "pca_singleview" else {})
    expected = losses.make(name, **options).build(alone)(stage="train", **inputs)[0]
    assert expected > 0
    torch.testing.assert_close(value(name, inputs, one), expected)


def of_columns(inputs, columns):
    return {k: inputs[k][:, columns] for k in ("keypoints_pred", "confidences")} | {"valid": inputs["valid"]}


def test_animals_that_keep_their_order_move_as_each_alone():
    inputs, one = inputs_of(THREE), losses.make("temporal", **OPTIONS["temporal"]).build()
    alone = [one(stage="val", **of_columns(inputs, slice(3 * a, 3 * a + 3)))[0] for a in range(3)]
    corner = one(stage="val", **of_columns(inputs, slice(9, 10)))[0]
    torch.testing.assert_close(value("temporal", inputs, THREE), (3 * sum(alone) + corner) / 10)


def test_every_animal_has_the_shape_of_all_labeled_ones():
    inputs, labels = inputs_of(THREE), poses_of(THREE).keypoints[:, :9].reshape(-1, 3, 2)
    one = losses.make("pca_singleview", **OPTIONS["pca_singleview"], centering_method="mean")
    loss = one.build(TrainingPoses(keypoint_names=THREE.parts, keypoints=labels))
    alone = [loss(stage="val", **of_columns(inputs, slice(3 * a, 3 * a + 3)))[0] for a in range(3)]
    torch.testing.assert_close(value("pca_singleview", inputs, THREE), sum(alone) / 3)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_place_that_nobody_takes_changes_nothing(name):
    inputs, fewer = inputs_of(THREE), Animals(individuals=("a", "b"), parts=THREE.parts, unique=THREE.unique)
    for frame in range(FRAMES):
        inputs = without(inputs, THREE, frame, 2)
    kept = [c for c in range(10) if c // 3 != 2]
    rest = {k: v[:, kept] if k.startswith(("keypoints", "confidences")) else v for k, v in inputs.items()}
    poses = poses_of(fewer)
    labels = np.full((40, 10, 2), np.nan)
    labels[:, kept] = poses.keypoints
    more = TrainingPoses(
        keypoint_names=THREE.keypoint_names, keypoints=labels, views=((0, 3, 6), (1, 4, 7)), animals=THREE
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses_of = [losses.make(name, **OPTIONS[name]).build(p) for p in (more, poses)]
    results = [loss(stage="train", **i)[0] for loss, i in zip(losses_of, (inputs, rest), strict=True)]
    assert results[0] > 0
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("name", OPTIONS)
def test_animals_that_were_not_found_have_no_gradient(name):
    inputs = without(without(inputs_of(THREE), THREE, 2, 0), THREE, 3, 1)
    keys = [k for k in ("keypoints_pred", "heatmaps_pred") if k in losses.make(name).build(poses_of(THREE)).needs]
    for key in keys:
        inputs[key].requires_grad_()
    value(name, inputs, THREE).backward()
    for key in keys:
        grad = inputs[key].grad
        assert grad is not None and grad.isfinite().all() and (grad != 0).any()
        assert (grad[inputs[key].isnan()] == 0).all()


def test_following_is_the_shortest_way():
    """Against every order of every frame."""
    inputs = inputs_of(THREE, spread=4.0)
    points = inputs["keypoints_pred"].numpy()[:, :9].reshape(FRAMES, 3, 3, 2)
    shortest = sum(
        min(np.linalg.norm(after[list(order)] - before, axis=-1).sum() for order in itertools.permutations(range(3)))
        for before, after in itertools.pairwise(points)
    )
    corner = np.linalg.norm(np.diff(inputs["keypoints_pred"].numpy()[:, 9], axis=0), axis=-1).sum()
    found = value("temporal", inputs, THREE, epsilon=0.0, prob_threshold=0.0)
    assert float(found) == pytest.approx((shortest + corner) / (10 * (FRAMES - 1)), rel=1e-6)


def walk(*frames):
    """Animals of one part on a line; None = not found. Confidence is the position, so that it can be told."""
    x = torch.tensor([[np.nan if v is None else v for v in frame] for frame in frames], dtype=torch.float64)
    return torch.stack([x, 0 * x], dim=-1), x.nan_to_num(-1)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([(0, 50), (51, 1)], [(0, 50), (1, 51)]),  # the order changes
        ([(0, 50), (48, None), (47, 3)], [(0, 50), (None, 48), (3, 47)]),  # one is missing and comes back
        ([(0, 50), (None, None), (40, 10)], [(0, 50), (None, None), (10, 40)]),  # both are missing
        ([(7, None), (90, 8)], [(7, None), (8, 90)]),  # a newcomer does not take the place of one that was there
        ([(0, 10, None), (12, 20, 1), (2, 22, 13)], [(0, 10, None), (1, 12, 20), (2, 13, 22)]),
    ],
)
def test_following(frames, expected):
    points, sure = follow(*walk(*frames), len(frames[0]), 1)
    torch.testing.assert_close((points, sure), walk(*expected), equal_nan=True)


def test_following_by_the_parts_that_both_have():
    """The animal at 0 shows its first part, then its second only, then both; the other one all the time."""
    nan = float("nan")
    x = torch.tensor([[0, nan, 50, 53], [50, 53, nan, 3], [52, 55, 1, 4.0]])
    points, _ = follow(torch.stack([x, x], dim=-1), torch.zeros(3, 4), 2, 2)
    expected = torch.tensor([[0, nan, 50, 53], [nan, 3, 50, 53], [1, 4, 52, 55.0]])
    torch.testing.assert_close(points[..., 0], expected, equal_nan=True)


def test_following_from_centre_to_centre_where_no_part_is_shared():
    nan = float("nan")
    x = torch.tensor([[0, nan, 50, nan], [nan, 53, nan, 3]])
    points, _ = follow(torch.stack([x, x], dim=-1), torch.zeros(2, 4), 2, 2)
    assert points[1, [1, 3], 0].tolist() == [3, 53]


def test_padding_leads_nobody_astray():
    """Frames that are not there say that the animals have changed places."""
    points, sure = walk((0, 50), (50, 0), (1, 51))
    valid = torch.tensor([True, False, True])
    loss = losses.make("temporal", epsilon=0.0).build(poses_of(Animals(individuals=("a", "b"), parts=("nose", "tail"))))
    arranged, counts = loss.arrange(
        {"keypoints_pred": points.repeat_interleave(2, 1), "confidences": sure.repeat_interleave(2, 1), "valid": valid}
    )
    assert arranged["keypoints_pred"][2, :, 0].tolist() == [1, 1, 51, 51] and not counts.any()


def test_one_epsilon_per_part():
    inputs, poses = inputs_of(THREE), poses_of(THREE)
    loss = losses.make("temporal", epsilon=[1.0, 2.0, 3.0, 4.0], prob_threshold=0.0).build(poses)
    norm = np.linalg.norm(np.diff(inputs["keypoints_pred"].numpy(), axis=0), axis=-1)
    expected = np.clip(norm - [*[1, 2, 3] * 3, 4], 0, None).mean()
    assert float(loss(stage="train", **inputs)[0]) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ConfigError, match="has 10 values for 4 keypoints"):
        losses.make("temporal", epsilon=[1.0] * 10).build(poses)


def test_poses_are_centred_per_animal():
    """Against numpy's covariance of the shapes of all animals."""
    inputs, labels = inputs_of(THREE), poses_of(THREE).keypoints[:, :9].reshape(-1, 3, 2)
    shapes = (labels - labels.mean(1, keepdims=True)).reshape(-1, 6)
    values, vectors = np.linalg.eigh(np.cov(shapes.T))
    top = vectors[:, [np.argmax(values)]]
    found = inputs["keypoints_pred"].numpy()[:, :9].reshape(-1, 3, 2)
    rest = (found - found.mean(1, keepdims=True)).reshape(-1, 6) - shapes.mean(0)
    errors = np.linalg.norm((rest - rest @ top @ top.T).reshape(-1, 3, 2), axis=-1)
    expected = np.clip(errors - 0.1, 0, None).mean()
    assert float(value("pca_singleview", inputs, THREE)) == pytest.approx(expected, rel=1e-5)


def test_labels_of_animals_lie_in_their_own_subspace():
    poses = poses_of(THREE)
    space = PoseSubspace(singleview_columns(poses), 1, pose_centering(poses, None))
    space.fit(poses.keypoints)
    assert np.nanmax(space.error(poses.keypoints)) < 1
    assert np.isnan(space.error(poses.keypoints)[:, 9]).all()
    inputs = {"keypoints_pred": torch.from_numpy(poses.keypoints), "valid": torch.ones(40, dtype=torch.bool)}
    assert float(value("pca_singleview", inputs, THREE, epsilon=0.0)) < 0.3
    assert float(value("pca_singleview", inputs, THREE, epsilon=None)) < 0.003  # 99% of the labels' errors


def test_animals_that_are_not_there_are_no_labels():
    poses = poses_of(TWO, frames=20)
    few = np.full_like(poses.keypoints, np.nan)
    few[:3, :2] = poses.keypoints[:3, :2]
    poses = TrainingPoses(keypoint_names=poses.keypoint_names, keypoints=few, animals=TWO)
    with pytest.raises(ConfigError, match="it has 3 observations of 4 coordinates"):
        losses.make("pca_singleview").build(poses)


def test_columns_of_one_animal_stand_for_all():
    poses = poses_of(THREE)
    some = TrainingPoses(
        keypoint_names=poses.keypoint_names, keypoints=poses.keypoints, singleview=(0, 2, 5, 9), animals=THREE
    )
    assert singleview_columns(some).tolist() == [[0, 2], [3, 5], [6, 8]]
    assert singleview_columns(poses).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def kl(p, q):
    return ((p + 1e-10) * np.log((p + 1e-10) / (q + 1e-10))).sum()


def map_confidence(confidences):
    """The least of the animals that were found, in loops."""
    rows = []
    for frame in confidences:
        parts = [[frame[3 * a + p] for a in range(3) if frame[3 * a + p] > 0] for p in range(3)]
        rows.append([min(part) if part else 0 for part in parts] + [frame[9]])
    return np.array(rows)


@pytest.mark.parametrize("name", ["unimodal_kl", "unimodal_mse", "temporal_heatmap_kl", "consistency"])
def test_formula_of_shared_maps(name):
    inputs = without(without(inputs_of(THREE), THREE, 2, 0), THREE, 3, 1)
    for animal in range(3):
        inputs = without(inputs, THREE, 5, animal)
    i = {k: v.numpy() for k, v in inputs.items()}
    pred, unimodal, teacher = (
        m / m.sum((-1, -2), keepdims=True) for m in (i[f"heatmaps_{n}"] for n in ("pred", "unimodal", "teacher"))
    )
    sure, taught = map_confidence(i["confidences"]), map_confidence(i["confidences_teacher"])
    frames, maps = range(FRAMES), range(4)
    expected = {
        "unimodal_kl": lambda: [kl(unimodal[t, k], pred[t, k]) * (sure[t, k] >= 0.3) for t in frames for k in maps],
        "unimodal_mse": lambda: [
            ((unimodal - pred)[t, k] ** 2).sum() * (sure[t, k] >= 0.3) for t in frames for k in maps
        ],
        "temporal_heatmap_kl": lambda: [
            max(kl(pred[t - 1, k], pred[t, k]) - 0.01, 0) * (sure[t - 1 : t + 1, k].min() >= 0.3)
            for t in frames[1:]
            for k in maps
        ],
        "consistency": lambda: [
            taught[t, k] * kl(teacher[t, k], pred[t, k]) * (taught[t, k] >= 0.3) for t in frames for k in maps
        ],
    }[name]()
    assert 0 < np.count_nonzero(expected) < len(expected)
    assert float(value(name, inputs, THREE)) == pytest.approx(np.mean(expected), rel=1e-6)


def test_the_map_of_a_centre_does_not_matter():
    inputs = inputs_of(THREE)
    maps = {k: v for k, v in inputs.items() if k.startswith("heatmaps")}
    centre = {k: torch.cat([v[:, :3], 9 * v[:, :1], v[:, 3:]], dim=1) for k, v in maps.items()}
    assert torch.equal(value("unimodal_kl", {**inputs, **centre}, THREE), value("unimodal_kl", inputs, THREE))
