"""Score maps with location refinement against a statement of their definition cell by cell."""

import math

import numpy as np
import pytest
import torch
from lp_core import ConfigError, heads
from lp_core.testing.head import HeadContract
from lp_heads.cells import nearest_claims
from lp_heads.locref import LocrefConfig, LocrefPeakConfig, LocrefTargetsConfig
from lp_heads.locref_peaks import distinct, highest, peaks, rank
from lp_heads.score_targets import ScoreTargets

if "heatmap_locref" not in heads:
    heads.register("heatmap_locref")(LocrefConfig)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target": "plateau"},
        {"criterion": "mse"},
        {"downsample_factor": 2, "hidden": 0},
        {"downsample_factor": 4, "hidden": 8},
        {"target": "plateau", "criterion": "mse", "downsample_factor": 4},
    ],
)
class TestLocref(HeadContract):
    name = "heatmap_locref"
    tolerance = 1e-3

    @pytest.fixture(autouse=True)
    def _options(self, options):
        self.options = options

    def as_outputs(self, targets):
        scores = targets["scoremaps_targ"]
        if self.options.get("criterion", "bce") == "bce":
            scores = scores.clamp(1e-6, 1 - 1e-6).logit()
        return {"scoremaps_pred": scores, "locref_pred": targets["locref_targ"]}


def by_definition(points, known, size, stride, kind, radius, std):
    """Scores, offsets and their weight in float64, one cell after the other."""
    batch, maps, animals = known.shape
    scores, offsets = np.zeros((batch, maps, *size)), np.zeros((batch, maps, 2, *size))
    near = np.zeros((batch, maps, 2, *size))
    for b, m, row, column in np.ndindex(batch, maps, *size):
        cell = np.array([(column + 0.5) * stride - 0.5, (row + 0.5) * stride - 0.5])
        ways = [points[b, m, a] - cell for a in range(animals) if known[b, m, a]]
        if not ways:
            continue
        way = min(ways, key=np.linalg.norm)
        distance, sigma = np.linalg.norm(way), 2 * radius / 3
        scores[b, m, row, column] = (
            np.exp(-(distance**2) / (2 * sigma**2)) if kind == "gaussian" else float(distance <= radius)
        )
        if distance <= radius:
            offsets[b, m, :, row, column], near[b, m, :, row, column] = way / std, 1
    return scores, offsets.reshape(batch, -1, *size), near.reshape(batch, -1, *size)


@pytest.mark.parametrize("kind", ["gaussian", "plateau"])
@pytest.mark.parametrize("stride", [4, 8])
def test_targets_of_several_animals_are_their_definition(kind, stride):
    """Offsets lead to the nearest keypoint, wherever animals overlap; DeepLabCut's Gaussian ones lead to the last."""
    g = torch.Generator().manual_seed(stride)
    points = torch.rand(2, 3, 4, 2, generator=g) * torch.tensor([96.0, 64.0]) - 0.5
    points[:, :, 1] = points[:, :, 0] + 9  # overlapping discs
    known = (torch.rand(2, 3, 4, generator=g) < 0.8) & (points < torch.tensor([95.5, 63.5])).all(-1)
    known[1, 2] = False
    size = (64 // stride, 96 // stride)
    maker = ScoreTargets((64, 96), stride, kind=kind, radius=17.0, std=7.2801)
    found = maker(points.masked_fill(~known[..., None], math.nan), known)
    expected = by_definition(points.double().numpy(), known.numpy(), size, stride, kind, 17.0, 7.2801)
    for one, other, tolerance in zip(found, expected, (1.1e-4, 1e-5, 0), strict=True):  # Gaussians are cut at 1e-4
        np.testing.assert_allclose(one.numpy(), other, atol=tolerance)
    np.testing.assert_allclose(maker.scores(points, known).numpy(), expected[0], atol=1.1e-4)
    assert found[2].sum() > 0


def test_of_equally_near_claims_the_first_animal_s_wins():
    cells = torch.tensor([3, 3, 5, 7, 3])
    own = nearest_claims(cells, torch.tensor([2.0, 2.0, 1.0, 0.0, 4.0]), torch.tensor([1, 0, 1, 0, 0]), 7)
    assert own.tolist() == [7, 3, 5, 7, 7]


def test_unlabeled_and_occluded():
    maker = LocrefTargetsConfig(background_weight=0.1).build(image_size=(32, 32), stride=4)
    points = torch.tensor([[[math.nan, math.nan], [5.0, 5.0], [5.0, 5.0], [40.0, 5.0]]])
    targets = maker(points, torch.tensor([[0, 1, 2, 2]]))
    assert targets["scoremaps_weight_targ"].flatten().tolist() == pytest.approx([0.1, 1, 1, 0.1])
    assert targets["scoremaps_targ"].amax((-1, -2))[0].tolist() == pytest.approx([0, 0.99, 0.99, 0], abs=0.01)
    everything = maker(torch.full((3, 4, 2), math.nan), torch.zeros(3, 4, dtype=torch.long))
    assert not everything["scoremaps_targ"].any() and not everything["locref_weight_targ"].any()
    assert all(value.isfinite().all() for value in everything.values())


def test_a_plateau_of_equal_scores_has_one_peak_the_cell_nearest_to_the_keypoint():
    points, known = torch.tensor([[[[20.2, 17.9], [47.0, 40.1]]]]), torch.ones(1, 1, 2, dtype=torch.bool)
    scores, offsets, _ = ScoreTargets((64, 64), 4, kind="plateau", radius=17.0, std=1.0)(points, known)
    ranks = rank(scores, offsets.unflatten(1, (1, 2)), 8.5)
    cells, there = peaks(ranks, 6, 2)
    assert there.tolist() == [[[True, True, False, False, False, False]]]
    assert {(int(c) % 16, int(c) // 16) for c in cells[there]} == {(5, 4), (11, 10)}


@pytest.mark.parametrize("radius", [1, 2, 3, 5])
def test_the_highest_value_nearby_is_that_of_max_pooling(radius):
    maps = torch.randn(2, 3, 11, 14, generator=torch.Generator().manual_seed(radius))
    pooled = torch.nn.functional.max_pool2d(maps, 2 * radius + 1, 1, radius)
    assert torch.equal(highest(maps, radius), pooled)


def test_points_near_a_better_one_are_dropped():
    points = torch.tensor([[0.0, 0.0], [10.0, 0.0], [1.0, 0.0], [12.0, 0.0]])
    assert distinct(points, 4.0).tolist() == [True, True, False, False]


def test_confidence_is_the_score_over_the_best_there_can_be():
    """A keypoint in the corner of a cell of 8 px: the Gaussian's best value is exp(-(4² + 4²) / 2σ²), not 1."""
    points = torch.tensor([[[7.5, 7.5]]])
    targets = LocrefTargetsConfig().build(image_size=(32, 32), stride=8)(points, torch.tensor([[2]]))
    decoder = LocrefPeakConfig(logits=False).build(image_size=(32, 32), stride=8)
    for share in (1.0, 0.5):
        outputs = {"scoremaps_pred": share * targets["scoremaps_targ"], "locref_pred": targets["locref_targ"]}
        assert float(decoder(outputs)[1]) == pytest.approx(share, abs=1e-4)
    assert float(targets["scoremaps_targ"].max()) == pytest.approx(math.exp(-32 / (2 * (34 / 3) ** 2)), abs=1e-5)


def test_maps_are_exactly_twice_as_large_each_time():
    for factor, size in ((5, (2, 3)), (4, (4, 6)), (3, (8, 12)), (2, (16, 24))):
        head = LocrefConfig(downsample_factor=factor, pos_dist_thresh=30).build(
            channels=16, stride=32, num_keypoints=2, image_size=(64, 96)
        )
        assert head(torch.randn(1, 16, 2, 3))["locref_pred"].shape == (1, 4, *size)


def test_it_learns_and_every_parameter_with_it():
    torch.manual_seed(0)
    head = LocrefConfig(downsample_factor=2, hidden=16).build(
        channels=64, stride=16, num_keypoints=2, image_size=(32, 32)
    )
    features = torch.randn(2, 64, 2, 2)
    points = torch.tensor([[[5.0, 9.0], [20.0, 25.0]], [[28.0, 3.0], [12.0, 14.0]]])
    targets = head.target_generator(points, torch.full((2, 2), 2))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(100):
        outputs = head(features)
        scores = torch.nn.functional.binary_cross_entropy_with_logits(
            outputs["scoremaps_pred"], targets["scoremaps_targ"]
        )
        offsets = ((outputs["locref_pred"] - targets["locref_targ"]) * targets["locref_weight_targ"]).square().mean()
        optimizer.zero_grad()
        (scores + offsets).backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert (head.predictor(head(features))[0] - points).norm(dim=-1).max() < 1


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(ConfigError, match=r"criterion=bse is unknown.*Choose bce or mse"):
        LocrefConfig(criterion="bse")
    with pytest.raises(ConfigError, match="target=disc is unknown"):
        LocrefTargetsConfig(target="disc")
    with pytest.raises(ConfigError, match="does not reach a cell of 32 px; it must be 24 or more"):
        LocrefTargetsConfig().build(image_size=(64, 64), stride=32)
    with pytest.raises(ConfigError, match="the largest that does is 2"):
        LocrefConfig().build(channels=64, stride=4, num_keypoints=2, image_size=(64, 64))
    with pytest.raises(ConfigError, match="multiple of 4"):
        LocrefConfig().build(channels=30, stride=16, num_keypoints=2, image_size=(64, 64))
