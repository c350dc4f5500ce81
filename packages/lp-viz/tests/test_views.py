"""Several models, several cameras, and slow motion of the worst moments."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from lp_core import ConfigError, DataError, PoseTable
from lp_io import VideoReader, VideoWriter, write_predictions
from lp_viz import RenderOptions, SlowMotion, View, render_video, render_views
from lp_viz.markers import MARKERS
from lp_viz.moments import frame_scores, pick, worst_moments
from lp_viz.mosaic import GAP, Mosaic
from lp_viz.rows import Rows, Span

SIZE, COUNT, FPS = (96, 128), 40, 20.0
LOOKS = RenderOptions(min_side=1, radius=4.0, threads=1)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Every frame has its own grey."""
    path = tmp_path_factory.mktemp("videos") / "grey.mp4"
    with VideoWriter(path, FPS, SIZE) as writer:
        for number in range(COUNT):
            writer.write(np.full((*SIZE, 3), 60 + 3 * number, np.uint8))
    return path


def table(at: tuple[float, float] = (64.0, 48.0), count: int = COUNT) -> PoseTable:
    keypoints = np.tile(np.array(at), (count, 1, 1))
    return PoseTable(
        keypoint_names=("nose",), index=tuple(range(count)), keypoints=keypoints, confidence=np.ones((count, 1))
    )


def frames_of(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.concatenate(list(reader.batches(16))).astype(float)


def ink(frame: np.ndarray) -> np.ndarray:
    return np.abs(frame - np.median(frame, (0, 1))).sum(-1) > 60


def test_each_model_has_a_marker_of_its_own_and_is_in_the_legend(video, tmp_path):
    """At the same place the first is filled, the second open and larger; the legend has a line for each."""
    both = render_video(video, {"first": table(), "second": table()}, tmp_path / "both.mp4", LOOKS)
    one = render_video(video, {"first": table()}, tmp_path / "one.mp4", LOOKS)
    both, one = ink(frames_of(both)[5]), ink(frames_of(one)[5])
    assert not one[:40, :60].any() and both[:40, 20:60].any(1).sum() > 10  # names
    middle = np.s_[30:66, 46:82]
    assert both[middle].sum() > 1.5 * one[middle].sum() and one[48, 64] and both[48, 64]
    shapes = set()
    for draw in MARKERS.values():
        picture = np.full((60, 60, 3), 90, np.uint8)
        draw(picture, (30.0, 30.0), (230, 159, 0), 6.0, 1.0)
        weight = np.abs(picture.astype(float) - 90).sum(-1)
        rows, columns = np.mgrid[:60, :60]
        centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        assert np.abs(centre - 30).max() < 1.0
        shapes.add((weight > 60).tobytes())
    assert len(shapes) == len(MARKERS)


def test_cameras_are_side_by_side_each_with_its_own_keypoints(video, tmp_path):
    views = [View(video=video, predictions={"": table((30.0 + 20 * n, 60.0))}, name=f"cam{n}") for n in range(3)]
    frame = frames_of(render_views(views, tmp_path / "all.mp4", LOOKS))[10]
    height, width = SIZE
    assert frame.shape[:2] == (2 * height + GAP, 2 * width + GAP)
    for n in range(3):
        top, left = n // 2 * (height + GAP), n % 2 * (width + GAP)
        tile = ink(frame[top : top + height, left : left + width])
        rows, columns = np.nonzero(tile[40:])
        assert abs(columns.mean() - (30 + 20 * n)) < 1.5 and abs(rows.mean() + 40 - 60) < 1.5
    assert frame[height + GAP + 10 :, width + GAP + 10 :].max() < 8  # no fourth


def test_tiles_of_other_sizes_share_a_height():
    found = Mosaic.of([(100, 200), (50, 50), (400, 100)])
    assert found.tiles == ((100, 200), (100, 100), (100, 25)) and found.corners == ((0, 0), (0, 204), (104, 0))
    assert Mosaic.of([(3001, 4001)]).size == (3001, 4001) and Mosaic.of([(3000, 4000)] * 4).size[0] <= 2160


def test_the_worst_moments_are_where_keypoints_jump_or_are_unsure(tmp_path):
    given = table(count=300)
    given.keypoints[100:] += 50  # one jump
    given.confidence[200:210] = 0.2
    rows = [Rows.of(given)]
    jump, doubt = frame_scores(rows[0])
    assert jump.argmax() == 100 and jump[100] == pytest.approx(np.hypot(50, 50)) and (doubt > 0.5).sum() == 10
    found = {by: worst_moments(rows, 10.0, SlowMotion(by=by, moments=1)) for by in ("jumps", "unsure")}
    assert found["jumps"] == [(95, 105, "worst 1 of 1")] and found["unsure"][0].start <= 200 < found["unsure"][0].stop
    both = worst_moments(rows, 10.0, SlowMotion(moments=2))
    assert both[0][:2] == (95, 105) and 195 <= both[1].start <= 209


@pytest.mark.parametrize("seed", range(5))
def test_moments_never_overlap_and_the_worst_frame_is_in_one(seed):
    badness = np.random.default_rng(seed).random(97).astype(np.float32)
    found = pick(badness, 10, 20)
    covered = [n for start, _ in found for n in range(start, start + 10)]
    assert len(covered) == len(set(covered)) and int(badness.argmax()) in covered and max(covered) < 97
    assert [badness[worst] for _, worst in found] == sorted((badness[worst] for _, worst in found), reverse=True)
    assert pick(badness[:4], 10, 3) == [(0, int(badness[:4].argmax()))]


def test_slow_motion_shows_those_frames_slowly(video, tmp_path):
    given = table()
    given.keypoints[30:] += 20
    slow = SlowMotion(by="jumps", moments=1, seconds=0.5, factor=4.0)
    out = render_video(video, given, tmp_path / "slow.mp4", LOOKS, slow)
    with VideoReader(out) as reader:
        assert (reader.frame_count, reader.fps) == (10, pytest.approx(FPS / 4))
        greys = [np.median(frame) for batch in reader.batches(4) for frame in batch]
    np.testing.assert_allclose(greys, 60 + 3 * np.arange(25, 35), atol=3)


def test_rows_from_a_file_are_those_of_the_table(tmp_path):
    given = table(count=5000)
    given.keypoints[:] = np.random.default_rng(0).uniform(0, 90, given.keypoints.shape)
    write_predictions(tmp_path / "t.csv", given)
    spans = [Span(3, 9), Span(1020, 1030), Span(4999, 5000)]
    wanted = np.concatenate([given.keypoints[s.start : s.stop] for s in spans])
    for rows in (Rows.of(tmp_path / "t.csv"), Rows.of(given)):
        assert len(rows) == 5000
        np.testing.assert_array_equal(np.stack([points for points, _ in rows.within(spans)]), wanted)


def test_memory_does_not_grow_with_the_table(tmp_path):
    peaks = []
    for count in (3000, 30000):
        write_predictions(tmp_path / "t.csv", table(count=count))
        tracemalloc.start()
        assert sum(1 for _ in Rows.of(tmp_path / "t.csv").within([Span(0, count)])) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_mistakes_are_one_sentence(video, tmp_path):
    short = tmp_path / "short.mp4"
    with VideoWriter(short, FPS, SIZE) as writer:
        writer.write(np.zeros((*SIZE, 3), np.uint8))
    views = [View(video=video, predictions={"": table()}), View(video=short, predictions={"": table(count=1)})]
    with pytest.raises(DataError, match=r"has 40 frames but .*short\.mp4 has 1; give videos of the same moments"):
        render_views(views, tmp_path / "out.mp4", LOOKS)
    with pytest.raises(ConfigError, match="7 models are more than the 6"):
        render_video(video, {str(n): table() for n in range(7)}, tmp_path / "out.mp4", LOOKS)
    with pytest.raises(ConfigError, match="slow=best must be worst, jumps or unsure"):
        SlowMotion(by="best")
    with pytest.raises(ConfigError, match="encoder=fast must be one of"):
        render_video(video, table(), tmp_path / "out.mp4", RenderOptions(encoder="fast"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["short.mp4"]
