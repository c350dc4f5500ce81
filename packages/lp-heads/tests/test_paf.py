"""Several animals, bottom up: fields against their definition, and from labels to maps and back."""

import math

import numpy as np
import pytest
import torch
from lp_core import Animals, ConfigError
from lp_heads.affinity import affinities
from lp_heads.limb_graph import edges_from_poses, joins_all, limb_graph
from lp_heads.limb_targets import LimbTargets
from lp_heads.paf import PAFConfig


def names(letter, count):
    return tuple(f"{letter}{i}" for i in range(count))


def some_animals(individuals, parts, unique=0, skeleton=()):
    return Animals(
        individuals=names("a", individuals), parts=names("p", parts), unique=names("u", unique), skeleton=skeleton
    )


def build(animals, size=(128, 128), channels=16, **options):
    torch.manual_seed(0)
    return PAFConfig(**options).build_animals(channels=channels, stride=16, animals=animals, image_size=size)


def perfect(head, keypoints):
    """The outputs of a perfect network (criterion bce)."""
    targets = head.target_generator(keypoints, torch.where(keypoints.isnan().any(-1), 0, 2))
    return {
        "scoremaps_pred": targets["scoremaps_targ"].clamp(1e-4, 1 - 1e-4).logit(),
        "locref_pred": targets["locref_targ"],
        "paf_pred": targets["paf_targ"],
    }


def scene(animals, g, size=480, missing=0.0):
    """Animals of one shape, turned at random, in different fields of a 4 x 4 board; unique points anywhere."""
    count, parts = len(animals.individuals), len(animals.parts)
    fields = torch.randperm(16, generator=g)[:count]
    centres = (torch.stack([fields % 4, fields // 4], dim=-1) + 0.5) * size / 4
    angle = torch.rand(count, generator=g) * 2 * math.pi
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()], -1), torch.stack([angle.sin(), angle.cos()], -1)], 1)
    shape = (torch.rand(parts, 2, generator=g) - 0.5) * size / 6
    points = centres[:, None] + shape @ turn
    points[torch.rand(count, parts, generator=g) < missing] = math.nan
    unique = torch.rand(len(animals.unique), 2, generator=g) * (size - 1)
    return torch.cat([points.flatten(0, 1), unique])


def assert_found(points, found, animals, tolerance=1e-3):
    """Every animal of two parts and more is there as a whole, and nothing else."""
    shape = (len(animals.individuals), len(animals.parts), 2)
    true, got = points[: animals.owned].view(shape), found[: animals.owned].view(shape)
    visible = [animal for animal in true if (~animal.isnan().any(-1)).sum() > 1]
    assert (~got[..., 0].isnan()).any(1).sum() == len(visible)
    for animal in visible:
        gaps = [(one - animal)[~animal.isnan()].abs().max() for one in got]
        best = got[int(torch.stack(gaps).nan_to_num(math.inf).argmin())]
        torch.testing.assert_close(best, animal, atol=tolerance, rtol=0, equal_nan=True)
    torch.testing.assert_close(found[animals.owned :], points[animals.owned :], atol=tolerance, rtol=0)


def field_by_definition(parts, known, edges, size, stride, width):
    """In float64, one cell after the other."""
    out = np.zeros((len(parts), len(edges), 2, *size))
    for b, e, row, column in np.ndindex(len(parts), len(edges), *size):
        cell, best = np.array([(column + 0.5) * stride - 0.5, (row + 0.5) * stride - 0.5]), math.inf
        for animal in range(parts.shape[1]):
            if not known[b, animal, list(edges[e])].all():
                continue
            start, end = parts[b, animal, edges[e][0]], parts[b, animal, edges[e][1]]
            length = np.linalg.norm(end - start)
            u = (end - start) / length
            t, across = (cell - start) @ u, abs(u[0] * (cell - start)[1] - u[1] * (cell - start)[0])
            if -stride <= t <= length + stride and across <= width and across < best - 1e-4:
                best, out[b, e, :, row, column] = across, u * (1 - across / width)
    return out.reshape(len(parts), -1, *size)


@pytest.mark.parametrize(("stride", "width"), [(4, 20.0), (8, 20.0), (4, 5.0)])
def test_fields_are_their_definition(stride, width):
    g = torch.Generator().manual_seed(0)
    parts = torch.rand(2, 3, 4, 2, generator=g) * torch.tensor([128.0, 96.0]) - 0.5
    parts[0, 0, 1] = parts[0, 0, 0] + torch.tensor([50.0, 0.0])  # along a row
    parts[0, 1, 1] = parts[0, 1, 0] - torch.tensor([0.0, 40.0])  # along a column
    parts[1, 2] = parts[1, 1]  # the same place: the first animal's
    known = torch.rand(2, 3, 4, generator=g) < 0.85
    edges = ((0, 1), (0, 2), (1, 3), (2, 3))
    found = LimbTargets((96, 128), stride, edges, width)(parts.masked_fill(~known[..., None], math.nan), known)
    expected = field_by_definition(
        parts.double().numpy(), known.numpy(), edges, (96 // stride, 128 // stride), stride, width
    )
    differs = np.abs(found.numpy() - expected) > 1e-4
    assert differs.sum() <= 4  # cells on an edge of a band, to float32's accuracy
    assert (expected != 0).mean() > 0.02


def test_fields_of_one_animal_are_their_definition():
    g = torch.Generator().manual_seed(4)
    parts = torch.rand(3, 1, 3, 2, generator=g) * torch.tensor([120.0, 90.0])
    known = torch.ones(3, 1, 3, dtype=torch.bool)
    known[2, 0, 1] = False
    found = LimbTargets((96, 128), 4, ((0, 1), (0, 2)), 20.0)(parts, known)
    expected = field_by_definition(parts.double().numpy(), known.numpy(), ((0, 1), (0, 2)), (24, 32), 4, 20.0)
    assert (np.abs(found.numpy() - expected) > 1e-4).sum() <= 1  # cells on an edge of a band, to float32's accuracy
    assert not found[2, :2].any() and found[2, 2:].any()


def test_all_lines_are_visited_alike_on_other_devices(monkeypatch):
    """What a CPU leaves out has no cell in reach: the other way of listing lines gives the same fields."""
    g = torch.Generator().manual_seed(1)
    parts, known = torch.rand(2, 3, 3, 2, generator=g) * 90, torch.rand(2, 3, 3, generator=g) < 0.9
    targets = LimbTargets((64, 96), 4, ((0, 1), (1, 2)), 20.0)
    fewer = targets(parts, known)
    every = lambda limbs, usable, major, minor: (  # noqa: E731
        torch.arange(len(limbs)).repeat_interleave(24),
        torch.minimum(torch.arange(24.0).expand(len(limbs), -1), targets._last(major)[:, None]).flatten(),
    )
    monkeypatch.setattr(targets, "_lines", every)
    assert torch.equal(targets(parts, known), fewer) and fewer.any()
    monkeypatch.setattr("lp_heads.limb_targets.AT_ONCE", (1, 1))  # one edge at a time
    assert torch.equal(targets(parts, known), fewer)


def test_limbs_without_length_or_without_a_label_have_no_field():
    targets = LimbTargets((64, 64), 4, ((0, 1),), 20.0)
    same, known = torch.full((1, 1, 2, 2), 30.0), torch.ones(1, 1, 2, dtype=torch.bool)
    assert not targets(same, known).any()
    assert not targets(torch.tensor([[[[5.0, 5.0], [50.0, 40.0]]]]), ~known).any()


def test_affinity_has_a_sign():
    """A limb along its field: near 1; the same two peaks the other way round: as much below zero."""
    fields = LimbTargets((128, 128), 4, ((0, 1),), 20.0)(
        torch.tensor([[[[20.0, 30.0], [90.0, 75.0]]]]), torch.ones(1, 1, 2, dtype=torch.bool)
    )
    ends = (torch.tensor([[20.0, 30.0], [90.0, 75.0], [20.0, 100.0]]) + 0.5) / 4 - 0.5
    values = affinities(fields, ends[None, None], ends[None, None])[0, 0]
    assert values[0, 1] > 0.9 and torch.allclose(values, -values.T, atol=1e-5)
    assert values[0, 2].abs() < 0.4 and values[0, 0] == 0


def test_affinity_is_the_mean_along_the_line():
    """Closed form: in a field (x, 0) the mean of the component along a line is x's mean times the line's cosine."""
    x = torch.arange(20.0).expand(20, 20)
    fields = torch.stack([x, torch.zeros(20, 20)])[None]
    start, end = torch.tensor([[[[2.0, 3.0]]]]), torch.tensor([[[[9.0, 11.5]]]])
    cosine = 7 / math.hypot(7, 8.5)
    assert float(affinities(fields, start, end)) == pytest.approx(5.5 * cosine, abs=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_separate_animals_come_back_as_they_were(seed):
    """1 to 10 animals, a sixth of the parts missing, unique points, both kinds of targets: all of them, to 1e-3 px."""
    g = torch.Generator().manual_seed(seed)
    count, parts = (int(torch.randint(*bounds, (1,), generator=g)) for bounds in ((1, 11), (3, 14)))
    animals = some_animals(count, parts, unique=seed % 3)
    head = build(animals, size=(480, 480), target=("plateau", "gaussian")[seed % 2])
    points = torch.stack([scene(animals, g, missing=1 / 6) for _ in range(3)])
    found, confidence = head.predictor(perfect(head, points))
    assert found.shape == points.shape
    assert ((confidence == 0) == found.isnan().any(-1)).all() and confidence[confidence > 0].min() > 0.9
    for one, other in zip(points, found, strict=True):
        assert_found(one, other, animals)


def test_fewer_animals_than_places_and_none_at_all():
    animals = some_animals(5, 4, unique=1)
    head = build(animals, size=(480, 480))
    points = torch.stack([scene(animals, torch.Generator().manual_seed(0)) for _ in range(2)])
    points[0, 8:20], points[1] = math.nan, math.nan
    found, confidence = head.predictor(perfect(head, points))
    assert_found(points[0], found[0], animals)
    assert found[0, :8].isfinite().all() and found[0, 8:20].isnan().all()  # best first, then nothing
    assert found[1].isnan().all() and not confidence[1].any()
    targets = head.target_generator(points[1:], torch.zeros(1, 21, dtype=torch.long))
    assert all(value.isfinite().all() for value in targets.values()) and not targets["paf_targ"].any()


@pytest.mark.parametrize("angle", [45, 60, 90, 140])
def test_crossing_animals(angle):
    """Two snakes of six parts cross in the middle, joined by a skeleton that is a chain, and by all pairs."""
    along = torch.linspace(-75, 75, 6)[:, None]
    turn = math.radians(angle)
    first = 128 + along * torch.tensor([1.0, 0.0])
    second = 128 + along * torch.tensor([math.cos(turn), math.sin(turn)])
    points = torch.cat([first, second])[None]
    for skeleton in ((), tuple((i, i + 1) for i in range(5))):
        animals = some_animals(2, 6, skeleton=skeleton)
        head = build(animals, size=(256, 256))
        assert_found(points[0], head.predictor(perfect(head, points))[0][0], animals)


def test_animals_side_by_side_facing_away_from_each_other():
    """The same parts 20 px apart, pointing in opposite directions."""
    along = torch.linspace(-60, 60, 5)
    one = torch.stack([128 + along, torch.full((5,), 118.0)], dim=-1)
    other = torch.stack([128 - along, torch.full((5,), 138.0)], dim=-1)
    animals = some_animals(2, 5)
    head = build(animals, size=(256, 256), target="gaussian")
    points = torch.cat([one, other])[None]
    assert_found(points[0], head.predictor(perfect(head, points))[0][0], animals)


def test_an_animal_in_two_pieces_is_put_together_if_there_is_no_place_for_both():
    """A chain without its middle part."""
    animals = some_animals(2, 5, skeleton=((0, 1), (1, 2), (2, 3), (3, 4)))
    head = build(animals, size=(480, 480))
    points = scene(animals, torch.Generator().manual_seed(4))[None]
    points[0, 2] = math.nan
    assert_found(points[0], head.predictor(perfect(head, points))[0][0], animals)


def test_identity_gives_each_animal_its_place():
    animals = some_animals(4, 5, unique=1)
    head = build(animals, size=(480, 480), identity=True)
    points = torch.stack([scene(animals, torch.Generator().manual_seed(s), missing=0.1) for s in range(4)])
    points[1, 5:10] = math.nan  # the second individual is away: its place stays empty
    outputs = perfect(head, points)
    assert outputs["scoremaps_pred"].shape[1] == 5 + 1 + 4 and outputs["locref_pred"].shape[1] == 2 * 6
    found, _ = head.predictor(outputs)
    torch.testing.assert_close(found, points, atol=1e-3, rtol=0, equal_nan=True)
    swapped = {**outputs, "scoremaps_pred": outputs["scoremaps_pred"][:, [0, 1, 2, 3, 4, 5, 7, 6, 8, 9]]}
    again, _ = head.predictor(swapped)
    torch.testing.assert_close(again[:, :5], found[:, 5:10], equal_nan=True)


def test_several_peaks_that_mean_the_same_keypoint_take_no_place_from_others():
    """Noise makes each Gaussian many peaks."""
    animals = some_animals(6, 4)
    head = build(animals, size=(480, 480), target="gaussian")
    g = torch.Generator().manual_seed(2)
    points = scene(animals, g)[None]
    outputs = perfect(head, points)
    probability = outputs["scoremaps_pred"].sigmoid()
    noisy = (probability + 0.1 * probability * torch.randn(probability.shape, generator=g)).clamp(1e-4, 1 - 1e-4)
    found = head.predictor({**outputs, "scoremaps_pred": noisy.logit()})[0]
    assert_found(points[0], found[0], animals)


def test_a_network_that_went_astray_finds_nothing_and_stops_nothing():
    animals = some_animals(2, 3)
    head = build(animals)
    for value in (math.nan, math.inf, -math.inf):
        outputs = {key: torch.full_like(v, value) for key, v in perfect(head, torch.full((2, 6, 2), math.nan)).items()}
        found, confidence = head.predictor(outputs)
        assert found.shape == (2, 6, 2) and not (found.isfinite().any() or confidence.isnan().any())


def test_the_decoder_is_differentiable_in_the_offsets():
    animals = some_animals(2, 3, unique=1)
    head = build(animals, size=(480, 480))
    outputs = perfect(head, scene(animals, torch.Generator().manual_seed(0))[None])
    offsets = outputs["locref_pred"].requires_grad_()
    head.predictor(outputs)[0].nansum().backward()
    assert offsets.grad is not None
    assert float(offsets.grad.sum()) == pytest.approx(7 * 2 * 7.2801, rel=1e-4)
    assert (offsets.grad != 0).sum() == 14


@pytest.mark.parametrize("options", [{"num_stages": 0}, {}, {"num_stages": 3, "supervise_stages": False}])
def test_gradients_reach_every_parameter(options):
    head = build(some_animals(3, 4, unique=2), identity=True, **options)
    features = torch.randn(2, 16, 8, 8, requires_grad=True)
    outputs = head(features)
    sum(value.square().mean() for value in outputs.values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
    assert features.grad is not None and features.grad.abs().sum() > 0
    stages = options.get("num_stages", 2)
    assert ("paf_stages_pred" in outputs) == (stages > 0 and options.get("supervise_stages", True))
    if "paf_stages_pred" in outputs:
        assert outputs["scoremaps_stages_pred"].shape == (2, stages, *outputs["scoremaps_pred"].shape[1:])
    assert not any("stages" in key for key in head.eval()(features))


def test_stages_are_not_one_linear_map():
    """f(x + y) - f(x) - f(y) + f(0) is zero for a linear map, as for DLCRNet's head."""
    head = build(some_animals(2, 3)).eval()
    with torch.no_grad():
        for p in head.parameters():
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) * 0.2)
        x, y = torch.randn(2, 1, 16, 8, 8)
        f = lambda v: head(v)["paf_pred"]  # noqa: E731
        curved = (f(x + y) - f(x) - f(y) + f(torch.zeros_like(x))).abs().max()
    assert curved > 1e-2 * f(x).abs().max()


def test_outputs_and_targets_match():
    animals = some_animals(3, 9, unique=2)
    head = build(animals, size=(64, 96))
    outputs = head(torch.randn(2, 16, 4, 6))
    targets = head.target_generator(torch.rand(2, 29, 2) * 60, torch.full((2, 29), 2))
    for key in ("scoremaps", "locref", "paf"):
        assert outputs[f"{key}_pred"].shape == targets[f"{key}_targ"].shape
    for key in ("scoremaps", "locref"):
        torch.broadcast_to(targets[f"{key}_weight_targ"], targets[f"{key}_targ"].shape)
    found, confidence = head.eval().predictor(head(torch.randn(2, 16, 4, 6)))
    assert found.shape == (2, 29, 2) and ((confidence >= 0) & (confidence <= 1)).all()


def test_background_weight_masks_parts_that_an_animal_in_the_frame_has_no_label_for():
    animals = some_animals(3, 3, unique=1)
    head = build(animals, size=(256, 256), background_weight=0.25)
    points = torch.full((1, 10, 2), math.nan)
    points[0, :2], points[0, 3:6] = (
        torch.tensor([[40.0, 40], [60, 60]]),
        torch.tensor([[140.0, 90], [170, 60], [180, 90]]),
    )
    targets = head.target_generator(points, torch.where(points.isnan().any(-1), 0, 2))
    weight, scores = targets["scoremaps_weight_targ"], targets["scoremaps_targ"]
    assert (weight[0, :2] == 1).all()  # the third animal is not there at all: nothing is missing
    assert (weight[0, 2][scores[0, 2] == 0] == 0.25).all() and (weight[0, 2][scores[0, 2] > 0] == 1).all()
    assert (weight[0, 3] == 0.25).all()


def test_the_skeleton_is_the_graph_if_it_joins_all_parts():
    assert limb_graph(some_animals(2, 3, skeleton=((2, 1), (0, 2)))) == ((1, 2), (0, 2))
    assert limb_graph(some_animals(2, 4, skeleton=((0, 1), (2, 3)))) == ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


@pytest.mark.parametrize("parts", [7, 8, 15, 29])
def test_a_large_graph_is_thinned_out_alike_each_time(parts):
    animals = some_animals(2, parts)
    edges = limb_graph(animals)
    assert edges == limb_graph(animals) and len(edges) == min(3 * parts, parts * (parts - 1) // 2)
    assert joins_all(edges, parts) and len(set(edges)) == len(edges)
    assert parts == 7 or limb_graph(animals, seed=1) != edges
    tree = limb_graph(animals, degree=2)
    assert len(tree) == parts and joins_all(tree, parts)


def test_edges_from_poses_take_pairs_that_tell_animals_apart():
    """Parts 0, 1 and 2 lie together, part 3 anywhere in the frame: the pairs among the first three are best."""
    rng = np.random.default_rng(0)
    centre = rng.uniform(0, 300, (50, 3, 1, 2))
    points = centre + rng.normal(0, 5, (50, 3, 4, 2))
    points[:, :, 3] = rng.uniform(0, 300, (50, 3, 2))
    points[::7, 1] = np.nan
    edges = edges_from_poses(points.reshape(50, 12, 2), some_animals(3, 4), degree=2)
    assert len(edges) == 4 and {(0, 1), (0, 2), (1, 2)} < set(edges) and joins_all(edges, 4)


def test_edges_are_left_to_the_labels_if_asked_for():
    animals, points = some_animals(2, 4), np.random.default_rng(0).uniform(0, 99, (20, 8, 2))
    config = PAFConfig(graph="labels", degree=2)
    with pytest.raises(ConfigError, match=r"head\.graph=labels is decided by the labels"):
        config.build_animals(channels=16, stride=16, animals=animals, image_size=(64, 64))
    config.settle(points, animals)
    head = config.build_animals(channels=16, stride=16, animals=animals, image_size=(64, 64))
    assert head.target_generator.layout.edges == edges_from_poses(points, animals, degree=2)
    for told in (PAFConfig(), PAFConfig(graph="labels", edges=[[0, 1], [1, 2], [2, 3]])):
        edges = told.edges
        told.settle(points, animals)
        assert told.edges is edges


def test_a_limb_reaches_one_cell_beyond_its_ends_wherever_these_are():
    """Ends on whole cells and a limb along a row: the cells one before and one after belong to it on every row in reach."""
    parts = torch.tensor([[[[9.5, 21.5], [25.5, 21.5]]]])  # cells 2 to 6 of row 5
    known = torch.ones(1, 1, 2, dtype=torch.bool)
    field = LimbTargets((48, 48), 4, ((0, 1),), 10.0)(parts, known)[0, 0]
    expected = torch.zeros(12, 12)
    expected[3:8, 1:8] = 1 - torch.tensor([8.0, 4.0, 0.0, 4.0, 8.0])[:, None] / 10
    torch.testing.assert_close(field, expected)
    upright = LimbTargets((48, 48), 4, ((0, 1),), 10.0)(parts.flip(-1), known)[0, 1]
    torch.testing.assert_close(upright, expected.T)


def test_every_place_is_listed_where_counting_would_wait(monkeypatch):
    """Other devices list as many cells for each row or column as there can be: the same fields."""
    g = torch.Generator().manual_seed(2)
    parts, known = torch.rand(2, 3, 3, 2, generator=g) * 90, torch.rand(2, 3, 3, generator=g) < 0.9
    targets = LimbTargets((64, 96), 4, ((0, 1), (1, 2)), 20.0)
    fewer = targets(parts, known)
    listed = lambda count: (  # noqa: E731
        torch.arange(len(count)).repeat_interleave(targets.across),
        torch.arange(targets.across).repeat(len(count)),
        torch.arange(targets.across).repeat(len(count)) < count.repeat_interleave(targets.across),
    )
    monkeypatch.setattr(targets, "_listed", listed)
    assert torch.equal(targets(parts, known), fewer) and fewer.any()


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(ConfigError, match="only one; choose another head"):
        build(some_animals(2, 1))
    with pytest.raises(ConfigError, match="numbers from 0 to 2 that join all parts"):
        build(some_animals(2, 3), edges=[[0, 1]])
    with pytest.raises(ConfigError, match="numbers from 0 to 2 that join all parts"):
        build(some_animals(2, 3), edges=[[0, 1], [1, 3]])
    with pytest.raises(ConfigError, match="the labels have one"):
        PAFConfig().build(channels=16, stride=16, num_keypoints=3, image_size=(64, 64))
    with pytest.raises(ConfigError, match=r"head\.threshold"):
        PAFConfig(threshold=0)
    with pytest.raises(ConfigError, match=r"head\.num_stages"):
        PAFConfig(num_stages=-1)
