"""What targets are drawn with, against statements of it cell by cell in float64; and all targets on a device without values."""

import math

import numpy as np
import pytest
import torch
from lp_core import OCCLUDED, VISIBLE, Animals
from lp_heads.curves import gaussian_curves, largest_product
from lp_heads.dekr import DEKRConfig
from lp_heads.gaussian_heatmap import GaussianHeatmap
from lp_heads.limb_targets import LimbTargets
from lp_heads.locref import LocrefTargetsConfig
from lp_heads.paf import PAFConfig
from lp_heads.windows import FAR, draw, of_nearest, windows, zero_maps

SIZE = (9, 14)
ANIMALS = Animals(individuals=("a", "b", "c"), parts=("nose", "hip", "tail"), unique=("door",))


@pytest.mark.parametrize("reach", [0.5, 1.0, 1.7, 2.5, 4.25])
def test_a_window_has_every_cell_within_reach_once(reach):
    """Centres anywhere, at corners, half way between cells, outside and far away."""
    g = torch.Generator().manual_seed(0)
    some = torch.rand(40, 2, generator=g, dtype=torch.float64) * torch.tensor([18.0, 13.0]) - 2
    centres = torch.cat([some, torch.tensor([[0, 0], [13, 8], [2.5, 3.5], [-0.5, 8.5], [FAR, FAR], [FAR, 4]])])
    w = windows(centres, reach, SIZE)
    assert w.cells.min() >= 0 and w.cells.max() < math.prod(SIZE)
    inside = torch.hypot(w.way_x, w.way_y) <= reach
    for centre, cells, near in zip(centres.numpy(), w.cells, inside, strict=True):
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        expected = np.flatnonzero(np.hypot(x - centre[0], y - centre[1]) <= reach)
        assert sorted(cells[near].tolist()) == expected.tolist()
    x, y = (cells.expand(w.cells.shape)[inside] for cells in (w.x, w.y))
    ways = torch.stack([way.expand(w.cells.shape)[inside] for way in (w.way_x, w.way_y)], dim=-1)
    owner = centres[:, None, None].expand(*w.cells.shape, 2)[inside]
    assert torch.equal(y * SIZE[1] + x, w.cells[inside])
    torch.testing.assert_close(ways, owner - torch.stack([x, y], dim=-1))


def test_a_cell_goes_to_the_nearest_and_of_equals_to_the_first():
    """Two maps with four animals each, the last two at the same place."""
    g = torch.Generator().manual_seed(1)
    centres = torch.rand(2, 4, 2, generator=g) * 8
    centres[:, 3] = centres[:, 2]
    w = windows(centres, 3.0, SIZE)
    distance = torch.hypot(w.way_x, w.way_y)
    own = of_nearest(distance <= 3, w.cells, distance, math.prod(SIZE))
    maps = zero_maps(2, (1, 2), SIZE, distance)[0]
    number = torch.arange(1.0, 5)[:, None, None] * own
    draw(maps, number[:, None], w.cells)
    for found, animals in zip(maps[:, 0].numpy(), centres.double().numpy(), strict=True):
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        distances = np.stack([np.hypot(x - a, y - b) for a, b in animals])
        np.testing.assert_array_equal(found, np.where(distances.min(0) <= 3, distances.argmin(0) + 1, 0))
    assert set(maps.unique().tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("animals", [1, 3])
@pytest.mark.parametrize("at_once", [1, 1_000_000])
def test_a_product_of_curves_is_the_gaussian(animals, at_once, monkeypatch):
    monkeypatch.setattr("lp_heads.curves.AT_ONCE", at_once)
    g = torch.Generator().manual_seed(2)
    centres = torch.rand(3, 2, animals, 2, generator=g) * torch.tensor([14.0, 9.0])
    centres[0, 1] = FAR
    out = torch.full((3, 2, *SIZE), math.nan)
    largest_product(*gaussian_curves(centres, SIZE, 1.5, 4.0), out)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for b, m in np.ndindex(3, 2):
        expected = np.zeros(SIZE)
        for cx, cy in centres[b, m].double().numpy():
            value = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 1.5**2))
            value[(np.abs(x - cx) > 4) | (np.abs(y - cy) > 4)] = 0
            expected = np.maximum(expected, value)
        np.testing.assert_allclose(out[b, m].numpy(), expected, atol=1e-6)
    assert not out[0, 1].any() and out.amax() > 0.9


@pytest.mark.parametrize("uniform", [True, False])
def test_heatmaps_that_sum_to_one(uniform):
    """In float64: visible, at a corner, occluded, unlabeled, outside of the image."""
    points = torch.tensor([[[21.3, 17.9], [-0.5, 35.5], [9.0, 9.0], [math.nan, math.nan], [60.0, 5.0]]])
    flags = torch.tensor([[VISIBLE, VISIBLE, OCCLUDED, 0, VISIBLE]])
    maps = GaussianHeatmap((36, 56), 4, 1.25, uniform)(points, flags)["heatmaps_targ"][0].double().numpy()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for number, (px, py) in enumerate(points[0, :2].double().numpy()):
        cx, cy = (px + 0.5) / 4 - 0.5, (py + 0.5) / 4 - 0.5
        value = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 1.25**2))
        np.testing.assert_allclose(maps[number], value / value.sum(), atol=1e-7)
    everywhere = 1 / math.prod(SIZE)
    for number, value in ((2, everywhere), (3, everywhere * uniform), (4, everywhere * uniform)):
        np.testing.assert_allclose(maps[number], value, atol=1e-9)


def test_limbs_that_are_not_compared_have_no_rival(monkeypatch):
    """Six animals, some apart and some across each other: with every limb compared the fields are the same."""
    g = torch.Generator().manual_seed(3)
    parts = torch.rand(4, 6, 1, 2, generator=g) * 200 + torch.rand(4, 6, 3, 2, generator=g) * 40
    known = torch.rand(4, 6, 3, generator=g) < 0.9
    targets = LimbTargets((256, 240), 8, ((0, 1), (1, 2), (0, 2)), 10.0)
    found, rivals = targets(parts, known), []
    plain = targets._rivals
    monkeypatch.setattr(targets, "_rivals", lambda *words: rivals.append(plain(*words)) or torch.ones_like(rivals[0]))
    assert torch.equal(targets(parts, known), found)
    assert rivals[0].any() and not rivals[0].all()
    monkeypatch.setattr(targets, "_rivals", lambda *words: torch.zeros_like(rivals[0]))
    assert not torch.equal(targets(parts, known), found)  # where they meet, comparing matters


KINDS = ["gaussian", "plateau", "paf", "dekr", "heatmap"]


def targets_of(kind):
    if kind == "heatmap":
        return GaussianHeatmap((64, 96), 4, 1.25, True)
    if kind in ("gaussian", "plateau"):
        return LocrefTargetsConfig(target=kind).build(image_size=(64, 96), stride=4)
    config = {"paf": PAFConfig, "dekr": DEKRConfig}[kind](downsample_factor=2)
    return config.build_animals(channels=16, stride=4, animals=ANIMALS, image_size=(64, 96)).target_generator


@pytest.mark.parametrize("kind", KINDS)
def test_targets_wait_for_no_device(kind):
    """Tensors without values: whatever counts, copies or looks at a value fails."""
    points, flags = torch.empty(2, 10, 2, device="meta"), torch.empty(2, 10, dtype=torch.long, device="meta")
    found = targets_of(kind)(points, flags)
    assert {value.device.type for value in found.values()} == {"meta"}
    assert {tuple(value.shape[2:]) for value in found.values()} <= {(16, 24), (1, 1)}


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_exact_under_autocast_and_for_frames_on_their_own(kind):
    g = torch.Generator().manual_seed(6)
    points = torch.rand(3, 10, 2, generator=g) * torch.tensor([96.0, 64.0])
    flags = torch.randint(0, 3, (3, 10), generator=g)
    points[flags == 0] = math.nan
    targets = targets_of(kind)
    found = targets(points, flags)
    with torch.autocast("cpu", torch.bfloat16):
        cast = targets(points, flags)
    alone = [targets(points[i : i + 1], flags[i : i + 1]) for i in range(3)]
    for key, value in found.items():
        assert value.dtype == torch.float32 and value.isfinite().all() and value.is_contiguous()
        torch.testing.assert_close(cast[key], value, atol=0, rtol=0)
        if value.shape[0] == 3:
            torch.testing.assert_close(torch.cat([one[key] for one in alone]), value, atol=1e-6, rtol=0)
    assert not targets(points[:0], flags[:0])[key].numel()
