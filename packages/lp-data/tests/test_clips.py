"""Clips of unlabeled video: the contract, and the decoded frames themselves."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_core import ConfigError, DataError, clip_sources
from lp_core.testing.clip_source import ClipSourceContract
from lp_io import ClipSchedule, VideoReader, VideoWriter, clip_change, remarks_on_lengths


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two videos of different sizes, 23 and 3 frames, with smooth moving content."""
    folder = tmp_path_factory.mktemp("videos")
    made = []
    for name, count, (height, width) in (("long", 23, (96, 128)), ("short", 3, (80, 80))):
        path = folder / f"{name}.mp4"
        y, x = np.indices((height, width))
        with VideoWriter(path, 30.0, (height, width), threads=1) as writer:
            for t in range(count):
                grey = 128 + 60 * np.sin((x + 3 * t) / 9) + 50 * np.cos((y - 2 * t) / 7)
                writer.write(np.repeat(grey[..., None], 3, axis=-1).clip(0, 255).astype(np.uint8))
        made.append(path)
    return tuple(made)


class TestVideo(ClipSourceContract):
    name = "video"
    counts = (23, 3)

    @pytest.fixture(autouse=True)
    def _videos(self, videos):
        self.videos = videos

    def test_frames_are_those_of_the_reader(self):
        for clip in self.take(6, augment=False, cache_gb=0.0):
            with VideoReader(self.videos[clip.video], (48, 64)) as reader:
                expected = reader.frames(clip.frames.tolist())
            assert np.array_equal(clip.images.permute(0, 2, 3, 1).numpy(), expected)

    def test_a_cache_changes_nothing(self):
        once, again = (self.take(14, cache_gb=gb) for gb in (0.0, 1.0))
        assert all(torch.equal(a.images, b.images) for a, b in zip(once, again, strict=True))


def test_every_epoch_has_an_order_of_its_own():
    schedule = ClipSchedule([100, 7], 5, 0, seed=3)
    epochs = [
        [
            (v, int(f[0]))
            for v, f, _ in itertools.islice(
                map(schedule.__getitem__, itertools.count(e * len(schedule))), len(schedule)
            )
        ]
        for e in range(3)
    ]
    assert (
        len(schedule) == 22
        and all(sorted(e) == sorted(epochs[0]) for e in epochs)
        and epochs[0] != epochs[1] != epochs[2]
    )
    assert schedule[5][0] == ClipSchedule([100, 7], 5, 0, seed=3)[5][0]


def test_steps_between_clips():
    schedule = ClipSchedule([11], 4, 2, seed=0)
    starts = sorted(int(schedule[n][1][0]) for n in range(len(schedule)))
    assert starts == [0, 2, 4, 6, 7]  # the last clip ends with the last frame


def test_impossible_settings_are_one_sentence():
    with pytest.raises(ConfigError, match=r"clips\.sequence_length=0"):
        clip_sources["video"](sequence_length=0)


def test_the_change_stays_in_the_reference_s_ranges():
    for number in range(200):
        how = clip_change(1, number, (40, 60), augment=True)
        scale = np.linalg.norm(how.transform[:, :2], axis=0)
        angle = np.rad2deg(np.arctan2(how.transform[1, 0], how.transform[0, 0]))
        assert (scale > 0.79).all() and (scale < 1.21).all() and abs(angle) <= 10
        centre = np.array([29.5, 19.5])
        np.testing.assert_allclose(how.transform[:, :2] @ centre + how.transform[:, 2], centre)
        assert 0.75 <= how.brightness <= 1.25 and 0.75 <= how.contrast <= 1.25 and 0 <= how.noise <= 10


def test_videos_shorter_than_a_clip_are_named(videos):
    def remarks(length):
        return clip_sources.make("video", sequence_length=length).build(videos, image_size=(48, 64), seed=0).remarks

    assert remarks(3) == ()
    (sentence,) = remarks(4)
    assert "short.mp4 (3 frames) is shorter than clips.sequence_length=4" in sentence and "long.mp4" not in sentence
    (sentence,) = remarks(30)
    assert "long.mp4 (23 frames) and 1 more are shorter than clips.sequence_length=30" in sentence


def test_videos_of_one_frame_each_are_refused_for_clips_of_more():
    videos = [Path("a.mp4"), Path("b.mp4")]
    with pytest.raises(
        DataError, match=r"a\.mp4 \(1 frame\) is too short for clips\.sequence_length=2, and no"
    ) as error:
        remarks_on_lengths(videos, [1, 1], 2)
    assert "\n" not in str(error.value)
    assert remarks_on_lengths(videos, [1, 1], 1) == () and len(remarks_on_lengths(videos, [2, 1], 2)) == 1
