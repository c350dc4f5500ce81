"""Only the part of a frame round the last pose is looked at: the same keypoints, and fewer pixels."""

import pytest
import torch
from lp_core import ConfigError
from lp_detectors.dynamic import GRID, DynamicNet, DynamicOptions, window_round
from torch import nn

SIZE = (128, 192)
STRIDE = 4


class Spots(nn.Module):
    """Finds the brightest cell of the red and of the blue channel; sees 11 pixels, a convolution and a mean of cells."""

    keypoint_names, image_size, model_type, animals = ("red", "blue"), SIZE, "spots", None

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.blur = nn.Conv2d(2, 2, 9, padding=4, groups=2, bias=False)
        nn.init.uniform_(self.blur.weight, 0.5 / 19, 1 / 19)  # about 1 for a spot, 0.05 for what lies between
        self.seen = []

    def get_representations(self, images):
        self.seen.append(tuple(images.shape[-2:]))
        return nn.functional.avg_pool2d(self.blur(images[:, ::2].float() / 255), STRIDE)

    def outputs(self, features):
        return {"heatmaps_pred": features}

    def forward(self, images):
        maps = self.outputs(self.get_representations(images))["heatmaps_pred"]
        best, width = maps.flatten(2).max(-1), maps.shape[-1]
        cells = torch.stack([best.indices % width, best.indices // width], dim=-1)
        return (cells + 0.5) * STRIDE - 0.5, best.values.clamp(0, 1)


def video(places):
    """Frames with a red spot at each place and a blue one 12 pixels to the right; None = an empty frame."""
    frames = torch.randint(0, 8, (len(places), 3, *SIZE), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    for frame, place in zip(frames, places, strict=True):
        if place:
            x, y = place
            frame[0, y - 2 : y + 3, x - 2 : x + 3] = 255
            frame[2, y - 2 : y + 3, x + 10 : x + 15] = 255
    return frames


WALK = [(20 + 5 * t, 30 + 2 * t) for t in range(30)]


@pytest.mark.parametrize("pieces", [30, 7, 1])
def test_keypoints_are_those_of_whole_frames(pieces):
    net, frames = Spots(), video(WALK)
    expected = net(frames)
    net.seen.clear()
    dynamic, state, found = DynamicNet(net, DynamicOptions(margin=24, every=0)), None, []
    for part in frames.split(pieces):
        *poses, state = dynamic.walk(part, state)
        found.append(poses)
    for got, want in zip((torch.cat(values) for values in zip(*found, strict=True)), expected, strict=True):
        assert torch.allclose(got, want, atol=1e-6)
    parts = net.seen[-29:]
    assert net.seen[-30] == SIZE and all(height * width <= SIZE[0] * SIZE[1] / 2 for height, width in parts)
    assert sum(h * w for h, w in parts) / 29 < SIZE[0] * SIZE[1] / 3


def test_a_lost_animal_is_looked_for_in_the_same_frame():
    """It jumps, is away for two frames, and comes back elsewhere."""
    places = [(40, 40), (44, 40), (150, 90), None, None, (30, 100), (34, 100)]
    net, frames = Spots(), video(places)
    expected = net(frames)
    dynamic = DynamicNet(net, DynamicOptions(margin=16, every=0))
    net.seen.clear()
    keypoints, confidence = dynamic(frames)
    there = [n for n, place in enumerate(places) if place]
    assert torch.allclose(keypoints[there], expected[0][there]) and torch.allclose(confidence, expected[1], atol=1e-6)
    whole = [n == SIZE for n in net.seen]
    assert whole == [True, False, False, True, False, True, True, True, False]  # frames 2 and 3 are looked at twice


def test_the_whole_frame_is_seen_every_so_often():
    """A second, brighter animal enters where nobody looks; it is seen when the whole frame is."""
    net, frames = Spots(), video([(40, 40)] * 9)
    frames[3:, 0, 96:110, 160:174] = 255
    red = [net(frame[None])[0][0, 0] for frame in frames]
    found = DynamicNet(net, DynamicOptions(margin=16, every=6))(frames)[0][:, 0]
    moved = [bool((a - b).norm() > 50) for a, b in zip(found, found[:1].expand(9, 2), strict=True)]
    assert (red[4] - red[0]).norm() > 50 and moved == [False] * 6 + [True] * 3


@pytest.mark.parametrize(
    ("points", "margin", "window"),
    [
        ([[40.0, 50.0], [70.0, 60.0]], 8, (32, 32, 96, 96)),
        ([[40.0, 50.0]], 0, (32, 32, 64, 64)),
        ([[31.0, 63.0]], 0, (0, 32, 32, 64)),
        ([[31.5, 63.5]], 0, (0, 32, 64, 96)),
        ([[0.0, 127.0]], 5, (0, 96, 32, 128)),
        ([[250.0, -40.0]], 0, (160, 0, 192, 32)),
        ([[1.0, 1.0], [190.0, 126.0]], 4, None),
        ([], 4, None),
    ],
)
def test_windows_by_hand(points, margin, window):
    assert window_round(points, margin, SIZE) == window
    assert window is None or all(value % GRID == 0 for value in window)


def test_frames_that_are_no_multiple_of_the_grid():
    assert window_round([[95.0, 60.0]], 8, (70, 100)) == (64, 32, 100, 70)


def test_what_cannot_see_parts_is_told_so():
    class Fixed(Spots):
        def outputs(self, features):
            return {"keypoints_pred": features}

    class Global(Spots):
        def get_representations(self, images):
            return nn.functional.adaptive_avg_pool2d(images.float(), (8, 8))

    class Picky(Spots):
        def get_representations(self, images):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    for kind in (Fixed, Global, Picky):
        with pytest.raises(ConfigError, match="takes frames of any size and gives maps of them"):
            DynamicNet(kind())
    several = Spots()
    several.animals = object()
    with pytest.raises(ConfigError, match="of one animal"):
        DynamicNet(several)
    with pytest.raises(ConfigError, match="from its first frame on"):
        DynamicNet(Spots()).begin(3)
    for words in ({"threshold": 2.0}, {"margin": -1}, {"every": -1}):
        with pytest.raises(ConfigError, match=r"must lie in \[0, 1\]"):
            DynamicOptions(**words)
