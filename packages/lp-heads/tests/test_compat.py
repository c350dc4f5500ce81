"""Decoders of other software against their formulas in NumPy."""

import numpy as np
import pytest
import torch
from lp_heads.compat_deeplabcut import Deconvolution, LocationRefinementHead, RefinedPeak
from lp_heads.compat_lightning_pose import ReferenceSoftArgmax, reference_context_head
from lp_heads.context import consecutive_windows
from lp_heads.heatmap import HeatmapConfig

SIZE = (24, 16)


def cubic(t, a=-0.75):
    """Keys' kernel with torch's parameter."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def doubled(values):
    """One axis (the first) twice as long: bicubic with the border repeated, then 1 4 6 4 1 with zeros outside."""
    length = len(values)
    fine = np.zeros((2 * length, *values.shape[1:]))
    for i in range(2 * length):
        at = (i + 0.5) / 2 - 0.5
        for cell in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            fine[i] += cubic(at - cell) * values[min(max(cell, 0), length - 1)]
    padded = np.pad(fine, [(2, 2), *[(0, 0)] * (values.ndim - 1)])
    return sum(w / 16 * padded[k : k + 2 * length] for k, w in enumerate((1, 4, 6, 4, 1)))


def lightning_pose(heatmap, factor):
    """One map → (x, y), confidence, as the formula says, in float64."""
    fine = heatmap.astype(np.float64)
    for _ in range(factor):
        fine = doubled(doubled(fine).T).T
    soft = np.exp(1000 * (fine - fine.max()))
    soft /= soft.sum()
    rows, columns = np.indices(soft.shape)
    x, y = (soft * columns).sum(), (soft * rows).sum()
    near = (abs(rows - int(y)) <= 2) & (abs(columns - int(x)) <= 2)
    return np.array([x, y]) - {0: 0, 1: 0.5, 2: 1.5, 3: 2.5}[factor], soft[near].sum()


def maps():
    """Peaks inside and at the border, two peaks, noise, and no peak at all."""
    rng = np.random.default_rng(0)
    y, x = np.indices(SIZE)

    def peak(px, py):
        return np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.25**2))

    found = [
        peak(7.3, 11.8),
        peak(0, 0),
        peak(15.4, 23),
        peak(3, 5) + peak(11.2, 18),
        rng.random(SIZE) ** 8,
        np.ones(SIZE),
    ]
    return np.stack([m / m.sum() for m in found])


@pytest.mark.parametrize("factor", [0, 1, 2, 3])
def test_reference_soft_argmax_is_its_formula(factor):
    expected = [lightning_pose(m, factor) for m in maps()]
    keypoints, confidence = ReferenceSoftArgmax(factor, SIZE)(
        {"heatmaps_pred": torch.tensor(maps(), dtype=torch.float32)[None]}
    )
    np.testing.assert_allclose(keypoints[0], [k for k, _ in expected], atol=2e-3)
    np.testing.assert_allclose(confidence[0], [c for _, c in expected], atol=2e-4)


def test_reference_soft_argmax_has_a_gradient():
    heatmaps = torch.tensor(maps(), dtype=torch.float32)[None].requires_grad_()
    ReferenceSoftArgmax(2, SIZE)({"heatmaps_pred": heatmaps})[0].sum().backward()
    assert heatmaps.grad.isfinite().all() and heatmaps.grad.abs().sum() > 0


@pytest.mark.parametrize(("stride", "upsamplings"), [(32, 2), (16, 1)])
def test_the_context_head_is_the_recurrence(stride, upsamplings):
    """Each window by itself, frame by frame, against all windows at once."""
    single = HeatmapConfig(predictor="lightning_pose").build(
        channels=16, stride=stride, num_keypoints=3, image_size=(64, 64)
    )
    head = reference_context_head(single, 16, 3, upsamplings)
    features = torch.randn(6, 16, 64 // stride, 64 // stride, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = head(features)["heatmaps_context_pred"]
        for row, window in enumerate(consecutive_windows(6, 2)):
            state = []
            for recurrence, order in ((head.onward, window), (head.backward_, window.flip(0))):
                shared = [head.shared(features[i : i + 1]) for i in order]
                h = recurrence.encode(shared[0])
                for x in shared[1:]:
                    h = recurrence.encode(x) + recurrence.up(recurrence.down(h))
                state.append(h)
            logits = (state[0] + state[1]) / 2
            torch.testing.assert_close(
                found[row], torch.softmax(logits.flatten(2), -1).view_as(logits)[0], rtol=1e-4, atol=1e-6
            )
    assert found.shape == (6, 3, 16, 16)


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("refine", [False, True])
def test_refined_peak_is_its_formula(sigmoid, refine):
    rng = np.random.default_rng(1)
    heatmap, locref = rng.normal(0.5, 0.5, (2, 3, 5, 7)), rng.normal(0, 1, (2, 6, 5, 7))
    outputs = {"heatmaps_pred": torch.tensor(heatmap), **({"locref_pred": torch.tensor(locref)} if refine else {})}
    keypoints, scores = RefinedPeak(8, sigmoid=sigmoid, clip=not sigmoid)(outputs)
    for frame in range(2):
        for k in range(3):
            score = heatmap[frame, k]
            y, x = np.unravel_index(score.argmax(), score.shape)
            offset = 7.2801 * locref[frame, 2 * k : 2 * k + 2, y, x] if refine else 0
            np.testing.assert_allclose(keypoints[frame, k], np.array([8 * x + 4, 8 * y + 4]) + offset)
            expected = 1 / (1 + np.exp(-score.max())) if sigmoid else np.clip(score.max(), 0, 1)
            np.testing.assert_allclose(scores[frame, k], expected)


def test_location_refinement_head_has_an_odd_grid():
    """A transposed convolution of kernel 3 and stride 2 without padding: 2 n + 1 cells, ReLU between layers only."""
    up = Deconvolution(channels=[8, 4, 3], kernels=[3, 3], strides=[2, 2])
    flat = Deconvolution(channels=[8], kernels=[], strides=[], final=(6, 1))
    head = LocationRefinementHead(up, None, stride=4)
    assert up.stride == 4 and flat.stride == 1
    out = head(torch.randn(1, 8, 16, 16))
    assert set(out) == {"heatmaps_pred"} and out["heatmaps_pred"].shape == (1, 3, 67, 67)
    assert (out["heatmaps_pred"] < 0).any()
    assert flat.build()(torch.randn(1, 8, 16, 16)).shape == (1, 6, 16, 16)
