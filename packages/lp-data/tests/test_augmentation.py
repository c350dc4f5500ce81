import itertools
import math

import cv2
import numpy as np
import pytest
import torch
from lp_core import ConfigError, augmentations
from lp_core.testing.augmentation import AugmentationContract
from lp_data.augmentation import config as parts
from lp_data.augmentation import geometry, photometric

COLOURS = {
    "motion_blur": parts.MotionBlur(),
    "coarse_dropout": parts.CoarseDropout(),
    "coarse_salt": parts.CoarseNoise(),
    "coarse_pepper": parts.CoarseNoise(),
    "equalize": parts.Equalize(),
    "clahe": parts.Clahe(),
    "emboss": parts.Emboss(),
    "grayscale": parts.Grayscale(),
    "gaussian_noise": parts.GaussianNoise(),
}


@pytest.mark.parametrize("name", ["default", "dlc", "dlc-lr", "dlc-top-down"])
class TestContract(AugmentationContract):
    geometric = COLOURS

    @pytest.fixture(autouse=True)
    def _name(self, name):
        self.name = name


class TestWithFlips(AugmentationContract):
    name = "dlc"
    options = {"hflip": parts.HorizontalFlip(p=0.5)}  # noqa: RUF012
    geometric = COLOURS


class TestWithScalesAndMoves(AugmentationContract):
    name = "dlc"
    options = {"scale": parts.Scale(p=0.7), "translate": parts.Translate(p=0.7)}  # noqa: RUF012
    geometric = COLOURS


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_flipping_swaps_left_and_right():
    flip = augmentations.make("default", hflip=parts.HorizontalFlip(p=1.0)).build(
        keypoint_names=("nose", "paw_left", "paw_right")
    )
    points = torch.tensor([[[10.0, 5.0], [20.0, 6.0], [40.0, 7.0]]])
    out = flip(torch.zeros(1, 3, 32, 64, dtype=torch.uint8), points, torch.tensor([[2, 2, 2]]), generator())
    torch.testing.assert_close(out.keypoints, torch.tensor([[[53.0, 5.0], [23.0, 7.0], [43.0, 6.0]]]))


def test_a_keypoint_without_counterpart_is_one_sentence():
    with pytest.raises(ConfigError, match="paw_left has no counterpart paw_right"):
        augmentations.make("dlc", hflip=parts.HorizontalFlip(p=0.5)).build(keypoint_names=("paw_left", "nose"))
    with pytest.raises(ConfigError, match=r"p=1\.5 must lie in"):
        parts.Rotate(p=1.5)


def test_quarter_turns_are_exact():
    image = torch.arange(3 * 8 * 8, dtype=torch.uint8).reshape(1, 3, 8, 8)
    turn = augmentations.make("default", rot90=parts.Rot90(p=1.0, turns=[1])).build(keypoint_names=("a",))
    out = turn(image, torch.tensor([[[1.0, 2.0]]]), torch.tensor([[2]]), generator())
    torch.testing.assert_close(out.images, torch.rot90(image.float(), -1, (2, 3)))
    torch.testing.assert_close(out.keypoints, torch.tensor([[[5.0, 1.0]]]))


def test_scales_and_moves_are_spread_evenly_and_have_their_meaning():
    """DeepLabCut's `affine`: one factor for both directions about the centre, then a move in each direction."""
    words = {"scale": parts.Scale(p=0.5), "translate": parts.Translate(p=0.5, fraction=0.2)}
    change = augmentations.make("default", **words).build(keypoint_names=("a", "b", "c"))
    points = torch.tensor([[[31.5, 15.5], [41.5, 15.5], [31.5, 20.5]]]).expand(4000, -1, -1)  # the first is the centre
    out = change(torch.zeros(4000, 3, 32, 64, dtype=torch.uint8), points, torch.full((4000, 3), 2), generator())
    moved = geometry.apply(out.transforms, points).double().numpy()
    factor = (moved[:, 1, 0] - moved[:, 0, 0]) / 10
    np.testing.assert_allclose(moved[:, 2, 1] - moved[:, 0, 1], 5 * factor, atol=1e-4)
    assert np.abs(moved[:, 1, 1] - moved[:, 0, 1]).max() < 1e-4
    share = (moved[:, 0] - [31.5, 15.5]) / [64, 32]
    for values, low, high, still in (
        (factor, 0.5, 1.25, 1.0),
        (*share.T[:1], -0.2, 0.2, 0),
        (*share.T[1:], -0.2, 0.2, 0),
    ):
        changed = np.sort(values[np.abs(values - still) > 1e-5])
        assert len(changed) == pytest.approx(2000, abs=130)  # four standard deviations
        np.testing.assert_allclose(changed, np.linspace(low, high, len(changed)), atol=0.05 * (high - low))
    with pytest.raises(ConfigError, match=r"augmentation\.scale: smallest=2\.0 must be above 0"):
        parts.Scale(p=0.5, smallest=2.0)


NOISE = np.random.default_rng(0).uniform(0, 255, (60, 80)).astype(np.float32)


def rotated(picture):
    """By 0.3 about the centre: the matrix, and what `geometry.sample` makes of a grey picture."""
    linear = torch.tensor([[[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]]])
    transform = geometry.about_centre(linear, *picture.shape)
    ours = geometry.sample(torch.tensor(picture).expand(1, 3, -1, -1), transform, None)
    return transform[0].numpy(), ours[0, 0].numpy()


def test_rotation_agrees_with_opencv():
    inner = np.pad(NOISE[10:-10, 10:-10], 10)
    faded = cv2.GaussianBlur(
        inner, (0, 0), 3
    )  # dark at its border: on some machines OpenCV rounds places to 1/32 pixel
    matrix, ours = rotated(faded)
    theirs = cv2.warpAffine(faded, matrix, (80, 60), flags=cv2.INTER_LINEAR)
    np.testing.assert_allclose(ours, theirs, atol=0.5)


def test_rotation_is_the_mean_of_four_neighbours_and_nothing_outside():
    matrix, ours = rotated(NOISE)
    back = np.linalg.inv(np.vstack([matrix.astype(np.float64), [0, 0, 1]]))
    outside = np.pad(NOISE.astype(np.float64), 1)
    for y, x in itertools.product(range(60), range(80)):
        column, row, _ = back @ (x, y, 1)
        near = [
            (r, c) for r in (math.floor(row), math.floor(row) + 1) for c in (math.floor(column), math.floor(column) + 1)
        ]
        weights = [(1 - abs(row - r)) * (1 - abs(column - c)) for r, c in near]
        values = [outside[r + 1, c + 1] if -1 <= r <= 60 and -1 <= c <= 80 else 0.0 for r, c in near]
        assert ours[y, x] == pytest.approx(np.dot(weights, values), abs=0.02)


def test_displaced_points_solve_the_equation_to_a_small_part_of_a_pixel():
    field = geometry.displacements(parts.Elastic(p=1.0, alpha=10.0), 4, (64, 96), generator())
    points = torch.rand(4, 50, 2, generator=generator(1)) * torch.tensor([90.0, 60.0])
    moved = geometry.displace_points(points, field)
    for b in range(4):
        for point, place in zip(points[b].numpy(), moved[b].numpy(), strict=True):
            at = [
                cv2.remap(
                    field[b, c].numpy(),
                    place[:1].reshape(1, 1),
                    place[1:].reshape(1, 1),
                    cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE,
                )[0, 0]
                for c in (0, 1)
            ]
            assert np.abs(place + at - point).max() < 0.05


def test_the_displacement_has_the_strength_of_blurred_noise():
    """Closed form: uniform noise blurred with sigma has standard deviation (1 / √3) / (2 √π sigma)."""
    field = geometry.displacements(parts.Elastic(p=1.0, alpha=10.0, sigma=5.0), 64, (64, 64), generator())
    expected = (1 / math.sqrt(3)) / (2 * math.sqrt(math.pi) * 5) * math.sqrt(100 / 3)  # alpha uniform in 0–10
    assert float(field.std()) == pytest.approx(expected, rel=0.15)


def test_equalize_agrees_with_opencv():
    images = torch.tensor(np.random.default_rng(0).normal(120, 20, (2, 3, 40, 50))).round().clamp(0, 255).float()
    ours = photometric.equalize(images, parts.Equalize(), generator())
    for image, result in zip(images.flatten(0, 1), ours.flatten(0, 1), strict=True):
        np.testing.assert_allclose(result.numpy(), cv2.equalizeHist(image.numpy().astype(np.uint8)), atol=1)
    flat = torch.full((1, 3, 8, 8), 77.0)
    assert torch.equal(photometric.equalize(flat, parts.Equalize(), generator()), flat)


def test_motion_blur_keeps_the_mean_and_spreads_along_a_line():
    image = torch.zeros(1, 3, 21, 21)
    image[..., 10, 10] = 255
    out = photometric.motion_blur(image, parts.MotionBlur(size=5), generator())[0, 0]
    assert float(out.sum()) == pytest.approx(255, rel=1e-5) and (out > 1).sum() >= 4
    y, x = np.nonzero(out.numpy() > 1)
    spread = np.linalg.svd(np.stack([x, y]) - 10.0, compute_uv=False)
    assert spread[0] > 2 * spread[1]


def test_salt_brightens_pepper_darkens_dropout_blackens():
    grey = torch.full((8, 3, 100, 100), 128.0)
    salt = photometric.coarse_salt(grey, parts.CoarseNoise(share=0.2), generator())
    pepper = photometric.coarse_pepper(grey, parts.CoarseNoise(share=0.2), generator())
    dropped = photometric.coarse_dropout(grey, parts.CoarseDropout(share=0.2), generator())
    assert (salt >= 127.4).all() and 0.1 < (salt > 128).float().mean() < 0.3
    assert (pepper <= 128).all() and 0.1 < (pepper < 127).float().mean() < 0.3
    assert 0.15 < (dropped == 0).float().mean() < 0.25


def test_emboss_and_clahe_change_edges_and_stay_in_range():
    images = torch.rand(2, 3, 64, 64, generator=generator()) * 255
    for function, part in ((photometric.emboss, parts.Emboss()), (photometric.clahe, parts.Clahe())):
        out = function(images, part, generator())
        assert out.shape == images.shape and out.min() >= 0 and out.max() <= 255 and not torch.equal(out, images)
    ramp = torch.arange(64.0).expand(1, 3, 64, 64)
    emboss = photometric.emboss(ramp, parts.Emboss(alpha=0.0), generator())
    torch.testing.assert_close(emboss, ramp)


def test_grey_is_that_of_opencv():
    images = torch.randint(0, 256, (2, 3, 16, 16), generator=generator()).float()
    out = photometric.grayscale(images, parts.Grayscale(weakest=1.0), generator())
    for image, grey in zip(images, out, strict=True):
        expected = cv2.cvtColor(image.permute(1, 2, 0).numpy().astype(np.uint8), cv2.COLOR_RGB2GRAY)
        assert (grey - torch.from_numpy(expected).float()).abs().max() < 0.51  # OpenCV rounds
    half = photometric.grayscale(images, parts.Grayscale(weakest=0.5), generator())
    assert ((half - images).abs() <= (out - images).abs() + 1e-3).all() and not torch.equal(half, out)


def test_noise_has_every_variance_up_to_the_strongest():
    grey = torch.full((400, 3, 24, 24), 128.0)
    out = photometric.gaussian_noise(grey, parts.GaussianNoise(strongest=10.0), generator())
    variance = (out - grey).flatten(1).var(1)
    assert variance.max() < 110 and variance.mean() == pytest.approx(50, rel=0.15)
    assert torch.corrcoef((out - grey)[:, :2].transpose(0, 1).flatten(1))[0, 1].abs() < 0.02  # each channel its own
    assert torch.equal(out, photometric.gaussian_noise(grey, parts.GaussianNoise(strongest=10.0), generator()))


def test_steps_differ():
    """Not the reference's fault: 24 draws of it with 4 loader workers gave 6 different images."""
    augment = augmentations.make("dlc").build(keypoint_names=("a",))
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=generator())
    arguments = (image, torch.full((1, 1, 2), 30.0), torch.tensor([[2]]))
    assert len({augment(*arguments, generator(step)).images.numpy().tobytes() for step in range(24)}) >= 22
