"""The losses that need no labels, against float64 NumPy statements of their formulas, and against the contract."""

import numpy as np
import pytest
import torch
from lp_core import ConfigError, TrainingPoses, losses
from lp_core.testing.loss import LossContract

OPTIONS = {
    "temporal": {"epsilon": 0.5, "prob_threshold": 0.3},
    "temporal_heatmap_mse": {"epsilon": 1e-5, "prob_threshold": 0.3},
    "temporal_heatmap_kl": {"epsilon": 0.01, "prob_threshold": 0.3},
    "pca_singleview": {"epsilon": 0.1, "components_to_keep": 3},
    "pca_multiview": {"epsilon": 0.1, "components_to_keep": 2},
    "unimodal_mse": {"prob_threshold": 0.3},
    "unimodal_kl": {"prob_threshold": 0.3},
    "unimodal_js": {"prob_threshold": 0.3},
    "consistency": {"prob_threshold": 0.3},
}


@pytest.mark.parametrize("name", OPTIONS)
class TestContract(LossContract):
    @pytest.fixture(autouse=True)
    def _name(self, name):
        self.name, self.options, self.directed = name, OPTIONS[name], name == "temporal_heatmap_kl"


class TestPseudoBoxes(LossContract):
    """Of an objective per batch of frames, the mean over the batches with frames that are known."""

    name = "pseudo_boxes"

    def inputs(self):
        return {"detection_pred": torch.tensor([1.5, 0.5, 4.0]).double(), "valid": torch.tensor([True, True, True])}

    def test_batches_without_a_known_frame_do_not_count(self):
        valid = torch.tensor([True, False, True])
        assert float(self.value(self.inputs() | {"valid": valid})) == pytest.approx(2.75)

    def test_thresholds_in_order(self):
        with pytest.raises(ConfigError, match=r"empty_threshold=0\.6 and prob_threshold=0\.5 must be"):
            self.build(empty_threshold=0.6)


def kl(p, q):
    return ((p + 1e-10) * np.log((p + 1e-10) / (q + 1e-10))).sum()


def js(p, q):
    m = (p + q) / 2
    return 0.5 * kl(p, m) + 0.5 * kl(q, m)


def pairs(i, threshold, value):
    """The mean over consecutive frames and keypoints; pairs that are not sure count as zero."""
    total = []
    for t in range(1, len(i["confidences"])):
        for k in range(i["confidences"].shape[1]):
            sure = min(i["confidences"][t - 1, k], i["confidences"][t, k]) >= threshold
            total.append(max(value(t, k), 0) if sure else 0)
    return np.mean(total)


def maps(i, value):
    return np.mean([[value(t, k) if i["confidences"][t, k] >= 0.3 else 0 for k in range(4)] for t in range(3)])


def plane(points, keep):
    """Mean and projector of complete observations, by numpy's own covariance."""
    values, vectors = np.linalg.eigh(np.cov(points.T))
    top = vectors[:, np.argsort(values)[::-1][:keep]]
    return points.mean(0), top @ top.T


def pca(i, columns, keep):
    labels = LossContract().poses().keypoints
    mean, projector = plane(np.concatenate([labels[:, c].reshape(len(labels), -1) for c in columns]), keep)
    values = []
    for pose in i["keypoints_pred"]:
        for c in columns:
            x = pose[c].reshape(-1)
            rest = (x - mean - projector @ (x - mean)).reshape(-1, 2)
            values += [max(np.hypot(*r) - 0.1, 0) for r in rest]
    return np.mean(values)


FORMULAS = {
    "temporal": lambda i: pairs(
        i, 0.3, lambda t, k: np.hypot(*(i["keypoints_pred"][t, k] - i["keypoints_pred"][t - 1, k])) - 0.5
    ),
    "temporal_heatmap_mse": lambda i: pairs(
        i, 0.3, lambda t, k: np.mean((i["heatmaps_pred"][t - 1, k] - i["heatmaps_pred"][t, k]) ** 2) - 1e-5
    ),
    "temporal_heatmap_kl": lambda i: pairs(
        i, 0.3, lambda t, k: kl(i["heatmaps_pred"][t - 1, k], i["heatmaps_pred"][t, k]) - 0.01
    ),
    "pca_singleview": lambda i: pca(i, [[0, 1, 2, 3]], 3),
    "pca_multiview": lambda i: pca(i, [[0, 2], [1, 3]], 2),
    "unimodal_mse": lambda i: maps(
        i, lambda t, k: ((i["heatmaps_unimodal"][t, k] - i["heatmaps_pred"][t, k]) ** 2).sum()
    ),
    "unimodal_kl": lambda i: maps(i, lambda t, k: kl(i["heatmaps_unimodal"][t, k], i["heatmaps_pred"][t, k])),
    "unimodal_js": lambda i: maps(i, lambda t, k: js(i["heatmaps_unimodal"][t, k], i["heatmaps_pred"][t, k])),
    "consistency": lambda i: np.mean(
        [
            [
                c * kl(i["heatmaps_teacher"][t, k], i["heatmaps_pred"][t, k]) if c >= 0.3 else 0
                for k, c in enumerate(row)
            ]
            for t, row in enumerate(i["confidences_teacher"])
        ]
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_formula(name, dtype):
    contract = LossContract()
    inputs = contract.inputs()
    loss = losses.make(name, **OPTIONS[name]).build(contract.poses())
    value = loss(stage="train", **{k: v if k == "valid" else v.to(dtype) for k, v in inputs.items()})[0]
    expected = FORMULAS[name]({k: v.numpy() for k, v in inputs.items()})
    assert expected > 0 and float(value) == pytest.approx(expected, rel=1e-6 if dtype is torch.float64 else 1e-4)


def test_one_epsilon_per_keypoint():
    inputs = LossContract().inputs()
    poses = LossContract().poses()
    one = losses.make("temporal", epsilon=[1.0, 2.0, 3.0, 4.0]).build(poses)(stage="train", **inputs)[0]
    norm = np.linalg.norm(np.diff(inputs["keypoints_pred"].numpy(), axis=0), axis=-1)
    confidences = inputs["confidences"].numpy()
    sure = (confidences[1:] >= 0.05) & (confidences[:-1] >= 0.05)
    assert float(one) == pytest.approx((np.clip(norm - [1, 2, 3, 4], 0, None) * sure).mean(), rel=1e-6)
    with pytest.raises(ConfigError, match="has 2 values for 4 keypoints"):
        losses.make("temporal", epsilon=[1.0, 2.0]).build(poses)
    with pytest.raises(ConfigError, match=r"losses\.temporal\.epsilon=-1"):
        losses.make("temporal", epsilon=-1)


def test_labels_lie_in_their_own_subspace_in_original_pixels():
    """The reference fits in resized pixels and applies in original ones: there the labels themselves score 39.8 px."""
    poses = LossContract().poses()
    for name, keep in (("pca_singleview", 3), ("pca_multiview", 4)):
        loss = losses.make(name, components_to_keep=keep, epsilon=0.0).build(poses)
        inputs = {"keypoints_pred": torch.from_numpy(poses.keypoints), "valid": torch.ones(40, dtype=torch.bool)}
        assert float(loss(stage="train", **inputs)[0]) < 0.3


def test_epsilon_is_a_percentile_of_the_labels_own_errors():
    poses = LossContract().poses()
    loss = losses.make("pca_singleview", components_to_keep=3, empirical_epsilon_percentile=90.0).build(poses)
    mean, projector = plane(poses.keypoints.reshape(40, 8), 3)
    centred = poses.keypoints.reshape(40, 8) - mean
    errors = np.linalg.norm((centred - centred @ projector).reshape(40, 4, 2), axis=-1)
    assert float(loss.epsilon) == pytest.approx(np.percentile(errors, 90), rel=1e-5)


@pytest.mark.parametrize("method", ["mean", "median"])
def test_centred_poses_may_be_anywhere(method):
    poses = LossContract().poses()
    loss = losses.make("pca_singleview", centering_method=method, epsilon=0.0, components_to_keep=3).build(poses)
    points = LossContract().inputs()["keypoints_pred"]
    valid = torch.ones(len(points), dtype=torch.bool)
    here, there = (loss(stage="val", keypoints_pred=points + shift, valid=valid)[0] for shift in (0.0, 50.0))
    torch.testing.assert_close(here, there)


def test_missing_labels_are_tolerated():
    """One tenth of the labels gone: the subspace turns by little."""
    poses = LossContract().poses()
    holes = poses.keypoints.copy()
    holes[np.random.default_rng(1).random((40, 4)) < 0.1] = np.nan
    partial = TrainingPoses(keypoint_names=poses.keypoint_names, keypoints=holes, views=poses.views)
    whole, some = (losses.make("pca_singleview", components_to_keep=3).build(p).components for p in (poses, partial))
    assert float(torch.linalg.svdvals(whole @ some.T).min()) > 0.98


def test_what_cannot_be_fitted_is_one_sentence():
    poses = LossContract().poses()
    few = TrainingPoses(keypoint_names=poses.keypoint_names, keypoints=poses.keypoints[:5], views=())
    with pytest.raises(ConfigError, match=r"losses\.pca_singleview cannot be fitted: it has 5 observations of 8"):
        losses.make("pca_singleview").build(few)
    with pytest.raises(ConfigError, match=r"data\.mirrored_column_matches"):
        losses.make("pca_multiview").build(few)
    with pytest.raises(ConfigError, match="build it with build"):
        losses.make("pca_multiview").build()
    with pytest.raises(ConfigError, match="components_to_keep=9"):
        losses.make("pca_singleview", components_to_keep=9).build(poses)


def test_a_fitted_loss_travels_in_a_state_dict():
    poses = LossContract().poses()
    inputs = LossContract().inputs()
    loss = losses.make("pca_multiview", **OPTIONS["pca_multiview"]).build(poses)
    moved = TrainingPoses(keypoint_names=poses.keypoint_names, keypoints=poses.keypoints**2, views=poses.views)
    other = losses.make("pca_multiview", **OPTIONS["pca_multiview"]).build(moved)
    assert not torch.equal(loss(stage="val", **inputs)[0], other(stage="val", **inputs)[0])
    other.load_state_dict(loss.state_dict())
    assert torch.equal(loss(stage="val", **inputs)[0], other(stage="val", **inputs)[0])
