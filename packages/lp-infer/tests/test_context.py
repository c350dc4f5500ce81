"""Networks that look at several frames: in pieces as in one, each frame through the backbone once."""

import numpy as np
import pytest
import torch
from lp_infer import PredictOptions, Runner
from lp_infer.video import calls
from lp_io import VideoReader
from torch import nn

FRAMES = torch.randint(0, 256, (23, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Averager(nn.Module):
    """Its keypoint is a weighted mean of what its backbone says of the frames of the window."""

    keypoint_names = ("mean",)
    image_size = (16, 16)
    model_type = "heatmap_mhcrnn"

    def __init__(self, context: int) -> None:
        super().__init__()
        self.context, self.seen = context, 0
        self.backbone = nn.Conv2d(3, 2, 16)

    def get_representations(self, images):
        self.seen += len(images)
        return self.backbone(images.float())

    def decode(self, features, windows=None):
        if windows is None:
            offsets = torch.arange(-self.context, self.context + 1)
            windows = (torch.arange(len(features))[:, None] + offsets).clamp(0, len(features) - 1)
        weights = torch.arange(1.0, windows.shape[1] + 1)
        points = (features[windows][..., 0, 0] * weights[:, None]).sum(1, keepdim=True)
        return points, torch.ones(points.shape[:2])

    def forward(self, images):
        return self.decode(self.get_representations(images))


class Frames(VideoReader):
    """A video out of nothing."""

    frame_count, broken = len(FRAMES), frozenset[int]()

    def __init__(self):
        pass

    def clip(self, start, length):
        assert start >= 0 and start + length <= len(FRAMES)
        return np.ascontiguousarray(FRAMES[start : start + length].permute(0, 2, 3, 1).numpy())


def keypoints(runner, span):
    """(frame number, keypoints) of all that comes out for `span`."""
    for rows, (points, _) in runner.run(calls(runner, Frames(), span)):  # pyright: ignore
        yield from enumerate(points, rows.first)


def made(context, size):
    torch.manual_seed(0)
    model = Averager(context).eval()
    options = {"optimize": False}
    return model, Runner.of(model, PredictOptions(batch_size=size, device="cpu", runtime_options=options))


@pytest.mark.parametrize("context", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 2, 7, 16, 23, 64])
def test_in_pieces_as_in_one(context, size):
    model, runner = made(context, size)
    got = {number: point for number, point in keypoints(runner, range(len(FRAMES))) if 0 <= number < len(FRAMES)}
    with torch.no_grad():
        expected = model(FRAMES)[0]
    assert list(got) == list(range(len(FRAMES)))
    torch.testing.assert_close(torch.from_numpy(np.stack(list(got.values()))).float(), expected, rtol=1e-5, atol=1e-3)
    assert runner.runtime._network.seen == len(FRAMES) + 3 * context  # each frame once, the first and last again


@pytest.mark.parametrize("context", [1, 2, 5])
def test_begun_in_the_middle_is_the_same_to_the_bit(context):
    _, runner = made(context, 10)
    whole = dict(keypoints(runner, range(len(FRAMES))))
    for span in (range(0, 10), range(10, 20), range(10, 23), range(20, 23)):
        part = dict(keypoints(runner, span))
        for number in span:
            assert np.array_equal(part[number], whole[number])


def test_separate_images_stand_still():
    model, runner = made(2, 8)
    points, _ = runner.stills(Frames().clip(0, len(FRAMES)))
    with torch.no_grad():
        expected = model.backbone(FRAMES.float())[..., 0, 0] * 15  # 1 + 2 + 3 + 4 + 5
    torch.testing.assert_close(torch.from_numpy(points)[:, 0].float(), expected, rtol=1e-5, atol=1e-3)
