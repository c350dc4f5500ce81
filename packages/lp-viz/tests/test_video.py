"""A rendered video against its source."""

from fractions import Fraction
from pathlib import Path

import av
import lp_viz.artist
import numpy as np
import pytest
from lp_core import ConfigError, DataError, PoseTable
from lp_io import VideoReader, VideoWriter, write_predictions
from lp_viz import RenderOptions, render_video

SIZE, COUNT, FPS = (90, 130), 23, 12.5


def facts(path: Path) -> tuple[int, Fraction | None]:
    """Frames and rate as FFmpeg sees them."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0)), container.streams.video[0].average_rate


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "grey.mp4"
    with VideoWriter(path, FPS, SIZE) as writer:
        for number in range(COUNT):
            writer.write(np.full((*SIZE, 3), 60 + number, np.uint8))
    return path


@pytest.fixture
def table() -> PoseTable:
    t = np.arange(COUNT)
    keypoints = np.stack(
        [np.stack([20 + 4 * t, np.full(COUNT, 30.4)], -1), np.stack([110 - 3 * t, 60 + 0.5 * t], -1)], 1
    )
    return PoseTable(
        keypoint_names=("a", "b"), index=tuple(range(COUNT)), keypoints=keypoints, confidence=np.ones((COUNT, 2))
    )


@pytest.mark.parametrize("min_side", [1, 200])
def test_same_frames_same_rate_and_dots_where_they_belong(video, table, tmp_path, min_side):
    write_predictions(tmp_path / "preds.csv", table)
    options = RenderOptions(min_side=min_side, radius=5.0, batch_size=7)
    out = render_video(video, tmp_path / "preds.csv", tmp_path / "new" / "out.mp4", options)
    assert facts(out) == facts(video) == (COUNT, Fraction(25, 2))
    with VideoReader(out) as reader:
        frames = np.concatenate(list(reader.batches(50))).astype(float)
    factor = 3 if min_side == 200 else 1
    assert frames.shape[1:3] == (SIZE[0] * factor, SIZE[1] * factor)
    rows, columns = np.mgrid[: frames.shape[1], : frames.shape[2]]
    for number, frame in enumerate(frames):
        changed = np.abs(frame - np.median(frame, (0, 1))).sum(-1)
        for point in (table.keypoints[number] + 0.5) * factor - 0.5:
            near = np.where((columns - point[0]) ** 2 + (rows - point[1]) ** 2 < 10**2, changed, 0)
            if np.abs(np.diff(table.keypoints[number], axis=0)).max() > 25 and 12 < point[0] < frames.shape[2] - 12:
                middle = np.array([(near * columns).sum(), (near * rows).sum()]) / near.sum()
                assert np.abs(middle - point).max() < 0.75  # video compression blurs colour by a pixel


def test_unsure_keypoints_leave_no_ink(video, table, tmp_path):
    faint = PoseTable(
        keypoint_names=table.keypoint_names,
        index=table.index,
        keypoints=table.keypoints,
        confidence=np.full((COUNT, 2), 0.01),
    )
    out = render_video(video, faint, tmp_path / "out.mp4", RenderOptions(trail=5, min_side=1))
    with VideoReader(out) as reader:
        assert all(np.ptp(frame) <= 4 for batch in reader.batches(8) for frame in batch)


def test_a_trail_shows_where_a_keypoint_was(video, table, tmp_path):
    covered = {}
    for trail in (0, 4):
        out = render_video(video, table, tmp_path / f"{trail}.mp4", RenderOptions(trail=trail, min_side=1, radius=3.0))
        with VideoReader(out) as reader:
            frame = reader.clip(12, 1)[0].astype(float)
        covered[trail] = np.abs(frame - np.median(frame, (0, 1))).sum(-1) > 40
    x, y = table.keypoints[12, 0]  # moves right by 4 a frame
    behind = (slice(round(y), round(y) + 1), slice(round(x) - 10, round(x) - 6))
    assert covered[4][behind].all() and not covered[0][behind].any()
    assert not covered[4][round(y), : round(x) - 22].any()


def test_wrong_row_count_is_one_sentence(video, table, tmp_path):
    short = PoseTable(
        keypoint_names=("a", "b"), index=(0, 1), keypoints=table.keypoints[:2], confidence=table.confidence[:2]
    )
    write_predictions(tmp_path / "short.csv", short)
    with pytest.raises(DataError, match=r"short\.csv has 2 rows but .*grey\.mp4 has 23 frames; predict"):
        render_video(video, tmp_path / "short.csv", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_wrong_skeleton_is_one_sentence(video, table, tmp_path):
    with pytest.raises(ConfigError, match="skeleton names keypoint 7"):
        render_video(video, table, tmp_path / "out.mp4", RenderOptions(skeleton=[[0, 7]]))


def test_an_error_leaves_no_file(video, table, tmp_path, monkeypatch):
    def fails(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(lp_viz.artist, "limbs", fails)
    with pytest.raises(KeyboardInterrupt):
        render_video(video, table, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []
