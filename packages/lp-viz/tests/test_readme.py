"""The example on this package's page on an index runs, with nothing but this package."""

from pathlib import Path

import numpy as np
from lp_core.testing.pages import run_examples
from lp_io import VideoReader


def test_the_readme_s_video_shows_the_keypoints_and_where_they_were(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_examples(Path(__file__).parents[1] / "README.md")
    with VideoReader("session0_labeled.mp4") as video:
        frame, count = video.clip(29, 1)[0].astype(int), video.frame_count
    factor = frame.shape[0] // 96
    drawn = np.abs(frame - 90).max(-1) > 40
    for x, y in ((78, 49), (78, 73), (70, 45)):  # nose and tail of the last frame, and the nose four frames before
        assert drawn[factor * y : factor * (y + 1), factor * x : factor * (x + 1)].any()
    assert count == 30 and drawn.mean() < 0.2
