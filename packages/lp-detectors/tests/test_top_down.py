from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from lp_core import Animals, ConfigError, detectors
from lp_detectors.poses import in_order, similarity
from lp_detectors.top_down import TopDownNet, TopDownOptions
from torch import Tensor, nn

NAN = torch.nan
ANIMALS = Animals(individuals=("a", "b", "c"), parts=("nose", "middle"))
SIZE, CROP = (120, 160), (32, 48)
BOXES = torch.tensor([
    [[10.0, 20, 50, 60], [100, 10, 140, 110], [NAN] * 4],
    [[-12.0, 70, 30, 90], [NAN] * 4, [NAN] * 4],
    [[NAN] * 4] * 3,
])  # fmt: skip
SCORES = torch.tensor([[0.8, 0.6, 0.0], [0.5, 0, 0], [0, 0, 0]])


class Told(nn.Module):
    """A detector that knows the answer, in pixels of the frames it is given."""

    def __init__(self, boxes: Tensor = BOXES, scores: Tensor = SCORES) -> None:
        super().__init__()
        self.boxes, self.scores, self.seen = boxes, scores, (0, 0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.seen = tuple(images.shape[-2:])
        return self.boxes[: len(images)], self.scores[: len(images)]

    def loss(self, images: Tensor, boxes: Tensor) -> Tensor:
        return images.sum() * 0


class Middle(nn.Module):
    """The network of a crop: its middle, and the middle of its lower right quarter. Counts the crops it is given."""

    keypoint_names, image_size, model_type = ("nose", "middle"), CROP, "stub"

    def __init__(self) -> None:
        super().__init__()
        self.crops: list[Tensor] = []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        assert images.dtype == torch.uint8 and images.shape[1:] == (3, *CROP)
        self.crops.append(images)
        middle = torch.tensor([(CROP[1] - 1) / 2, (CROP[0] - 1) / 2])
        points = torch.stack([middle, middle + torch.tensor([12.0, 8.0])])
        return points.expand(len(images), -1, -1), torch.tensor([1.0, 0.5]).expand(len(images), -1)


class Brightest(nn.Module):
    """The network of a crop: the centre of mass of its first and second colour."""

    keypoint_names, image_size, model_type = ("nose", "middle"), CROP, "stub"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mass = images[:, :2].float() + 1e-6
        y, x = torch.arange(CROP[0] * 1.0), torch.arange(CROP[1] * 1.0)
        total = mass.sum((-1, -2))
        points = torch.stack([(mass.sum(-2) * x).sum(-1), (mass.sum(-1) * y).sum(-1)], dim=-1) / total[..., None]
        return points, mass.amax((-1, -2)).clamp(max=255) / 255


def frames(count: int = 3) -> Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, *SIZE), generator=g, dtype=torch.uint8)


def net(pose: nn.Module | None = None, detector: nn.Module | None = None, **options: object) -> TopDownNet:
    chosen = TopDownOptions(**options)  # pyright: ignore[reportArgumentType]
    return TopDownNet(
        detector or Told(), pose or Middle(), animals=ANIMALS, image_size=SIZE, options=chosen
    ).eval()  # fmt: skip


@pytest.mark.parametrize("skip_empty", [True, False])
def test_what_is_in_the_middle_of_a_crop_is_in_the_middle_of_its_box(skip_empty: bool):
    model = net(skip_empty=skip_empty)
    keypoints, confidence = model(frames())
    assert keypoints.shape == (3, 6, 2) and confidence.shape == (3, 6)
    middle = (BOXES[..., :2] + BOXES[..., 2:]) / 2
    scale = ((BOXES[..., 2:] - BOXES[..., :2]) / torch.tensor([48.0, 32.0])).amax(-1, keepdim=True)
    expected = torch.stack([middle, middle + torch.tensor([12.0, 8.0]) * scale], dim=2).flatten(1, 2)
    assert torch.allclose(keypoints, expected, atol=1e-4, equal_nan=True)
    assert torch.allclose(confidence, (SCORES[..., None].sqrt() * torch.tensor([1.0, 0.5])).flatten(1))
    assert sum(map(len, model.pose.crops)) == (3 if skip_empty else 9)  # pyright: ignore


def test_of_more_boxes_than_animals_the_best_poses_are_kept():
    """Two boxes of high score on black floor, three of low score on an animal: the network of the crops decides."""
    boxes = torch.tensor(
        [[[60.0, 60, 80, 80], [100, 90, 120, 110], [10, 10, 40, 40], [60, 10, 90, 40], [110, 10, 140, 40]]]
    )
    images = torch.zeros(1, 3, *SIZE, dtype=torch.uint8)
    for x in (25, 75, 125):
        images[:, :2, 15:35, x - 10 : x + 11] = 255
    keypoints, confidence = net(Brightest(), Told(boxes, torch.tensor([[0.9, 0.8, 0.3, 0.2, 0.1]])), samples=4)(images)
    assert keypoints.shape == (1, 6, 2) and confidence.shape == (1, 6)
    assert torch.allclose(keypoints[0, ::2], torch.tensor([[25.0, 25], [75, 25], [125, 25]]), atol=0.6)


def test_pictures_and_keypoints_go_the_same_way():
    """Two bright spots in each box are found where they were painted."""
    images = torch.zeros(3, 3, *SIZE, dtype=torch.uint8)
    spots = torch.tensor([[[20, 30], [40, 50]], [[120, 80], [118, 30]], [[12, 76], [20, 84]]])
    for spot, frame in zip(spots.tolist(), [0, 0, 1], strict=True):
        for colour, (x, y) in enumerate(spot):
            images[frame, colour, y - 4 : y + 5, x - 4 : x + 5] = 255
    keypoints, confidence = net(Brightest(), samples=4)(images)
    found = torch.cat([keypoints[0, :4], keypoints[1, :2]]).unflatten(0, (3, 2))
    assert (found - spots).abs().max() < 0.05 and (confidence[0, :4] > 0.3).all()


def test_the_detector_can_look_at_smaller_frames():
    small = Told((BOXES + 0.5) / 2 - 0.5)
    keypoints, _ = net(detector=small, detector_size=(60, 80))(frames())
    assert small.seen == (60, 80)
    assert torch.allclose(keypoints, net()(frames())[0], atol=1e-3, equal_nan=True)


def test_pieces_do_not_matter_and_no_frame_needs_an_animal():
    whole, pieces = net(Brightest()), net(Brightest(), crops_at_once=1)
    assert torch.allclose(whole(frames())[0], pieces(frames())[0], equal_nan=True)
    nothing = net(detector=Told(BOXES[2:], SCORES[2:]))
    keypoints, confidence = nothing(frames(1))
    assert keypoints.isnan().all() and (confidence == 0).all()


def test_the_better_pose_comes_first_whatever_its_box_scored():
    keypoints = torch.tensor([[[[0.0, 0], [9, 9]], [[500.0, 0], [509, 9]], [[NAN, NAN], [NAN, NAN]]]])
    confidence = torch.tensor([[[0.2, 0.3], [0.9, 0.7], [0.0, 0.0]]])
    ordered, sure = in_order(keypoints, confidence, torch.tensor([[100.0, 100.0, 0.0]]), 0.8)
    assert ordered[0, 0, 0].tolist() == [500, 0] and ordered[0, 2].isnan().all()
    assert torch.allclose(sure[0].mean(-1), torch.tensor([0.8, 0.25, 0.0]))


def test_a_second_box_on_the_same_animal_is_left_out():
    twice = BOXES[:1].clone()
    twice[0, 2] = twice[0, 0] + torch.tensor([1.0, -1, 1, 1])
    keypoints, confidence = net(detector=Told(twice, torch.tensor([[0.8, 0.6, 0.7]])))(frames(1))
    assert keypoints[0, :4].isfinite().all() and keypoints[0, 4:].isnan().all() and (confidence[0, 4:] == 0).all()
    assert torch.allclose(keypoints[0, 0], torch.tensor([30.0, 40.0])) and keypoints[0, 2, 0] > 100
    kept, _ = net(detector=Told(twice, torch.tensor([[0.8, 0.6, 0.7]])), duplicate=1.0)(frames(1))
    assert kept.isfinite().all()


def test_similarity_against_its_formula():
    points = torch.tensor([[[[0.0, 0], [10, 0]], [[3.0, 4], [10, 0]]]])
    found = similarity(points, torch.tensor([[[1.0, 0.5], [0.5, 1.0]]]), torch.tensor([[400.0, 900.0]]))
    near = torch.exp(torch.tensor([-25 / (2 * s * 0.2**2) for s in (400.0, 900.0)]))
    assert torch.allclose(found[0, 0, 1], (near[0] + 1) / 2) and torch.allclose(found[0, 1, 0], (near[1] + 1) / 2)


def test_what_does_not_fit_is_said():
    unique = Animals(individuals=("a",), parts=("nose", "middle"), unique=("corner",))
    with pytest.raises(ConfigError, match="corner"):
        TopDownNet(Told(), Middle(), animals=unique, image_size=SIZE)
    other = Animals(individuals=("a",), parts=("nose",))
    with pytest.raises(ConfigError, match="2 keypoints"):
        TopDownNet(Told(), Middle(), animals=other, image_size=SIZE)
    looking = Middle()
    looking.context = 2  # pyright: ignore
    with pytest.raises(ConfigError, match="several frames"):
        TopDownNet(Told(), looking, animals=ANIMALS, image_size=SIZE)


def untrained() -> TopDownNet:
    torch.manual_seed(0)
    detector = detectors.make("centers", width=0.25, threshold=0.0).build(image_size=SIZE, animals=3)
    return net(Brightest(), detector)  # pyright: ignore[reportArgumentType]


def test_names_and_sizes_are_those_of_a_pose_model():
    model = untrained()
    assert model.keypoint_names == ("a/nose", "a/middle", "b/nose", "b/middle", "c/nose", "c/middle")
    assert model.image_size == SIZE and model.model_type == "top_down_stub" and model.animals is ANIMALS


@pytest.mark.skipif(not find_spec("onnxruntime") or not find_spec("onnxscript"), reason="needs onnxruntime, onnxscript")
def test_an_exported_network_gives_the_same(run_exported):
    model, images = untrained(), frames(4)
    model.options = replace(model.options, context=False)  # which needs more
    with torch.no_grad():
        expected = model(images)
    found = run_exported(model, images)
    assert expected[0].isfinite().any()
    for one, two in zip(expected, found, strict=True):
        assert torch.allclose(one, torch.from_numpy(two), atol=2e-2, equal_nan=True)
