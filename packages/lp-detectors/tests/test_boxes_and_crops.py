import numpy as np
import pytest
import torch
from lp_core import Resize
from lp_detectors.boxes import best, boxes_of, covered, jittered, matched, overlap
from lp_detectors.crops import Crops, cut
from torch.nn import functional as F
from torchvision.ops import box_iou

G = torch.Generator().manual_seed(0)
NAN = torch.nan


def random_boxes(*shape: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    low = torch.rand(*shape, 2, generator=g) * 80 - 20
    return torch.cat([low, low + 5 + torch.rand(*shape, 2, generator=g) * 60], dim=-1)


def test_boxes_of_against_numpy():
    rng = np.random.default_rng(0)
    points = rng.uniform(-10, 200, (4, 3, 6, 2))
    points[rng.random((4, 3, 6)) < 0.4] = np.nan
    points[0, 0], points[0, 1, 1:] = np.nan, np.nan
    found = boxes_of(torch.from_numpy(points), margin=0.25, least=30.0).numpy()
    for where in np.ndindex(4, 3):
        known = points[where][~np.isnan(points[where][:, 0])]
        if not len(known):
            assert np.isnan(found[where]).all()
            continue
        low, high = known.min(0), known.max(0)
        side = np.maximum(high - low + 2 * 0.25 * (high - low).max(), 30.0)
        assert np.allclose(found[where], [*(low + high - side) / 2, *(low + high + side) / 2])


def test_overlap_against_torchvision_and_none():
    one, two = random_boxes(5), random_boxes(7, seed=1)
    assert torch.allclose(overlap(one, two), box_iou(one, two), atol=1e-6)
    one[0] = NAN
    assert torch.equal(overlap(one, two)[0], torch.zeros(7))


def test_best_pads_and_sorts():
    boxes, scores = best(random_boxes(1, 2), torch.tensor([[0.0, 0.7]]), 3)
    assert torch.allclose(scores, torch.tensor([[0.7, 0.0, 0.0]]))
    assert torch.equal(boxes[0, 0], random_boxes(1, 2)[0, 1]) and boxes[0, 1:].isnan().all()


def test_covered_looks_at_better_ones_only():
    like = torch.tensor([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.9, 0.2, 1.0]])
    assert covered(like, 0.5).tolist() == [False, True, False]


def test_jitter_is_within_its_bounds_and_not_biased():
    box = torch.tensor([10.0, 20.0, 50.0, 100.0]).expand(20_000, 4)
    moved = jittered(box, torch.Generator().manual_seed(1), shift=0.1, scale=0.25)
    side, shift = (moved[:, 2:] - moved[:, :2]), (moved[:, 2:] + moved[:, :2]) / 2 - torch.tensor([30.0, 60.0])
    ratio = side / torch.tensor([40.0, 80.0])
    assert torch.allclose(ratio[:, 0], ratio[:, 1]) and ratio.max() <= 1.25 + 1e-5 and ratio.min() >= 0.8 - 1e-5
    assert ratio.log().mean().abs() < 0.005 and shift.mean(0).abs().max() < 0.1
    assert torch.allclose(shift.abs().amax(0), torch.tensor([4.0, 8.0]), atol=0.01)


def test_matched_takes_the_nearest_detection_or_the_truth():
    truth = torch.tensor([[[0.0, 0, 10, 10], [50, 50, 60, 60], [NAN] * 4]])
    found = torch.tensor([[[200.0, 0, 210, 10], [1, 0, 11, 10]]])
    chosen = matched(truth, found)
    assert (
        torch.equal(chosen[0, 0], found[0, 1]) and torch.equal(chosen[0, 1], truth[0, 1]) and chosen[0, 2].isnan().all()
    )


def test_points_go_and_come_back():
    boxes = random_boxes(8, 5) * 6
    crops = Crops.of(boxes, (192, 256))
    points = torch.rand(8, 5, 20, 2, generator=G) * 640
    assert (crops.to_frame(crops.to_crop(points)) - points).abs().max() < 1e-4
    by_matrix = torch.einsum("naij,napj->napi", crops.transforms[..., :2], points) + crops.transforms[..., None, :, 2]
    assert torch.allclose(by_matrix, crops.to_crop(points), atol=2e-3)


def test_a_window_holds_its_box_and_touches_it():
    boxes, (height, width) = random_boxes(200, 1), (96, 160)
    corners = Crops.of(boxes, (height, width)).to_crop(boxes.unflatten(-1, (2, 2)))[:, 0]
    low, high = corners[:, 0] + 0.5, torch.tensor([width - 0.5, height - 0.5]) - corners[:, 1]
    assert torch.allclose(low, high, atol=1e-3) and low.min() > -1e-3 and low.amin(-1).abs().max() < 1e-3


@pytest.mark.parametrize("size", [(60, 80), (30, 40), (150, 200), (90, 120)])
def test_a_crop_of_the_whole_frame_is_a_resize(size: tuple[int, int]):
    frames = torch.rand(2, 3, 60, 80, generator=G) * 255
    whole = torch.tensor([-0.5, -0.5, 79.5, 59.5]).expand(2, 1, 4)
    found = cut(frames, Crops.of(whole, size))[:, 0]
    assert torch.allclose(found, F.interpolate(frames, size, mode="bilinear", align_corners=False), atol=0.02)
    points = torch.rand(2, 1, 9, 2, generator=G) * 60
    assert torch.allclose(Crops.of(whole, size).to_crop(points), Resize((60, 80), size).forward(points), atol=1e-4)


def test_many_samples_are_the_mean_of_what_a_pixel_covers():
    frames = torch.rand(2, 3, 60, 80, generator=G)
    whole = torch.tensor([-0.5, -0.5, 79.5, 59.5]).expand(2, 1, 4)
    found = cut(frames, Crops.of(whole, (15, 20)), samples=4)[:, 0]
    assert torch.allclose(found, F.avg_pool2d(frames, 4), atol=1e-4)


def test_content_and_points_move_alike():
    """A picture linear in x and y says where each of its pixels came from."""
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(80.0), indexing="ij")
    frames = torch.stack([x, y, torch.ones_like(x)])[None].expand(2, -1, -1, -1)
    crops = Crops.of(random_boxes(2, 3, seed=3), (24, 32))
    images = cut(frames, crops)
    v, u = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    source = crops.to_frame(torch.stack([u, v], -1).flatten(0, 1).expand(2, 3, -1, -1)).unflatten(2, (24, 32))
    within = ((source >= 0) & (source <= torch.tensor([79.0, 59.0]))).all(-1)
    outside = ((source < -0.5) | (source > torch.tensor([79.5, 59.5]))).any(-1)
    assert 0.1 < within.float().mean() < 0.95 and outside.any()
    assert (images[:, :, :2].permute(0, 1, 3, 4, 2) - source)[within].abs().max() < 1e-3
    assert (images.permute(0, 1, 3, 4, 2)[outside] == 0).all()


@pytest.mark.parametrize("samples", [1, 3])
def test_without_context_what_lies_beside_the_box_is_black(samples: int):
    """Pixel by pixel: the window is the same, and so is what is in the box."""
    frames, boxes = 1 + torch.rand(2, 3, 60, 80, generator=G), random_boxes(2, 4, seed=5)
    whole, alone = Crops.of(boxes, (24, 32)), Crops.of(boxes, (24, 32), context=False)
    assert torch.equal(whole.transforms, alone.transforms)
    everything, some = cut(frames, whole, samples), cut(frames, alone, samples)
    v, u = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    source = alone.to_frame(torch.stack([u, v], -1).flatten(0, 1).expand(2, 4, -1, -1)).unflatten(2, (24, 32))
    low, high = (boxes[..., None, None, side : side + 2] for side in (0, 2))
    half = alone.scale[..., None, None, None] * (samples - 1) / (2 * samples)  # the samples of a pixel reach so far
    inside = ((source >= low + half) & (source <= high - half)).all(-1)
    outside = ((source < low - half) | (source > high + half)).any(-1)
    assert 0.2 < inside.float().mean() < 0.9 and outside.float().mean() > 0.1
    assert torch.equal(some.permute(0, 1, 3, 4, 2)[inside], everything.permute(0, 1, 3, 4, 2)[inside])
    assert (some.permute(0, 1, 3, 4, 2)[outside] == 0).all() and (everything.permute(0, 1, 3, 4, 2)[outside] > 0).any()


def test_cutting_is_differentiable_in_frames_and_boxes():
    frames = torch.rand(1, 1, 9, 11, generator=G, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[[1.13, 2.21, 6.4, 7.3]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, b: cut(f, Crops.of(b, (5, 7))), (frames, boxes))
