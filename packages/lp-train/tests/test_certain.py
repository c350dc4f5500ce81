"""What a detector learns from video: from frames in which nothing is left open, against scenes made for it."""

import pytest
import torch
from lp_core import Animals
from lp_core.tensors import Clip
from lp_detectors.top_down import TopDownNet
from lp_train.certain import Limits, bridged, certain_animals, proposed
from torch import Tensor, nn

ANIMALS = Animals(individuals=("a", "b"), parts=("nose", "tail"))
SIZE, CROP = (96, 160), (32, 32)
NAN = torch.nan


class Boxes(nn.Module):
    """Proposes the same boxes in all frames; knows whether it is in training."""

    def __init__(self, boxes: Tensor) -> None:
        super().__init__()
        self.boxes, self.modes = boxes, list[bool]()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.modes.append(self.training)
        return self.boxes.expand(len(images), -1, -1), torch.ones(len(images), len(self.boxes))


class Lit(nn.Module):
    """The network of a crop: finds its two parts left and right of the middle, as sure as the crop's middle is bright."""

    keypoint_names, image_size, model_type = ("nose", "tail"), CROP, "stub"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        points = torch.tensor([[10.0, 15.5], [21.0, 15.5]]).expand(len(images), -1, -1)
        return points, (images[:, 0, 14:18, 14:18].float().mean((1, 2)) / 255)[:, None].expand(-1, 2)


def box(x: float, y: float) -> list[float]:
    return [x - 15.5, y - 15.5, x + 15.5, y + 15.5]


PLACES = [(30, 30), (110, 30), (70, 70)]  # two of animals, and a third where the floor is


def scene(levels: list[list[int]], valid: list[bool]) -> Clip:
    """Frames with so much light in each place."""
    images = torch.zeros(len(levels), 3, *SIZE, dtype=torch.uint8)
    for frame, level in zip(images, levels, strict=True):
        for (x, y), value in zip(PLACES, level, strict=True):
            frame[:, y - 8 : y + 9, x - 8 : x + 9] = value
    return Clip(
        images=images, valid=torch.tensor(valid), transform=torch.eye(2, 3), original_size=torch.tensor(SIZE), video=0,
        frames=torch.arange(len(levels)),
    )  # fmt: skip


def known(levels: list[list[int]], valid: list[bool] | None = None):
    net = TopDownNet(Boxes(torch.tensor([box(*p) for p in PLACES])), Lit(), animals=ANIMALS, image_size=SIZE).train()
    clip = scene(levels, valid or [True] * len(levels))
    found = certain_animals(net, Lit(), clip, Limits(0.5, 0.25))
    assert net.detector.modes == [False] and net.detector.training  # pyright: ignore
    return found


def centres(poses: Tensor) -> list[list[int]]:
    """Which place each animal is in, in each frame; -1 = not there."""
    middle = poses.mean(2)
    apart = (middle[:, :, None] - torch.tensor(PLACES)).norm(dim=-1)
    return [[int(a.argmin()) if a.isfinite().all() else -1 for a in frame] for frame in apart]


def test_two_animals_and_a_floor():
    found = known([[255, 200, 0], [250, 255, 20]])
    assert centres(found.poses) in ([[0, 1], [0, 1]], [[1, 0], [1, 0]]) and found.known.tolist() == [True, True]
    nose = found.poses[0, :, 0].sort(0).values
    torch.testing.assert_close(nose, torch.tensor([[24.5, 30.0], [104.5, 30.0]]), atol=0.6, rtol=0)


def test_a_pose_that_is_neither_animal_nor_floor_leaves_the_frame_open():
    assert known([[255, 200, 0], [255, 200, 100], [255, 200, 0]]).known.tolist() == [True, False, True]


def test_a_gap_is_bridged_and_its_frame_is_known():
    found = known([[255, 200, 0], [255, 30, 0], [255, 200, 0]])
    assert found.known.all() and centres(found.poses)[1] == centres(found.poses)[0]
    doubtful = known([[255, 200, 0], [255, 100, 0], [255, 200, 0]])  # not sure there, but where the certain one is
    assert doubtful.known.all()


def test_an_animal_that_comes_or_goes_leaves_frames_without_it_open():
    found = known([[255, 0, 0], [255, 200, 0], [255, 200, 0], [255, 0, 0]])
    assert found.known.tolist() == [False, True, True, False]


def test_frames_without_animals_and_padding_teach_nothing():
    assert not known([[0, 0, 0], [0, 0, 0]]).known.any()
    assert known([[255, 0, 0], [255, 0, 0]], [True, False]).known.tolist() == [True, False]


def test_no_more_animals_than_there_may_be():
    found = known([[255, 200, 180]])
    assert found.poses.shape == (1, 2, 2, 2) and sorted(centres(found.poses)[0]) == [0, 1]


def test_bridges_are_straight_lines_between_what_is_known():
    rows = torch.tensor([NAN, 2.0, NAN, NAN, 8.0, NAN])
    poses = rows[:, None, None, None].expand(-1, 1, 1, 2).clone()
    expected = torch.tensor([NAN, 2.0, 4.0, 6.0, 8.0, NAN])
    torch.testing.assert_close(bridged(poses)[:, 0, 0, 1], expected, equal_nan=True)


@pytest.mark.parametrize("training", [True, False])
def test_the_detector_proposes_as_at_prediction_and_stays_as_it_was(training):
    detector = Boxes(torch.zeros(1, 4)).train(training)
    proposed(detector, torch.zeros(1, 3, 8, 8))
    assert detector.modes == [False] and detector.training is training
