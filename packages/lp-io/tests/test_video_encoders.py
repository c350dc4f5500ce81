"""Encoders: which are there, and what they cost in quality."""

import av
import numpy as np
import pytest
from lp_core import ConfigError
from lp_io import VideoReader, VideoWriter, pick_encoder
from lp_io.video_encoders import EXACT, HARDWARE, QUICK, Encoder, works

SIZE = (120, 161)


def scene(count: int) -> np.ndarray:
    """A grey texture that moves, as an animal's fur does."""
    rng = np.random.default_rng(0)
    wide = rng.integers(40, 200, (30, 80, 1), dtype=np.uint8).repeat(4, 0).repeat(4, 1).repeat(3, 2)
    return np.stack([wide[:, 2 * t : 2 * t + SIZE[1]] for t in range(count)])


@pytest.mark.parametrize("encoder", [EXACT, QUICK])
def test_frames_come_back(tmp_path, encoder):
    frames = scene(20)
    with VideoWriter(tmp_path / "v.mp4", 25.0, SIZE, threads=1, encoder=encoder) as writer:
        for frame in frames:
            writer.write(frame)
    for quick in (False, True):
        with VideoReader(tmp_path / "v.mp4", quick=quick) as reader:
            found = np.concatenate(list(reader.batches(7)))
        error = np.abs(found[:, :, : SIZE[1]].astype(float) - frames)
        assert found.shape[0] == 20 and error.mean() < 9 and abs(found.mean() - frames.mean()) < 2
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_only_encoders_that_work_are_chosen():
    assert works(QUICK, SIZE, 25.0) and not works(Encoder("there_is_none"), SIZE, 25.0)
    chosen = pick_encoder("auto", SIZE, 25.0)
    assert chosen == QUICK or (chosen.name in HARDWARE and works(chosen, SIZE, 25.0))
    for name in HARDWARE:
        if not works(Encoder(name), SIZE, 25.0):
            with pytest.raises(ConfigError, match=f"encoder={name} does not work on this machine"):
                pick_encoder(name, SIZE, 25.0)
    with pytest.raises(ConfigError, match="must be one of auto, exact, quick"):
        pick_encoder("fast", SIZE, 25.0)
