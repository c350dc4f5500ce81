"""Peaks of maps against loops over cells, values between cells against a plane."""

import math

import torch
from lp_heads.map_peaks import at_points, best_peaks, nearest_peaks, refined

SHAPE = (9, 13)


def noise(seed=0):
    return torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(seed))


def peaks_by_loops(one, radius):
    """Cells of one map that no cell within `radius` rows and columns exceeds."""
    found = []
    for y in range(SHAPE[0]):
        for x in range(SHAPE[1]):
            window = one[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
            if one[y, x] == window.max():
                found.append((float(one[y, x]), x, y))
    return sorted(found, reverse=True)


def test_the_best_peaks():
    maps = noise()
    values, cells = best_peaks(maps, 12)
    for batch in range(2):
        for k in range(3):
            expected = [p for p in peaks_by_loops(maps[batch, k], 2) if p[0] > 0]
            assert 1 < len(expected) < 12
            found = list(zip(values[batch, k].tolist(), cells[batch, k].tolist(), strict=True))
            assert [(v, c % 13, c // 13) for v, c in found[: len(expected)]] == expected
            assert all(v <= 0 for v, _ in found[len(expected) :])


def test_the_nearest_peaks():
    """Points inside, at the border and outside; each one's nearest cell that is a peak, high enough and within reach."""
    maps, g = noise(1), torch.Generator().manual_seed(2)
    points = torch.rand(2, 40, 3, 2, generator=g) * torch.tensor([17.0, 13.0]) - 2
    cells, there = nearest_peaks(maps, points, reach=2.5, least=0.5)
    counted = 0
    for batch in range(2):
        for k in range(3):
            peaks = [p for p in peaks_by_loops(maps[batch, k], 1) if p[0] >= 0.5]
            for n in range(40):
                px, py = points[batch, n, k].tolist()
                near = min((math.hypot(x - px, y - py), y * 13 + x) for _, x, y in peaks)
                assert bool(there[batch, n, k]) == (near[0] <= 2.5)
                if near[0] <= 2.5:
                    assert int(cells[batch, n, k]) == near[1]
                    counted += 1
    assert 40 < counted < 200


def test_a_value_between_cells():
    """A plane is its own bilinear interpolation; beyond the border it is the border's."""
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(13.0), indexing="ij")
    maps = torch.stack([x + 10 * y, 3 * x - y])[None]
    points = torch.rand(1, 50, 2, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([12.0, 8.0])
    expected = torch.stack([points[..., 0, 0] + 10 * points[..., 0, 1], 3 * points[..., 1, 0] - points[..., 1, 1]], -1)
    torch.testing.assert_close(at_points(maps, points), expected, atol=1e-3, rtol=1e-4)
    outside = at_points(maps, torch.tensor([[[[-3.0, 2.0], [20.0, -5.0]]]]))
    torch.testing.assert_close(outside, torch.tensor([[[20.0, 36.0]]]))


def test_a_refined_peak_is_a_gaussian_s_centre():
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(13.0), indexing="ij")
    centres = [(3.3, 4.4), (9.8, 6.7), (0.2, 0.4)]
    maps = sum(torch.exp(-((x - a) ** 2 + (y - b) ** 2) / 2) for a, b in centres[:2])[None, None]
    found = refined(maps, torch.tensor([[[4 * 13 + 3, 7 * 13 + 10]]]))
    torch.testing.assert_close(found[0, 0], torch.tensor(centres[:2]), atol=2e-3, rtol=0)
    corner = torch.exp(-((x - 0.2) ** 2 + (y - 0.4) ** 2) / 2)[None, None]
    torch.testing.assert_close(
        refined(corner, torch.tensor([[[0]]]))[0, 0], torch.tensor(centres[2:]), atol=1e-3, rtol=0
    )
