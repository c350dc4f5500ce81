"""What every augmentation must do."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from lp_core import augmentations
from lp_core.tensors import Augmentation, Augmented

BATCH, SIZE, SIGMA = 12, (96, 128), 2.5
NAMES = ("nose", "ear_left", "ear_right", "tail")
POINTS = torch.tensor([[40.0, 30.0], [80.25, 30.5], [90.0, 66.0], [30.0, 60.75]])


class AugmentationContract:
    """Subclass in a plugin's tests and set `name`.

    `geometric` holds options that leave geometry alone in the picture, for the test that content and keypoints move
    together; an augmentation that also repaints the picture switches that off there.
    """

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012
    geometric: dict[str, Any] = {}  # noqa: RUF012
    tolerance = 0.5  # px: a blob's centre of mass in an image that was stretched and rotated

    def build(self, **options: Any) -> Augmentation:
        return augmentations.make(self.name, **{**self.options, **options}).build(keypoint_names=NAMES)

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        images = torch.randint(0, 256, (BATCH, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        keypoints = POINTS.repeat(BATCH, 1, 1)
        keypoints[0, 1] = torch.nan
        visibility = torch.full((BATCH, len(NAMES)), 2)
        visibility[0, 1] = 0
        return images, keypoints, visibility

    def run(self, seed: int = 0, **options: Any) -> Augmented:
        return self.build(**options)(*self.batch(), torch.Generator().manual_seed(seed))

    def test_its_config_is_a_slots_dataclass(self) -> None:
        cls = augmentations[self.name]
        assert dataclasses.is_dataclass(cls) and hasattr(cls, "__slots__") and isinstance(self.build(), Augmentation)

    def test_shapes_and_range(self) -> None:
        out = self.run()
        assert out.images.shape == (BATCH, 3, *SIZE) and out.images.is_floating_point()
        assert out.images.min() >= 0 and out.images.max() <= 255
        assert out.keypoints.shape == (BATCH, len(NAMES), 2) and out.transforms.shape == (BATCH, 2, 3)

    def test_the_generator_decides(self) -> None:
        """Same generator, same draw; another one, another draw (unless nothing is random)."""
        one, two, other = self.run(3), self.run(3), self.run(4)
        assert torch.equal(one.images, two.images)
        torch.testing.assert_close(one.keypoints, two.keypoints, equal_nan=True)
        if not torch.equal(one.images, self.batch()[0].float()):
            assert not torch.equal(one.images, other.images)

    def test_images_of_a_batch_differ(self) -> None:
        """Equal images come out different: one draw per image, not per batch."""
        images, keypoints, visibility = self.batch()
        same = images[:1].expand(BATCH, -1, -1, -1).contiguous()
        out = self.build()(same, keypoints, visibility, torch.Generator().manual_seed(0)).images
        if not torch.equal(out, same.float()):
            assert len({image.numpy().tobytes() for image in out}) > BATCH // 2

    def test_unlabeled_stays_unlabeled_and_lost_is_unlabeled(self) -> None:
        for seed in range(5):
            out = self.run(seed)
            lost = out.keypoints.isnan().any(-1)
            assert (out.visibility[lost] == 0).all() and (out.visibility[~lost] == 2).all()
            inside = out.keypoints[~lost]
            assert (inside >= -0.5).all() and (inside <= torch.tensor([SIZE[1], SIZE[0]]) - 0.5).all()
            assert lost[0].any()

    def test_one_image_is_a_batch(self) -> None:
        parts = [part[:1] for part in self.batch()]
        assert self.build()(*parts, torch.Generator().manual_seed(0)).images.shape == (1, 3, *SIZE)

    @pytest.mark.parametrize("seed", range(4))
    def test_keypoints_move_with_the_picture(self, seed: int) -> None:
        """A blob painted at each keypoint is found where the augmentation says the keypoint went."""
        y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
        for point in POINTS:
            blob = 255 * torch.exp(-0.5 * ((x - point[0]) ** 2 + (y - point[1]) ** 2) / SIGMA**2)
            images = blob.round().to(torch.uint8).expand(BATCH, 3, -1, -1).contiguous()
            out = self.build(**self.geometric)(images, *self.batch()[1:], torch.Generator().manual_seed(seed))
            mass = out.images.mean(1)
            centre = torch.stack([(mass * x).sum((1, 2)), (mass * y).sum((1, 2))], -1) / mass.sum((1, 2))[:, None]
            places = torch.cdist(centre[:, None], out.keypoints.nan_to_num(1e4))[:, 0]
            margin = 4 * SIGMA
            limit = torch.tensor([SIZE[1], SIZE[0]]) - margin
            whole = ((centre > margin) & (centre < limit)).all(-1) & ~out.keypoints.isnan().flatten(1).any(-1)
            assert whole.any()
            # flips send a left keypoint to the right one's row: the nearest keypoint is the one painted
            assert (places[whole].min(-1).values < self.tolerance).all()

    def test_the_transforms_lead_back(self) -> None:
        out = self.run(1, **self.geometric)
        linear = torch.linalg.inv(out.transforms[..., :2])
        back = (out.keypoints - out.transforms[..., 2][:, None]) @ linear.mT
        distance = torch.cdist(back.nan_to_num(1e4), POINTS.repeat(BATCH, 1, 1)).min(-1).values
        kept = ~out.keypoints.isnan().any(-1)
        assert kept.any() and (distance[kept] < 3.0).all()  # px: the elastic part is no affine map
