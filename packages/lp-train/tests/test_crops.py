"""Frames of several animals as crops of one each."""

import dataclasses

import pytest
import torch
from lp_core import Animals
from lp_core.tensors import Augmented, Clip, LabeledBatch
from lp_data.augmentation.geometry import apply, invert
from lp_train import build_network, compose
from lp_train.crops import CropRule
from lp_train.unsupervised import original_keypoints

NAN = torch.nan
FRAME, CROP = (60, 80), (32, 48)
RULE = CropRule(Animals(individuals=("a", "b"), parts=("nose", "ear", "tail")), FRAME, CROP, limit=16)


def labeled() -> LabeledBatch:
    points = torch.tensor([
        [[30.0, 20], [50, 40], [40, 30], [NAN, NAN], [NAN, NAN], [NAN, NAN]],
        [[10.0, 10], [12, 30], [NAN, NAN], [70, 50], [60, 55], [65, 40]],
    ])  # fmt: skip
    images = torch.randint(0, 256, (2, 3, *FRAME), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    seen = points.isfinite().all(-1) * 2
    sizes = torch.tensor([[120, 160], [90, 240]])
    return LabeledBatch(
        images=images, keypoints=points, visibility=seen, index=torch.tensor([4, 7]), original_size=sizes
    )


def unmoved(batch: LabeledBatch) -> Augmented:
    return Augmented(
        images=batch.images.float(), keypoints=batch.keypoints, visibility=batch.visibility,
        transforms=torch.eye(2, 3).expand(len(batch), -1, -1),
    )  # fmt: skip


ALONE = torch.tensor(
    [[[30.0, 20], [50, 40], [40, 30]], [[10, 10], [12, 30], [NAN, NAN]], [[70, 50], [60, 55], [65, 40]]]
)


@pytest.mark.parametrize("way", ["validation", "training"])
def test_a_crop_for_each_labeled_animal_and_back_to_original_pixels(way):
    batch = labeled()
    if way == "validation":
        crops, frames = RULE.validation(batch)
    else:
        crops, frames = RULE.training(batch, unmoved(batch), torch.Generator().manual_seed(1))
    assert frames.images.shape == (3, 3, *CROP) and crops.index.tolist() == [4, 7, 7]
    back = original_keypoints(apply(invert(frames.transforms), frames.keypoints), crops.original_size, CROP)
    expected = original_keypoints(ALONE, crops.original_size, FRAME)
    gone = frames.keypoints.isnan().any(-1)  # a jittered window may leave a keypoint out
    assert torch.equal(frames.visibility > 0, ~gone)
    assert (way == "training" or torch.equal(gone, ALONE.isnan().any(-1))) and not gone[[0, 2]].all()
    assert torch.allclose(back[~gone], expected[~gone], atol=1e-3)


def test_crops_show_what_is_at_their_keypoints():
    batch = labeled()
    frames = torch.zeros(2, 3, *FRAME)
    rows = (0, 0, 0, 1, 1, 1, 1, 1)
    points = [p for frame in batch.keypoints for p in frame if p.isfinite().all()]
    for row, (x, y) in zip(rows, points, strict=True):
        frames[row, :, int(y), int(x)] = 255.0
    spots = frames.byte()
    crops, cropped = RULE.validation(LabeledBatch(
        images=spots, keypoints=batch.keypoints, visibility=batch.visibility, index=batch.index,
        original_size=batch.original_size,
    ))  # fmt: skip
    for picture, keypoints in zip(crops.images, cropped.keypoints, strict=True):
        for x, y in keypoints[keypoints.isfinite().all(-1)].round().long().tolist():
            assert picture[0, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max() > 0


def test_no_labeled_animal_is_one_crop_without_labels():
    batch = labeled()
    nothing = LabeledBatch(
        images=batch.images, keypoints=batch.keypoints * NAN, visibility=batch.visibility * 0,
        index=batch.index, original_size=batch.original_size,
    )  # fmt: skip
    crops, frames = RULE.validation(nothing)
    assert len(crops) == 1 and frames.keypoints.isnan().all() and frames.visibility.sum() == 0


def test_a_step_has_no_more_crops_than_allowed():
    batch, rule = labeled(), CropRule(RULE.animals, FRAME, CROP, limit=2)
    drawn = {
        tuple(rule.training(batch, unmoved(batch), torch.Generator().manual_seed(s))[0].index.tolist())
        for s in range(9)
    }
    assert drawn == {(4, 7), (7, 7)}


def test_clips_follow_each_animal_and_go_back_to_original_pixels():
    count = 5
    shift = torch.arange(count)[:, None] * torch.tensor([2.0, 0.0])
    one, two = torch.tensor([10.0, 10, 30, 25]), torch.tensor([40.0, 30, 60, 50])
    boxes = torch.stack([one + torch.cat([shift, shift], 1), two - torch.cat([shift, shift], 1)], dim=1)
    boxes[1::2] = boxes[1::2].flip(1)  # best first, in no lasting order
    boxes[3, 0] = NAN  # the second is not found once
    clip = Clip(
        images=torch.zeros(count, 3, *FRAME, dtype=torch.uint8), valid=torch.ones(count, dtype=torch.bool),
        transform=torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, -2.0]]), original_size=torch.tensor([120, 160]), video=0,
        frames=torch.arange(count),
    )  # fmt: skip
    first, second = sorted(RULE.clips(clip, boxes), key=lambda c: (~c.valid).sum())
    assert first.valid.all() and second.valid.tolist() == [True, True, True, False, True]
    middle = torch.tensor([[(CROP[1] - 1) / 2, (CROP[0] - 1) / 2]]).expand(count, 1, 2)
    for own, centre, sign in ((first, torch.tensor([20.0, 17.5]), 1), (second, torch.tensor([50.0, 40.0]), -1)):
        plain = centre + sign * shift - torch.tensor([3.0, -2.0])  # the clip's augmentation undone
        expected = original_keypoints(plain[:, None], clip.original_size.expand(count, 2), FRAME)
        found = original_keypoints(apply(invert(own.transform), middle), clip.original_size.expand(count, 2), CROP)
        assert torch.allclose(found[own.valid], expected[own.valid], atol=1e-3)


class Looking(torch.nn.Module):
    """In place of the network of the crops: keeps what it is shown."""

    context, keypoint_names, image_size, model_type = 0, ("nose", "ear", "tail"), CROP, "looking"

    def forward(self, images):
        self.seen = images
        return torch.zeros(len(images), 3, 2), torch.zeros(len(images), 3)


@pytest.mark.parametrize("context", [True, False])
def test_training_and_prediction_show_the_same(context):
    """Crops of the labeled animals, cut for training and by the network that predicts."""
    words = [f"data.image_size={list(FRAME)}", "data.crop_size=[64,64]", "backbone.pretrained=false"]
    net = build_network(compose([*words, f"data.crop_context={context}"]), RULE.animals.keypoint_names, RULE.animals)
    net.pose, net.crop_size = Looking(), CROP
    batch, rule = labeled(), dataclasses.replace(RULE, context=net.options.context)
    cropped, _ = rule.validation(batch)
    net.poses(batch.images, rule.boxes(batch.keypoints))
    assert torch.equal(net.pose.seen, cropped.images) and net.options.context == context
    black = (cropped.images == 0).all(1).float().mean()
    assert black > 0.2 if not context else black < 0.1
