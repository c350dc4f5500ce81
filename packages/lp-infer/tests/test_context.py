"""Networks that look at several frames: in pieces as in one, each frame through the backbone once."""

import pytest
import torch
from lp_infer import PredictOptions, Runner
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


def pieces(size):
    return [(start, FRAMES[start : start + size]) for start in range(0, len(FRAMES), size)]


@pytest.mark.parametrize("context", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 2, 7, 16, 23, 64])
def test_in_pieces_as_in_one(context, size):
    torch.manual_seed(0)
    model = Averager(context).eval()
    runner = Runner(model, PredictOptions(batch_size=size, device="cpu", optimize=False))
    results = list(runner.run(pieces(runner.batch_size)))
    with torch.no_grad():
        expected = model(FRAMES)[0]
    assert [tag for tag, _ in results] == list(range(0, 23, runner.batch_size)) and runner.batch_size >= context
    got = torch.cat([torch.from_numpy(points) for _, (points, _) in results])
    torch.testing.assert_close(got.float(), expected, rtol=1e-5, atol=1e-3)
    assert runner._network.seen == len(FRAMES)


def test_separate_images_stand_still():
    model = Averager(2).eval()
    runner = Runner(model, PredictOptions(batch_size=8, device="cpu", optimize=False))
    points = torch.cat([torch.from_numpy(p) for _, (p, _) in runner.run(pieces(8), video=False)])
    with torch.no_grad():
        expected = model.backbone(FRAMES.float())[..., 0, 0] * 15  # 1 + 2 + 3 + 4 + 5
    torch.testing.assert_close(points[:, 0].float(), expected, rtol=1e-5, atol=1e-3)
