"""DEKR: targets against loops over pixels, layers against closed forms, decoding against what was encoded."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from lp_core import VISIBLE, Animals, ConfigError
from lp_core.tensors import Head
from lp_heads.dekr import DEKRConfig
from lp_heads.dekr_decoder import similarity, survivors
from lp_heads.dekr_network import AdaptiveBlock, sampled
from torch import nn
from torchvision.ops import deform_conv2d

MICE = Animals(individuals=("a", "b", "c"), parts=("nose", "neck", "hip", "tail"), unique=("corner", "door"))
PLAIN = Animals(individuals=("a", "b", "c"), parts=tuple("abcdefghijkl"))


def build(animals=MICE, image_size=(128, 160), stride=4, channels=16, **options):
    torch.manual_seed(0)
    config = DEKRConfig(**{"snap": 0.0, "threshold": 0.1, "downsample_factor": int(math.log2(stride)), **options})
    return config.build_animals(channels=channels, stride=stride, animals=animals, image_size=image_size)


def perfect(targets):
    return {key.replace("_targ", "_pred"): value for key, value in targets.items() if "weight" not in key}


def labels(frames, animals=MICE, image_size=(128, 160), seed=0, spread=30.0):
    """Animals in separate thirds of the frame, parts within `spread` pixels of each other; unique points anywhere."""
    g = torch.Generator().manual_seed(seed)
    height, width = image_size
    third = width / len(animals.individuals)
    left = torch.arange(len(animals.individuals))[:, None, None] * third + (third - spread) / 2
    corner = torch.rand(frames, len(animals.individuals), 1, 2, generator=g)
    corner = torch.cat([left + 0 * corner[..., :1], corner[..., 1:] * (height - spread)], dim=-1)
    parts = corner + spread * torch.rand(frames, *left.shape[:1], len(animals.parts), 2, generator=g)
    unique = torch.rand(frames, len(animals.unique), 2, generator=g) * torch.tensor([width, height]) - 0.5
    points = torch.cat([parts.flatten(1, 2), unique], dim=1)
    return points, torch.full(points.shape[:2], VISIBLE)


# --- targets


def by_loops(points, flags, animals, image_size, stride, radius, background):  # noqa: C901
    """The definition, pixel by pixel in float64, for one frame."""
    size = (image_size[0] // stride, image_size[1] // stride)
    parts, owned = len(animals.parts), animals.owned
    maps = np.zeros((parts + 1 + len(animals.unique), *size))
    weights, offsets = np.full(maps.shape, background), np.zeros((2 * parts, *size))
    offset_weights, best_area, r = np.zeros_like(offsets), np.full(size, np.inf), radius / stride

    def cell_of(i):
        (x, y), limit = points[i], (image_size[1] - 0.5, image_size[0] - 0.5)
        known = flags[i] == VISIBLE and -0.5 <= x <= limit[0] and -0.5 <= y <= limit[1]
        return ((x + 0.5) / stride - 0.5, (y + 0.5) / stride - 0.5) if known else None

    def paint(number, centre, sigma):
        for iy in range(size[0]):
            for ix in range(size[1]):
                dx, dy = ix - centre[0], iy - centre[1]
                if max(abs(dx), abs(dy)) <= 3 * sigma:
                    value = math.exp(-(dx**2 + dy**2) / (2 * sigma**2))
                    maps[number, iy, ix], weights[number, iy, ix] = max(maps[number, iy, ix], value), 1

    for animal in range(len(animals.individuals)):
        found = {k: c for k in range(parts) if (c := cell_of(animal * parts + k)) is not None}
        if not found:
            continue
        for k, c in found.items():
            paint(k, c, max(r / 2, 1))
        cells = np.array(list(found.values()))
        centre, sides = cells.mean(0), np.maximum(cells.max(0) - cells.min(0), max(r, 1))
        paint(parts, centre, max(r, 1))
        for iy in range(size[0]):
            for ix in range(size[1]):
                near = max(abs(ix - centre[0]), abs(iy - centre[1])) <= max(r, 1)
                if near and sides.prod() < best_area[iy, ix]:
                    best_area[iy, ix] = sides.prod()
                    offsets[:, iy, ix] = offset_weights[:, iy, ix] = 0
                    for k, c in found.items():
                        offsets[2 * k : 2 * k + 2, iy, ix] = ix - c[0], iy - c[1]
                        offset_weights[2 * k : 2 * k + 2, iy, ix] = 1 / math.sqrt(sides.prod())
    for u in range(len(animals.unique)):
        if (c := cell_of(owned + u)) is not None:
            paint(parts + 1 + u, c, max(r / 2, 1))
    return maps, weights, offsets, offset_weights


@pytest.mark.parametrize(("stride", "radius"), [(4, 17.0), (8, 17.0), (4, 6.0), (16, 9.0)])
def test_targets_are_those_of_loops_over_pixels(stride, radius):
    """Random labels that overlap, some of them occluded, missing or outside, one animal of a single keypoint, one absent."""
    size, g = (64, 96), torch.Generator().manual_seed(int(stride + radius))
    points = (torch.rand(6, 14, 2, generator=g, dtype=torch.float64) * 1.1 - 0.05) * torch.tensor([96.0, 64.0])
    flags = torch.randint(0, 6, (6, 14), generator=g).clamp_max(2)
    flags[0, :3], flags[0, 3], flags[1, 4:8], flags[2] = 0, 2, 0, 0
    points[flags == 0] = torch.nan
    head = build(image_size=size, stride=stride, radius=radius)
    targets = head.target_generator(points, flags)
    keys = ("scoremaps_targ", "scoremaps_weight_targ", "offsets_targ", "offsets_weight_targ")
    for frame in range(6):
        expected = by_loops(points[frame].numpy(), flags[frame].numpy(), MICE, size, stride, radius, 0.1)
        for key, value in zip(keys, expected, strict=True):
            np.testing.assert_allclose(targets[key][frame].numpy(), value, atol=1e-6, err_msg=key)


def test_of_boxes_of_the_same_size_the_first_animal_s_has_the_cell():
    """Animals of one keypoint each, whose boxes are all as large as a box can be small, on and beside each other."""
    g = torch.Generator().manual_seed(5)
    points = torch.full((4, 14, 2), torch.nan, dtype=torch.float64)
    points[:, 0:12:4] = 40 + 12 * torch.rand(4, 3, 2, generator=g, dtype=torch.float64)
    points[0, 4] = points[0, 0]
    flags = torch.where(points.isnan().any(-1), 0, VISIBLE)
    targets = build(image_size=(64, 96), stride=4, radius=17.0).target_generator(points, flags)
    for frame in range(4):
        expected = by_loops(points[frame].numpy(), flags[frame].numpy(), MICE, (64, 96), 4, 17.0, 0.1)
        for key, value in zip(("offsets_targ", "offsets_weight_targ"), expected[2:], strict=True):
            np.testing.assert_allclose(targets[key][frame].numpy(), value, atol=1e-6, err_msg=key)


def test_a_frame_without_labels():
    points = torch.full((2, 14, 2), torch.nan)
    head = build()
    targets = head.target_generator(points, torch.zeros(2, 14, dtype=torch.long))
    assert not targets["scoremaps_targ"].any() and not targets["offsets_weight_targ"].any()
    assert all(value.isfinite().all() for value in targets.values())
    assert (targets["scoremaps_weight_targ"] == 0.1).all()
    keypoints, confidence = head.predictor(perfect(targets))
    assert keypoints.isnan().all() and not confidence.any()


def test_the_smaller_animal_has_the_cell():
    """Both centres at cell (20, 16): the offsets there are those of the smaller one, whichever is first."""
    small, large = torch.tensor([[77.5, 65.5], [85.5, 65.5]]), torch.tensor([[41.5, 25.5], [121.5, 105.5]])
    animals = Animals(individuals=("a", "b"), parts=("nose", "tail"))
    for points in (torch.cat([small, large]), torch.cat([large, small])):
        targets = build(animals).target_generator(points[None], torch.full((1, 4), 2))
        assert targets["offsets_targ"][0, :, 16, 20].tolist() == pytest.approx([1, 0, -1, 0])


# --- layers


@pytest.mark.parametrize(("channels", "hidden", "millions"), [(270, 18, 0.13), (480, 32, 0.19), (720, 48, 0.27)])
def test_the_size_is_deeplabcut_s(channels, hidden, millions):
    """DeepLabCut's dekr_w18, _w32 and _w48 less their backbones, 12 parts (spec 1.3); both are known to 0.005 million."""
    head = build(PLAIN, channels=channels, hidden=hidden)
    assert sum(p.numel() for p in head.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_the_sampled_convolution_is_torchvision_s():
    """Other code: points far outside, cells of half weight at the border, groups of different maps."""
    g = torch.Generator().manual_seed(0)
    x, moved = torch.randn(2, 6, 7, 5, generator=g), 2 * torch.randn(2, 54, 7, 5, generator=g)
    weight = torch.randn(9, 2, 3, 3, generator=g)
    torch.testing.assert_close(
        sampled(x, moved, weight), deform_conv2d(x, moved, weight, padding=1), atol=1e-4, rtol=1e-4
    )


def adaptive_block():
    torch.manual_seed(0)
    block = AdaptiveBlock(3, 2).eval()
    nn.init.normal_(block.weight)
    nn.init.zeros_(block.affine.weight)
    nn.init.zeros_(block.affine.bias)
    return block, torch.randn(2, 6, 8, 9)


def test_affine_maps_of_zero_are_a_plain_convolution():
    block, x = adaptive_block()
    plain = nn.functional.conv2d(x, block.weight, padding=1, groups=3)
    torch.testing.assert_close(block(x), torch.relu(x + plain / math.sqrt(1 + 1e-5)), atol=1e-5, rtol=1e-5)


def test_an_affine_map_turns_doubles_and_moves_the_points_of_its_group():
    """(y, x) → 2 (x, -y) + (0, 1): the kernel turned by a right angle, dilated by two, one cell to the right."""
    block, x = adaptive_block()
    block.affine.bias.data[6:12] = torch.tensor([-1.0, 2.0, -2.0, -1.0, 0.0, 1.0])  # from the identity
    turned, around = torch.rot90(block.weight[2:4], -1, (2, 3)), nn.functional.pad(x[:, 2:4], (1, 3, 2, 2))
    expected = x[:, 2:4] + nn.functional.conv2d(around, turned, dilation=2) / math.sqrt(1 + 1e-5)
    torch.testing.assert_close(block(x)[:, 2:4], torch.relu(expected), atol=1e-4, rtol=1e-4)
    plain = nn.functional.conv2d(x[:, 4:], block.weight[4:], padding=1)
    torch.testing.assert_close(
        block(x)[:, 4:], torch.relu(x[:, 4:] + plain / math.sqrt(1 + 1e-5)), atol=1e-4, rtol=1e-4
    )


def test_initialisation():
    head = build(channels=32)
    norms = [m for m in head.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 6 and all((m.weight == 1).all() and (m.bias == 0).all() for m in norms)
    blocks = [m for m in head.modules() if isinstance(m, AdaptiveBlock)]
    assert len(blocks) == 2
    for block in blocks:
        assert not block.affine.weight.any() and not block.affine.bias.any()
        assert float(block.weight.detach().std()) == pytest.approx(math.sqrt(2 / (15 * 9)), rel=0.1)
    features = torch.randn(4, 32, 32, 40)
    outputs = head(features)
    assert outputs["scoremaps_pred"].shape == (4, 7, 32, 40) and outputs["offsets_pred"].shape == (4, 8, 32, 40)
    assert all(0 < value.abs().mean() < 0.1 for value in outputs.values())
    inner = head.offsets[:-1](features)
    assert 0.3 < inner.std() < 10  # alive: neither vanished nor blown up


def objective(head, outputs, targets):
    return sum(
        (targets[f"{n}_weight_targ"] * (outputs[f"{n}_pred"] - targets[f"{n}_targ"]) ** 2).mean()
        for n in ("scoremaps", "offsets")
    )


def test_gradients_reach_every_parameter():
    head = build()
    features = torch.randn(2, 16, 32, 40, requires_grad=True)
    objective(head, head(features), head.target_generator(*labels(2))).backward()
    assert features.grad.isfinite().all() and features.grad.any()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_it_learns_two_frames():
    """From features of noise, which only memory can decode."""
    head = build(hidden=16)
    points, flags = labels(2)
    features, targets = torch.randn(2, 16, 32, 40), head.target_generator(points, flags)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(120):
        optimizer.zero_grad()
        objective(head, head(features), targets).backward()
        optimizer.step()
    keypoints, confidence = head.predictor(head(features))
    assert isinstance(head, Head) and keypoints.shape == points.shape and confidence.shape == flags.shape
    found = in_labeled_order(keypoints, points)
    assert (found - points[:, :12]).norm(dim=-1).mean() < 3


# --- decoding


def in_labeled_order(keypoints, points, animals=MICE):
    """The animals of `keypoints`, each at the place of the labeled one it is nearest to."""
    shape = (len(animals.individuals), len(animals.parts))
    found, true = (x[:, : animals.owned].unflatten(1, shape) for x in (keypoints.detach(), points))
    distance = (true[:, :, None] - found[:, None]).norm(dim=-1).mean(-1)
    nearest = distance.argmin(-1)
    assert all(len(set(row.tolist())) == shape[0] for row in nearest)
    return found[torch.arange(len(found))[:, None], nearest].flatten(1, 2)


@pytest.mark.parametrize(("snap", "tolerance"), [(0.0, 1e-3), (8.0, 0.01)])
@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("animals", [MICE, PLAIN])
def test_encode_then_decode(stride, animals, snap, tolerance):
    """Offsets are exact; the fit of a peak, where another animal's is not near, nearly so."""
    size = (160, 300)
    points, flags = labels(40, animals, size, seed=stride)
    head = build(animals, size, stride, snap=snap)
    keypoints, confidence = head.predictor(perfect(head.target_generator(points, flags)))
    assert (in_labeled_order(keypoints, points, animals) - points[:, : animals.owned]).abs().max() < tolerance
    assert confidence[:, : animals.owned].min() > 0.6
    assert ((confidence >= 0) & (confidence <= 1)).all()
    if animals.unique:
        assert (keypoints[:, animals.owned :] - points[:, animals.owned :]).abs().max() < 0.01


def test_an_animal_more_or_less_and_a_missing_keypoint():
    points, flags = labels(5)
    flags[:, 4:8], flags[:, 9], flags[:, 13] = 0, 0, 0
    points[flags == 0] = torch.nan
    head = build()
    keypoints, confidence = head.predictor(perfect(head.target_generator(points, flags)))
    absent = keypoints[:, 8:12]
    assert absent.isnan().all() and not confidence[:, 8:12].any()
    assert keypoints[:, :8].isfinite().all() and (confidence[:, :8] > 0.6).sum() == 5 * 7
    assert keypoints[:, 12].isfinite().all() and keypoints[:, 13].isnan().all() and not confidence[:, 13].any()


def scene(poses, scores, animals):
    """Outputs whose decoding finds `poses` (cells) with these scores of their centres."""
    shape = (32, 40)
    maps = torch.ones(1, len(animals.parts) + 1 + len(animals.unique), *shape)
    offsets = torch.zeros(1, 2 * len(animals.parts), *shape)
    maps[:, len(animals.parts)] = 0
    for pose, score in zip(poses, scores, strict=True):
        x, y = pose.mean(0).round().long().tolist()
        maps[0, len(animals.parts), y, x] = score
        offsets[0, :, y, x] = (torch.tensor([x, y]) - pose).flatten()
    return {"scoremaps_pred": maps, "offsets_pred": offsets}


TWO = Animals(individuals=("a", "b"), parts=("nose", "neck", "hip", "tail"))
POSE = torch.tensor([[10.0, 10.0], [12.0, 14.0], [14.0, 16.0], [18.0, 18.0]])


def cells(keypoints, animals=TWO):
    return ((keypoints + 0.5) / 4 - 0.5).unflatten(1, (len(animals.individuals), -1))[0]


def test_animals_that_share_a_keypoint_both_survive():
    other = POSE[0] + (POSE - POSE[0]).flip(-1) * torch.tensor([1.0, -0.9])
    assert torch.equal(other[0], POSE[0])
    keypoints, confidence = build(TWO).predictor(scene([other, POSE], [0.8, 0.9], TWO))
    torch.testing.assert_close(cells(keypoints), torch.stack([POSE, other]))
    torch.testing.assert_close(confidence, torch.tensor([[0.9] * 4 + [0.8] * 4]))


def test_doubles_are_dropped_and_do_not_take_a_place():
    """Four copies of the best animal, from centres beyond its peak's window, and a second animal with a lower score."""
    far = POSE + torch.tensor([15.0, 8.0])
    outputs, (x, y) = scene([POSE, far], [0.9, 0.3], TWO), POSE.mean(0).round().long().tolist()
    for dx, dy in ((3, 0), (-3, 0), (0, 3), (0, -3)):
        outputs["scoremaps_pred"][0, 4, y + dy, x + dx] = 0.7
        outputs["offsets_pred"][0, :, y + dy, x + dx] = (torch.tensor([x + dx, y + dy]) - (POSE + 0.3)).flatten()
    keypoints, confidence = build(TWO).predictor(outputs)
    torch.testing.assert_close(cells(keypoints), torch.stack([POSE, far]))
    torch.testing.assert_close(confidence, torch.tensor([[0.9] * 4 + [0.3] * 4]))
    both = cells(build(TWO, overlap=0.999).predictor(outputs)[0])
    torch.testing.assert_close(both, torch.stack([POSE, POSE + 0.3]))  # what happens if they are not dropped


def test_the_best_come_first_and_the_threshold_is_honoured():
    poses = [POSE, POSE + torch.tensor([18.0, 0.0]), POSE + torch.tensor([9.0, 12.0])]
    outputs = scene(poses, [0.5, 0.9, 0.7], TWO)
    before = {key: value.clone() for key, value in outputs.items()}
    torch.testing.assert_close(cells(build(TWO).predictor(outputs)[0]), torch.stack([poses[1], poses[2]]))
    keypoints, confidence = build(TWO, threshold=0.8).predictor(outputs)
    torch.testing.assert_close(cells(keypoints)[0], poses[1])
    assert cells(keypoints)[1].isnan().all() and confidence[0, 4:].tolist() == [0] * 4
    assert build(TWO, threshold=0.95).predictor(outputs)[0].isnan().all()
    assert all(torch.equal(before[key], outputs[key]) for key in outputs)


def test_the_rank_counts_the_keypoints_own_maps():
    """A centre of 0.9 whose keypoints no map confirms comes after one of 0.6 that all confirm."""
    poses = [POSE, POSE + torch.tensor([18.0, 0.0])]
    outputs = scene(poses, [0.9, 0.6], TWO)
    outputs["scoremaps_pred"][0, :4, :, :20] = 0.1
    keypoints, confidence = build(TWO).predictor(outputs)
    torch.testing.assert_close(cells(keypoints), torch.stack([poses[1], poses[0]]))
    torch.testing.assert_close(confidence, torch.tensor([[0.6] * 4 + [0.09] * 4]))


def test_similarity_is_coco_s():
    """Closed form; the box of the first pose is 8 × 8 cells, that of the second 4 × 4."""
    poses = torch.stack([POSE, POSE[0] + (POSE - POSE[0]) / 2])[None]
    found = similarity(poses, 1.0)[0]
    squares = [float(((poses[0, 0, k] - poses[0, 1, k]) ** 2).sum()) for k in range(4)]
    for row, area in ((0, 64), (1, 16)):
        assert float(found[row, 1 - row]) == pytest.approx(np.mean([math.exp(-d / (2 * area * 0.04)) for d in squares]))
    assert found.diagonal().tolist() == [1, 1]
    line = torch.stack([POSE * torch.tensor([1.0, 0.0]), POSE * torch.tensor([1.0, 0.0]) + 0.5])[None]
    assert float(similarity(line, 4.0)[0, 0, 1]) == pytest.approx(math.exp(-0.5 / (2 * 32 * 0.04)))


def test_a_dropped_pose_drops_none():
    """The second is like the first and the third like the second, but the third is not like the first."""
    alike = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]).bool()
    assert survivors(alike[None]).tolist() == [[True, False, True, False]]


def test_keypoints_snap_to_near_peaks_only():
    """Offsets are wrong by 5 pixels for all parts and by 40 for one."""
    points, flags = labels(10, image_size=(128, 240))
    targets = build(image_size=(128, 240)).target_generator(points, flags)
    outputs = perfect(targets)
    wrong = torch.tensor([0.75, -1.0]).repeat(4)
    wrong[6] = 10.0
    outputs["offsets_pred"] = outputs["offsets_pred"] - wrong[:, None, None]
    off = in_labeled_order(build(image_size=(128, 240)).predictor(outputs)[0], points) - points[:, :12]
    torch.testing.assert_close(off, (4 * wrong).view(4, 2).repeat(3, 1).expand(10, -1, -1), atol=1e-3, rtol=0)
    snapped = in_labeled_order(build(image_size=(128, 240), snap=8.0).predictor(outputs)[0], points) - points[:, :12]
    near = torch.arange(12) % 4 != 3
    assert snapped[:, near].abs().max() < 0.05
    torch.testing.assert_close(snapped[:, ~near, 0], torch.full((10, 3), 40.0), atol=1e-3, rtol=0)


def test_the_decoder_is_differentiable():
    """A keypoint moves by `stride` pixels against the offset at its animal's centre, and by no other offset."""
    head = build()
    points, flags = labels(1)
    outputs = perfect(head.target_generator(points, flags))
    outputs["offsets_pred"].requires_grad_()
    outputs["scoremaps_pred"].requires_grad_()
    keypoints, _ = head.predictor(outputs)
    gradient = torch.autograd.grad(keypoints[0, 1, 0], outputs["offsets_pred"], retain_graph=True)[0]
    assert gradient.sum() == -4 and (gradient != 0).sum() == 1 and gradient[0, 2].sum() == -4
    assert torch.autograd.grad(keypoints[0, 12, 0], outputs["scoremaps_pred"])[0][0, 5].any()


# --- choosing


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(ConfigError, match="between 0 and 1"):
        DEKRConfig(threshold=1.5)
    with pytest.raises(ConfigError, match="above zero"):
        DEKRConfig(radius=0)
    with pytest.raises(ConfigError, match="is for several animals"):
        DEKRConfig().build(channels=8, stride=4, num_keypoints=4, image_size=(64, 64))
    assert DEKRConfig().supervised_loss == DEKRConfig().model_type == "dekr"


def test_the_config_is_light():
    code = "import sys, lp_heads.dekr; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_coarse_features_are_upsampled(stride):
    head = build(image_size=(96, 128), stride=stride, channels=64, downsample_factor=2)
    outputs = head(torch.randn(2, 64, 96 // stride, 128 // stride))
    assert {value.shape[2:] for value in outputs.values()} == {(24, 32)}
    sum(value.square().mean() for value in outputs.values()).backward()
    assert all(p.grad is not None for p in head.parameters())
