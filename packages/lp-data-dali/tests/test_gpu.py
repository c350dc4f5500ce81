"""The GPU source: what of it can be checked without a GPU, and the contract where there is one."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_core import ConfigError, DataError, clip_sources
from lp_core.testing.clip_source import LENGTH, SIZE, ClipSourceContract
from lp_io import VideoReader, VideoWriter

pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed: pip install 'lp-data-dali[cuda130]'")

from lp_data_dali import gpu
from lp_data_dali.plans import Plans, finished, is_even
from nvidia.dali import Pipeline, fn


def make_plans(videos, **options):
    return Plans(videos, SIZE, clip_sources.make("dali", sequence_length=LENGTH, **options), 0)


def test_the_list_names_every_clip_once_in_the_schedule_s_order(videos, tmp_path):
    every = make_plans(videos)
    plans = [every[n] for n in range(len(every))]
    links = gpu.linked(videos, tmp_path)
    lines = [line.split(" ") for line in gpu.file_list(plans, links).splitlines()]
    assert [int(label) for _, label, _, _ in lines] == list(range(len(every)))
    for (name, _, start, end), plan in zip(lines, plans, strict=True):
        assert Path(name).samefile(videos[plan.video])
        assert range(int(start), int(end)) == range(plan.rows[0], plan.rows[plan.count - 1] + 1)
    assert {int(end) - int(start) for *_, start, end in lines} == {LENGTH, 3}


def test_blanks_of_a_video_s_name_are_not_in_the_list(videos, tmp_path):
    assert " " in videos[1].name and not any(" " in str(link) for link in gpu.linked(videos, tmp_path))


@pytest.mark.parametrize("augment", [True, False])
def test_dali_accepts_the_graph_s_operators_and_arguments(videos, tmp_path, augment):
    """Operators check their arguments when the graph is written down; only running it needs a GPU, here left out."""
    every = make_plans(videos, augment=augment)
    pipe = Pipeline(batch_size=1, num_threads=1, device_id=None)
    gpu.define(pipe, [every[n] for n in range(4)], tmp_path / "clips.txt", every)
    written = pipe.serialize()
    assert b"readers__Video" in written and b"Resize" in written and (b"WarpAffine" in written) is augment


def test_padding_is_repeated_whatever_dali_pads_with(videos):
    every = make_plans(videos, augment=False)
    short = next(p for p in map(every.__getitem__, itertools.count()) if p.count < LENGTH)
    frames = torch.randint(1, 255, (LENGTH, *SIZE, 3), dtype=torch.uint8)
    frames[short.count :] = 0
    clip = finished(short, frames, np.ones(LENGTH, dtype=bool))
    assert clip.valid.tolist() == [True] * 3 + [False] * 2
    assert torch.equal(clip.images[3:], clip.images[2:3].expand(2, -1, -1, -1))


def test_another_clip_than_the_one_due_is_one_sentence():
    gpu.check(Path("a.mp4"), (2, 40), {"place": torch.tensor([2]), "start": torch.tensor([40])})
    with pytest.raises(DataError, match=r"DALI gave clip 2 from frame 39 where clip 2 from frame 40 of a\.mp4 was due"):
        gpu.check(Path("a.mp4"), (2, 40), {"place": torch.tensor([2]), "start": torch.tensor([39])})


def test_frames_that_dali_would_miscount_are_found():
    times = np.arange(50) / 30
    assert is_even(times) and is_even(times + 2) and is_even(times[:1])
    assert is_even(np.arange(5000) * 1001 // 30 / 1000)  # 29.97 per second in a container that counts milliseconds
    assert not is_even(np.delete(times, 20))


def test_a_variable_frame_rate_is_one_sentence(videos, monkeypatch):
    monkeypatch.setattr(VideoReader, "times", np.delete(np.arange(24) / 30, 20))
    with pytest.raises(ConfigError, match=r"long\.mp4 has a variable frame rate.*clips\.device=cpu"):
        gpu.GpuClips(make_plans(videos), 1, 0)


def stand_in(*, device, file_list, sequence_length, **options):
    """`fn.readers.video` as its documentation says, decoding with lp_io: clips of the list, round and round."""
    assert device == "gpu" and all(
        options.pop(key) for key in ("file_list_frame_num", "enable_frame_num", "pad_sequences")
    )
    assert options == {"file_list_include_preceding_frame": False, "skip_vfr_check": True}

    def feed():
        for line in itertools.cycle(Path(file_list).read_text().splitlines()):
            video, label, start, end = line.split(" ")
            with VideoReader(video) as reader:
                frames = reader.clip(int(start), int(end) - int(start))
            padded = np.zeros((sequence_length, *frames.shape[1:]), dtype=np.uint8)
            padded[: len(frames)] = frames
            yield [padded], np.array([[label]], dtype=np.int32), np.array([[start]], dtype=np.int32)

    return fn.external_source(source=feed(), num_outputs=3, layout=["FHWC"])


class TestAllButTheDecoder(ClipSourceContract):
    """The GPU source with DALI's CPU operators, and the decoder replaced: whatever is left to go wrong is in NVDEC."""

    name = "dali"
    counts = (23, 3)

    @pytest.fixture(autouse=True)
    def _without_a_gpu(self, videos, monkeypatch):
        self.videos = videos
        monkeypatch.setattr(fn.readers, "video", stand_in)
        monkeypatch.setattr(gpu, "Pipeline", lambda *, device_id, **options: Pipeline(device_id=None, **options))

    def build(self, *, seed=0, **options):
        config = clip_sources.make("dali", **{"sequence_length": LENGTH, **options})
        return gpu.GpuClips(Plans(self.videos, SIZE, config, seed), 1, 0)

    def test_resized_frames_are_near_those_of_the_reader(self):
        for clip in self.take(6, augment=False):
            with VideoReader(self.videos[clip.video], SIZE) as reader:
                expected = reader.frames(clip.frames.tolist()).astype(int)
            assert np.abs(clip.images.permute(0, 2, 3, 1).numpy() - expected).mean() < 2  # a shift by ½ px: 4

    def test_augmented_clips_are_near_those_of_the_cpu(self):
        config = clip_sources.make("dali", sequence_length=LENGTH, device="cpu")
        expected = config.build(self.videos, image_size=SIZE, seed=0).clips(0)
        for clip, other in zip(self.take(6), expected, strict=False):
            assert torch.equal(clip.transform, other.transform) and torch.equal(clip.frames, other.frames)
            assert (clip.images.float() - other.images.float()).abs().mean() < 2

    def test_lists_join_without_a_seam(self, monkeypatch):
        whole = self.take(12)
        monkeypatch.setattr(gpu, "LISTED", 5)
        for one, two in zip(whole, self.take(12), strict=True):
            assert torch.equal(one.images, two.images) and torch.equal(one.frames, two.frames)

    def test_a_decoder_that_skips_is_noticed(self, monkeypatch):
        whole = gpu.file_list
        monkeypatch.setattr(gpu, "file_list", lambda plans, links: whole(plans[1:], links))
        with pytest.raises(DataError, match=r"DALI gave clip 0 from frame \d+ where clip 0 from frame \d+ of "):
            self.take(3)

    def test_dali_s_own_error_is_one_sentence(self, monkeypatch):
        monkeypatch.setattr(fn, "resize", lambda frames, **_: fn.crop(frames, crop=(4000, 4000)))
        with pytest.raises(DataError, match=r"^DALI cannot decode the unlabeled videos .*clips\.device=cpu\.$"):
            self.take(1)


class OnCpu:
    """A source whose clips are fetched, since the contract compares them with CPU tensors."""

    def __init__(self, source):
        self.source, self.clips_per_epoch = source, source.clips_per_epoch

    def clips(self, first, step=1):
        return (clip.to("cpu") for clip in self.source.clips(first, step))


@pytest.mark.gpu
class TestGpu(ClipSourceContract):
    name = "dali"
    options = {"device": "gpu"}  # noqa: RUF012
    counts = (23, 3)

    @pytest.fixture(autouse=True)
    def _videos(self, videos):
        self.videos = videos

    def build(self, *, seed=0, **options):
        return OnCpu(super().build(seed=seed, **options))

    def test_clips_are_on_the_gpu(self):
        clip = next(iter(self.build().source.clips(0)))
        assert all(getattr(clip, name).is_cuda for name in ("images", "valid", "transform", "original_size", "frames"))

    def test_frames_are_near_those_of_the_reader(self):
        for clip in self.take(6, augment=False):
            with VideoReader(self.videos[clip.video], SIZE) as reader:
                expected = reader.frames(clip.frames.tolist())
            difference = np.abs(clip.images.permute(0, 2, 3, 1).numpy().astype(int) - expected)
            assert difference.mean() < 4  # another frame differs by more than 20

    def test_augmented_clips_are_near_those_of_the_cpu(self):
        config = clip_sources.make("dali", sequence_length=LENGTH, device="cpu")
        expected = config.build(self.videos, image_size=SIZE, seed=0).clips(0)
        for clip, other in zip(self.take(6), expected, strict=False):
            assert torch.equal(clip.transform, other.transform) and torch.equal(clip.frames, other.frames)
            assert (clip.images.float() - other.images.float()).mean().abs() < 4

    def test_lists_join_without_a_seam(self, monkeypatch):
        whole = self.take(12)
        monkeypatch.setattr(gpu, "LISTED", 5)
        for one, two in zip(whole, self.take(12), strict=True):
            assert torch.equal(one.images, two.images) and torch.equal(one.frames, two.frames)

    def test_a_clip_after_a_keyframe_far_behind(self, tmp_path):
        """Frames are told apart by a grey level each: which frame came is read from the picture."""
        path = tmp_path / "levels.mp4"
        with VideoWriter(path, 30.0, (96, 128), threads=1) as writer:
            for level in range(40, 200):
                writer.write(np.full((96, 128, 3), level, dtype=np.uint8))
        config = clip_sources.make("dali", sequence_length=LENGTH, augment=False, device="gpu")
        source = config.build([path], image_size=SIZE, seed=0)
        for clip in itertools.islice(source.clips(0), source.clips_per_epoch):
            level = clip.images.float().mean((1, 2, 3)).cpu() - 40
            assert (level - clip.frames.cpu()).std() < 1
