from importlib.util import find_spec

import pytest
import torch
from lp_core import Animals, ConfigError
from lp_detectors.conditional import MARGIN, ConditionalNet, GivenConditions
from lp_detectors.following import FollowingNet, FollowOptions, apart
from lp_detectors.top_down import TopDownOptions
from torch import Tensor, nn

NAN = torch.nan
ANIMALS = Animals(individuals=("a", "b", "c"), parts=("nose", "tail"))
SIZE, CROP = (120, 160), (32, 48)
POSES = torch.tensor([
    [[[10.0, 20], [50, 60]], [[100, 10], [140, 110]], [[NAN] * 2] * 2],
    [[[30.0, 70], [NAN, NAN]], [[NAN] * 2] * 2, [[NAN] * 2] * 2],
])  # fmt: skip


class Says(nn.Module):
    """A network for whole frames that knows the answer, in pixels of the frames it is given."""

    keypoint_names, model_type = ANIMALS.keypoint_names, "stub"

    def __init__(self, poses: Tensor = POSES, image_size: tuple[int, int] = SIZE) -> None:
        super().__init__()
        self.poses, self.image_size = poses, image_size

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        assert tuple(images.shape[-2:]) == self.image_size
        poses = self.poses[: len(images)].flatten(1, 2)
        return poses, poses.isfinite().all(-1).float()


class Repeats(nn.Module):
    """The network of a crop: what it was told, one pixel of the crop further right and two further down."""

    keypoint_names, image_size, model_type = ANIMALS.parts, CROP, "stub"
    shift = torch.tensor([1.0, 2.0])

    def forward(self, images: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        assert images.shape == (len(conditions), 3, *CROP)
        return conditions + self.shift, conditions.isfinite().all(-1) * 0.9


def frames(count: int = 2) -> Tensor:
    return torch.zeros(count, 3, *SIZE, dtype=torch.uint8)


def net(proposer: nn.Module | None = None, pose: nn.Module | None = None, **options: object) -> ConditionalNet:
    chosen = TopDownOptions(**options)  # pyright: ignore[reportArgumentType]
    return ConditionalNet(
        pose or Repeats(), animals=ANIMALS, image_size=SIZE, options=chosen, proposer=proposer
    ).eval()  # fmt: skip


@pytest.mark.parametrize("skip_empty", [True, False])
def test_the_network_of_a_crop_is_told_the_proposal_in_pixels_of_its_crop(skip_empty: bool):
    keypoints, confidence = net(Says(), skip_empty=skip_empty)(frames())
    side = POSES.nan_to_num(-1e9).amax(2) - POSES.nan_to_num(1e9).amin(2)
    half = (side / 2 + MARGIN * side.amax(-1, keepdim=True)).clamp_min(8)
    scale = (2 * half / torch.tensor([48.0, 32.0])).amax(-1)  # frame pixels per crop pixel
    expected = POSES + Repeats.shift * scale[..., None, None]
    found = keypoints.unflatten(1, (3, 2))
    assert torch.allclose(found[0, :2].sort(0).values, expected[0, :2].sort(0).values, atol=1e-3)
    assert torch.allclose(found[1, 0, 0], expected[1, 0, 0], atol=1e-3)
    assert found[1, 0, 1].isnan().all() and found[:, 2].isnan().all() and found[1, 1].isnan().all()
    assert confidence.tolist() == [pytest.approx([0.9] * 4 + [0] * 2), pytest.approx([0.9] + [0] * 5)]


def test_pieces_do_not_matter_and_no_frame_needs_a_proposal():
    whole, pieces = net(Says()), net(Says(), crops_at_once=1)
    assert torch.equal(whole(frames())[0].nan_to_num(), pieces(frames())[0].nan_to_num())
    keypoints, confidence = net(Says(POSES * NAN))(frames())
    assert keypoints.isnan().all() and (confidence == 0).all()


def test_the_proposer_can_look_at_smaller_frames():
    small = Says((POSES + 0.5) / 2 - 0.5, (60, 80))
    assert torch.allclose(net(small)(frames())[0], net(Says())(frames())[0], atol=1e-3, equal_nan=True)


def test_two_proposals_for_one_animal_give_one():
    twice = POSES[:1].clone()
    twice[0, 2] = twice[0, 0] + 0.5
    keypoints, _ = net(Says(twice))(frames(1))
    assert keypoints.unflatten(1, (3, 2)).isfinite().all(-1).all(-1).sum() == 2


def test_without_a_proposer_it_says_what_is_missing():
    with pytest.raises(ConfigError, match="give conditions=RUN"):
        net()(frames())
    other = Says()
    other.keypoint_names = ("a/nose", "b/nose")
    with pytest.raises(ConfigError, match="same labels"):
        net(other)


class Shifted(nn.Module):
    """Poses that move with the brightness of the frame; the third animal is never there."""

    keypoint_names, image_size, model_type = ANIMALS.keypoint_names, SIZE, "stub"

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("poses", POSES[0].flatten(0, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        poses = self.poses + images.float().mean((1, 2, 3))[:, None, None] / 20
        return poses, poses.isfinite().all(-1).float()


class Looks(Repeats):
    """Moves what it is told by what it sees in the upper left corner."""

    def forward(self, images: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        return conditions + images[:, :2, 3, 5].float()[:, None] / 100, conditions.isfinite().all(-1) * 0.9


@pytest.mark.skipif(not find_spec("onnxruntime") or not find_spec("onnxscript"), reason="needs onnxruntime, onnxscript")
def test_both_networks_are_exported_as_one(run_exported):
    model = net(Shifted(), Looks())
    images = torch.randint(0, 256, (4, 3, *SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.no_grad():
        expected = model(images)
    found = run_exported(model, images)
    assert expected[0].isfinite().sum() == 4 * 4 * 2
    for one, two in zip(expected, found, strict=True):
        assert torch.allclose(one, torch.from_numpy(two), atol=2e-2, equal_nan=True)


def test_given_conditions_are_those_of_the_frame_wherever_a_video_is_begun():
    poses = POSES[:1] + torch.arange(6.0)[:, None, None, None]
    given, said = GivenConditions(net(), poses), net(Says(poses))
    whole = said(frames(6))[0]
    first, _, state = given.walk(frames(2), given.begin(0))
    rest, _, state = given.walk(frames(3), state)
    last, _, _ = given.walk(frames(1), given.begin(5))
    assert state == 5
    assert torch.allclose(torch.cat([first, rest, last]), whole, equal_nan=True)


class Asked(nn.Module):
    """Knows where three animals are in every frame, and names them in another order every time it is asked."""

    keypoint_names, image_size, model_type = ANIMALS.keypoint_names, SIZE, "stub"

    def __init__(self, poses: Tensor) -> None:
        super().__init__()
        self.poses, self.asked = poses, list[int]()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        (frame,) = images[:, 0, 0, 0].tolist()  # frames have their number in the corner
        self.asked.append(frame)
        poses = self.poses[frame].roll(len(self.asked), 0).flatten(0, 1)[None]
        return poses, poses.isfinite().all(-1).float()


class Drifts(nn.Module):
    """Finds an animal within some pixels of where it is told to look, one pixel of the crop being one of the frame."""

    keypoint_names, image_size, model_type = ANIMALS.parts, (64, 64), "stub"

    def __init__(self, poses: Tensor) -> None:
        super().__init__()
        self.poses = poses

    def forward(self, images: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        return conditions, conditions.isfinite().all(-1).float()

    def look(self, images: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        (frame,) = images[:, 0, 0, 0].tolist()
        truth = self.poses[frame]
        gap = (conditions[0][:, None] - truth[None]).norm(dim=-1).mean(-1).nan_to_num(torch.inf)
        near, which = gap.min(1)
        found = torch.where((near < 10)[:, None, None], truth[which], NAN)[None]
        return found, found.isfinite().all(-1).float()


def moving(count: int = 20) -> Tensor:
    """Three animals that go right; the second one is away in frames 7 to 11."""
    starts = torch.tensor([[10.0, 20], [40, 60], [80, 100]])
    tails = starts[:, None] + torch.tensor([[0.0, 0], [12, 0]])
    poses = tails + 2.0 * torch.arange(count)[:, None, None, None] * torch.tensor([1.0, 0])
    poses[7:12, 1] = NAN
    return poses


def numbered(count: int) -> Tensor:
    images = frames(count)
    images[:, 0, 0, 0] = torch.arange(count)
    return images


def followed(poses: Tensor, **options: object) -> FollowingNet:
    model = net(Asked(poses), Drifts(poses))
    model.look = model.pose.look  # pyright: ignore
    return FollowingNet(model, FollowOptions(**{"every": 0} | options))  # pyright: ignore[reportArgumentType]


def test_animals_keep_their_places_and_one_that_comes_back_gets_its_own():
    poses = moving()
    model = followed(poses, pause=1)
    keypoints, confidence, state = model.walk(numbered(20), model.begin(0))
    found = keypoints.unflatten(1, (3, 2))
    assert torch.allclose(found, poses, equal_nan=True)  # from left to right, as they first appear
    assert torch.equal(confidence > 0, found.flatten(1, 2).isfinite().all(-1)) and state.frame == 20
    assert model.net.detector.asked == [0, 7, 8, 9, 10, 11, 12]  # pyright: ignore


def test_how_often_the_proposer_is_asked():
    poses = moving()
    rarely, always = followed(poses, pause=5), followed(poses, every=4, pause=5)
    found = rarely.walk(numbered(20), None)[0].unflatten(1, (3, 2))
    assert rarely.net.detector.asked == [0, 10, 15]  # pyright: ignore
    assert found[12:15, 1].isnan().all() and torch.equal(found[15:], poses[15:])
    always.walk(numbered(20), None)
    assert always.net.detector.asked == [0, 4, 8, 10, 12, 16]  # pyright: ignore


def test_pieces_of_a_video_are_the_whole():
    poses = moving()
    whole, pieces, state = followed(poses).walk(numbered(20), None), [], None
    model = followed(poses)
    for images in numbered(20).split([3, 1, 9, 7]):
        keypoints, _, state = model.walk(images, state)
        pieces.append(keypoints)
    assert torch.equal(torch.cat(pieces).nan_to_num(-1), whole[0].nan_to_num(-1))
    with pytest.raises(ConfigError, match="first frame"):
        model.begin(256)


def test_of_two_that_follow_one_animal_the_second_is_free_again():
    poses = moving(2)
    model = followed(poses)
    both, sure = poses[:1].clone(), torch.tensor([[[0.9, 0.9], [0.8, 0.8], [0.05, 0.05]]])
    both[0, 1] = both[0, 0] + 0.5
    keypoints, confidence = model._kept(both, sure, torch.zeros(3))
    assert keypoints[0].isfinite().all() and keypoints[1:].isnan().all() and confidence[1:].sum() == 0


def test_the_nearest_place_is_measured_from_the_middle_of_what_is_known():
    last = torch.tensor([[[0.0, 0], [10, 0]], [[NAN, NAN], [NAN, NAN]]])
    poses = torch.tensor([[[5.0, 3], [NAN, NAN]], [[5.0, 8], [5, 8]]])
    assert torch.allclose(apart(poses, last)[0], torch.tensor([3.0, 8.0])) and (apart(poses, last)[1] >= 1e6).all()


@pytest.mark.parametrize("option", [{"every": -1}, {"pause": 0}, {"new": 2.0}, {"min_confidence": 1.5}])
def test_options_are_checked(option: dict):
    with pytest.raises(ConfigError, match=f"tracker.{next(iter(option))}="):
        FollowOptions(**option)


def test_one_that_drifted_away_or_shrank_gives_its_place_back():
    poses = moving(12)
    model = followed(poses, every=4, pause=20)
    look = model.net.look
    away = poses.clone()
    away[2:, 0] = poses[2:, 0] + torch.tensor([0.0, 50])  # the first one is followed onto nothing from frame 2 on

    def drift(images: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        (frame,) = images[:, 0, 0, 0].tolist()
        if frame in (2, 3):
            return away[frame][None], away[frame].isfinite().all(-1).float()[None]
        return look(images, conditions)

    model.net.look = drift  # pyright: ignore
    keypoints = model.walk(numbered(12), None)[0].unflatten(1, (3, 2))
    assert torch.equal(keypoints[2:4], away[2:4]) and torch.allclose(keypoints[4:7], poses[4:7])
    small = poses[:1].mean(2, keepdim=True) + 0.3 * (poses[:1] - poses[:1].mean(2, keepdim=True))
    kept, _ = model._kept(small, torch.ones(1, 3, 2), torch.tensor([12.0, 5.0, 0.0]))
    assert kept[0].isnan().all() and torch.equal(kept[1:], small[0, 1:])
