"""The CPU source: the contract, exact frames, DALI's warp against torch's, noise of the right law."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_core import DataError, clip_sources
from lp_core.testing.clip_source import LENGTH, SIZE, ClipSourceContract
from lp_io import ClipChange, VideoReader, clip_change, remarks_on_lengths
from torch.nn import functional as F

pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed: pip install 'lp-data-dali[cuda130]'")

from lp_data_dali import cpu, graph, plans


class TestDali(ClipSourceContract):
    name = "dali"
    options = {"device": "cpu"}  # noqa: RUF012
    counts = (23, 3)

    @pytest.fixture(autouse=True)
    def _videos(self, videos):
        self.videos = videos

    def test_frames_are_those_of_the_reader(self):
        for clip in self.take(6, augment=False):
            with VideoReader(self.videos[clip.video], SIZE) as reader:
                expected = reader.frames(clip.frames.tolist())
                assert clip.original_size.tolist() == list(reader.original_size)
            assert np.array_equal(clip.images.permute(0, 2, 3, 1).numpy(), expected)

    def test_transform_and_noise_are_those_of_the_schedule(self):
        for number, clip in enumerate(self.take(6)):
            how = clip_change(0, number, SIZE, augment=True)
            assert np.array_equal(clip.transform.numpy(), how.transform.astype(np.float32))

    def test_threads_and_a_second_iterator_change_nothing(self):
        source = self.build(threads=1)
        one, two = source.clips(0), source.clips(0)
        for clip, other, third in itertools.islice(zip(one, two, self.build(threads=3).clips(0), strict=False), 5):
            assert torch.equal(clip.images, other.images) and torch.equal(clip.images, third.images)

    def test_an_iterator_left_early_leaves_no_threads_and_files(self):
        def held():
            return [len(list(Path("/proc/self", kind).iterdir())) for kind in ("task", "fd")]

        source = self.build()
        next(source.clips(0))
        before = held()
        for first in range(5):
            next(source.clips(first))
        assert held() == before

    def test_videos_shorter_than_a_clip_are_named(self):
        """In the words of `clips=video`."""
        (sentence,) = self.build(sequence_length=9).remarks
        assert "a short one.mp4 (3 frames) is shorter than clips.sequence_length=9" in sentence
        assert (
            remarks_on_lengths(self.videos, (23, 3), 9) == (sentence,) and self.build(sequence_length=3).remarks == ()
        )

    def test_a_broken_frame_is_marked(self, monkeypatch):
        monkeypatch.setattr(VideoReader, "broken", frozenset({2}))
        source = self.build()
        for clip in itertools.islice(source.clips(0), source.clips_per_epoch):
            assert not clip.valid[clip.frames == 2].any() and clip.valid[clip.frames < 2].all()

    def test_an_error_of_the_reader_comes_out_as_itself(self, monkeypatch):
        def fail(self, start, length):
            raise DataError("gone.mp4 has left.")

        monkeypatch.setattr(VideoReader, "clip", fail)
        with pytest.raises(DataError, match=r"gone\.mp4 has left"):
            self.take(1)


def picture(height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: smooth waves and some texture."""
    y, x = np.indices((height, width))
    waves = np.stack([128 + 90 * np.sin((x + 2 * y) / (6 + c)) * np.cos((y - x) / (9 - c)) for c in range(3)], -1)
    return (waves + np.random.default_rng(0).normal(0, 8, waves.shape)).clip(0, 255).astype(np.uint8)


def through_dali(image: np.ndarray, how: ClipChange) -> torch.Tensor:
    """(1, height, width, 3) float: what the graph makes of one frame."""
    pipe = cpu.pipeline(iter([([image[None]], *graph.parameters(how))]), augment=True, threads=1)
    (batch,) = graph.outputs(pipe, ["frames"])
    return batch["frames"]


def through_torch(image: np.ndarray, how: ClipChange) -> torch.Tensor:
    """(height, width, 3) float: every output pixel looks up its place in the input; pixel centres are whole numbers."""
    height, width = image.shape[:2]
    back = np.linalg.inv(np.concatenate([how.transform, [[0, 0, 1]]]))
    y, x = np.indices((height, width))
    source = back[:2] @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    grid = (2 * source.T.reshape(1, height, width, 2) + 1) / [width, height] - 1
    chw = torch.from_numpy(image).double().permute(2, 0, 1)[None]
    moved = F.grid_sample(chw, torch.from_numpy(grid), mode="bilinear", padding_mode="zeros", align_corners=False)
    out = (255 * ((moved / 255 - 0.5) * how.contrast + 0.5)) * how.brightness
    return out[0].permute(1, 2, 0).float()


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("size", [(96, 128), (65, 48)])
def test_the_graph_samples_like_torch_up_to_the_border(number, size):
    image, how = picture(*size), clip_change(3, number, size, augment=True)
    difference = (through_dali(image, how)[0] - through_torch(image, how)).abs()
    assert difference.max() < 0.5  # grey levels; everywhere, also where black begins


def test_a_tenth_of_a_pixel_of_error_would_be_seen():
    """The expectation has teeth: a tenth of a pixel is off by several grey levels."""
    image, how = picture(96, 128), clip_change(3, 1, (96, 128), augment=True)
    shifted = ClipChange(how.transform + np.array([[0, 0, 0.1], [0, 0, 0]]), how.brightness, how.contrast)
    assert (through_dali(image, how)[0] - through_torch(image, shifted)).abs().max() > 2


def test_a_shift_by_whole_pixels_is_exact():
    image = picture(40, 56)
    moved = through_dali(image, ClipChange(np.array([[1.0, 0, 3], [0, 1, 5]])))[0]
    assert np.array_equal(moved[5:, 3:].numpy(), image[:-5, :-3]) and not moved[:5].any() and not moved[:, :3].any()


def test_noise_grows_with_the_root_of_the_grey_level_and_repeats():
    images = torch.tensor([0.0, 64, 128, 192])[:, None, None, None].expand(-1, 3, 128, 128)
    how = ClipChange(np.eye(2, 3), noise=9.0, noise_seed=5)
    noisy = plans.noisy(images, how)
    expected = (9.0**2 * torch.tensor([0, 64, 128, 192]) / 255 + 1 / 12).sqrt()  # 1/12: rounding
    expected[0] = 0
    torch.testing.assert_close(noisy.double().std((1, 2, 3)).float(), expected, rtol=0.02, atol=0.0)
    assert torch.equal(noisy, plans.noisy(images, how))
    assert not torch.equal(noisy, plans.noisy(images, ClipChange(np.eye(2, 3), noise=9.0, noise_seed=6)))


def test_resuming_inside_an_epoch_repeats_the_rest(videos):
    def take(first, count):
        source = clip_sources.make("dali", device="cpu", sequence_length=LENGTH).build(videos, image_size=SIZE, seed=4)
        return list(itertools.islice(source.clips(first), count))

    for a, b in zip(take(0, 9)[5:], take(5, 4), strict=True):
        assert torch.equal(a.images, b.images) and a.video == b.video
