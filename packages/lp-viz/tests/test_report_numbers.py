"""The numbers of a report against closed forms, NumPy and simulation; curves against the values they are drawn from."""

import re
import struct

import numpy as np
import pytest
from lp_core import DataError, PoseTable
from lp_io import read_metric
from lp_viz.report.about import readable
from lp_viz.report.bootstrap import Interval, frame_weights, mean_interval, median_interval, weighted_medians
from lp_viz.report.chart import UNITS, Axis, path_of
from lp_viz.report.compare import flattened, verdict
from lp_viz.report.envelope import envelope, stride_of
from lp_viz.report.events import training_times
from lp_viz.report.markup import Markup, join, tag
from lp_viz.report.moments import APART, jumps, worst_moments
from lp_viz.report.pairs import paired
from lp_viz.report.run import Labeled, Run


def half(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


def test_mean_interval_of_independent_frames_is_the_normal_one():
    errors = np.random.default_rng(1).normal(10, 3, (400, 1))
    found = mean_interval(errors)
    assert found.value == pytest.approx(errors.mean()) and (found.frames, found.labels) == (400, 400)
    assert half(found) == pytest.approx(1.96 * errors.std() / 20, rel=0.08)


def test_median_interval_of_exponential_errors():
    found = median_interval(np.random.default_rng(2).exponential(1, (2500, 1)))
    assert found.low < np.log(2) < found.high
    assert half(found) == pytest.approx(1.96 / 50, rel=0.2)  # 1 / (2 f(median) √n) with f(ln 2) = 1/2


@pytest.mark.parametrize("interval", [mean_interval, median_interval])
def test_copies_of_a_keypoint_do_not_make_it_surer(interval):
    errors = np.random.default_rng(3).gamma(2, 2, (60, 1))
    one, many = interval(errors), interval(np.repeat(errors, 9, axis=1))
    assert (one.value, one.low, one.high) == pytest.approx((many.value, many.low, many.high)) and many.labels == 540


def test_independent_keypoints_do():
    errors = np.random.default_rng(4).normal(10, 3, (100, 16))
    assert half(mean_interval(errors)) == pytest.approx(half(mean_interval(errors[:, :1])) / 4, rel=0.25)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(5), 0
    for _ in range(300):
        hard = rng.normal(0, 2, (40, 1))  # a frame is hard for all of its keypoints
        found = mean_interval(20 + hard + rng.normal(0, 1, (40, 4)))
        held += found.low <= 20 <= found.high
    assert 0.90 <= held / 300 <= 0.98


def test_frames_without_labels_do_not_count_and_one_frame_has_no_interval():
    errors = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, 5.0]])
    assert (mean_interval(errors).frames, mean_interval(errors).labels, mean_interval(errors).value) == (2, 3, 3.0)
    assert median_interval(errors).value == 3.0
    assert str(mean_interval(errors[:1])) == "1.00" and str(median_interval(errors[1:2])) == "–"


def test_weighted_medians_are_medians_of_repeated_values():
    rng = np.random.default_rng(6)
    values, weights = np.sort(rng.normal(size=31)), rng.integers(0, 4, (50, 31))
    assert np.allclose(weighted_medians(values, weights), [np.median(np.repeat(values, w)) for w in weights])


def test_weights_draw_as_many_frames_as_there_are_and_do_so_again():
    weights = frame_weights(30)
    assert (weights.sum(1) == 30).all() and weights.shape == (2000, 30)
    frame_weights.cache_clear()
    assert (frame_weights(30) == weights).all()
    assert len(frame_weights(60_000)) < 400


@pytest.mark.parametrize("frames", [3, 1200, 1201, 50_000])
def test_an_envelope_keeps_every_peak_in_few_points(frames):
    values = np.random.default_rng(7).standard_cauchy(frames)
    values[::7] = np.nan
    stride = stride_of(frames, 600)
    at, kept = envelope(values, stride)
    assert len(at) == len(kept) <= 1200
    for start in range(0, frames, stride):
        bin = values[start : start + stride]
        if np.isfinite(bin).any():
            assert {np.nanmin(bin), np.nanmax(bin)} == set(kept[(at == start) & np.isfinite(kept)])
    assert (stride == 1) == (frames <= 1200)


def points(path: str) -> list[tuple[int, int]]:
    """As report.js reads a path."""
    steps = np.array(re.findall(r"-?\d+", path), dtype=int).reshape(-1, 2)
    return [tuple(p) for p in np.cumsum(steps, 0).tolist()]


def test_a_path_holds_its_values():
    rng = np.random.default_rng(8)
    x, y = np.sort(rng.uniform(0, UNITS, 200)), rng.uniform(0, UNITS, 200)
    y[[0, 50, 51, 199]] = np.nan
    path = path_of(x, y)
    known = np.isfinite(y)
    assert np.abs(np.array(points(path)) - np.stack([x, y], -1)[known]).max() <= 0.5
    assert path.count("m") == 2  # one gap inside
    assert path_of(x, np.full(200, np.nan)) == ""


@pytest.mark.parametrize(
    "axis",
    [Axis(0, 1), Axis(3, -7), Axis(0.02, 900, log=True), Axis.round([5, 5]), Axis.round([]), Axis.round([1, 1e4])],
)
def test_ticks_are_on_the_axis(axis):
    ticks = axis.ticks(6)
    assert 2 <= len(ticks) <= 8
    assert ((axis.place(ticks) >= -1e-9) & (axis.place(ticks) <= 1 + 1e-9)).all()
    assert axis.place([axis.low, axis.high]).tolist() == pytest.approx([0, 1])


def test_jumps_are_found_where_they_are_and_only_where_it_is_sure():
    keypoints = np.random.default_rng(9).normal(50, 0.1, (300, 2, 2))
    confidence = np.full((300, 2), 0.9)
    keypoints[100, 1] += 30  # there and back
    keypoints[200, 0] += 90
    confidence[200, 0] = 0.1
    found = worst_moments({"jump": jumps(keypoints)}, confidence, 1)
    assert (found[0].kind, found[0].frame in (100, 101), found[0].keypoint) == ("jump", True, 1)
    assert found[0].value == pytest.approx(30 * np.sqrt(2), rel=0.02)
    assert (found[1].kind, found[1].frame, found[1].keypoint) == ("unsure", 200, 0)
    assert found[1].value == pytest.approx(0.5)


def test_moments_are_apart():
    confidence = np.random.default_rng(10).uniform(0, 1, (400, 3))
    frames = sorted(m.frame for m in worst_moments({"jump": confidence * 9}, confidence, 4))
    assert len(frames) == 8 and np.diff(frames).min() > APART


def run(tmp_path, errors, index, part) -> Run:
    table = PoseTable(
        keypoint_names=("a", "b"), index=index, keypoints=np.zeros((*errors.shape, 2)), confidence=np.ones(errors.shape)
    )
    return Run(tmp_path, {}, {}, [], None, [Labeled("", "", table, errors, np.array(part, dtype=object))])


def test_pairs_are_of_the_same_frames_whatever_their_order(tmp_path):
    one = run(tmp_path, np.array([[1.0, 2], [3, np.nan], [5, 6], [7, 8]]), ("p", "q", "r", "s"), ["test"] * 4)
    two = run(
        tmp_path, np.array([[50.0, 60], [0, 1], [3, 9], [1, 1]]), ("r", "p", "q", "t"), ["test", "test", "test", "test"]
    )
    (pair,) = paired(one, two, [])
    assert pair.per_frame.tolist() == [-1, 0, 49.5]  # q: only a is known in both
    assert pair.parts() == ["test"] and pair.fresh.all()


def test_frames_in_different_parts_of_the_split_are_left_out(tmp_path):
    notes: list[str] = []
    one = run(tmp_path, np.ones((3, 2)), ("p", "q", "r"), ["test", "train", "test"])
    two = run(tmp_path, np.ones((3, 2)), ("p", "q", "r"), ["test", "test", "train"])
    (pair,) = paired(one, two, notes)
    assert len(pair.part) == 1 and "2 frames are left out" in notes[0]


def test_verdicts():
    few, many = (Interval(-1.0, -2.0, -0.5, n, n) for n in (5, 50))
    assert (verdict(few), verdict(many)) == ("B seems better", "B is better")
    assert verdict(Interval(1.0, 0.5, 2.0, 50, 50)) == "A is better"
    assert (
        verdict(Interval(1.0, -0.5, 2.0, 50, 50)) == verdict(Interval(1, np.nan, np.nan, 1, 1)) == "no clear difference"
    )


def test_settings_are_flat():
    assert flattened({"a": {"b": 1, "c": []}, "d": [1, 2]}) == {"a.b": "1", "a.c": "none", "d": "1, 2"}


def test_everything_is_escaped_unless_made_here():
    evil = '<script>alert("x")</script>'
    made = tag("p", evil, tag("b", 1.5), None, title=evil, hidden=True, class_=None)
    assert made == (
        '<p title="&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" hidden>'
        "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;<b>1.5</b></p>"
    )
    assert join(Markup("<i>"), "<i>") == "<i>&lt;i&gt;"


def test_times_of_event_files(tmp_path):
    def record(time):
        data = b"\x09" + struct.pack("<d", time) + b"\x10\x05"
        return struct.pack("<Q", len(data)) + b"crc1" + data + b"crc2"

    (tmp_path / "events.out.tfevents.2.x").write_bytes(
        record(500.0) + record(560.5) + b"\x00\x01"
    )  # cut off by a crash
    (tmp_path / "events.out.tfevents.1.x").write_bytes(record(100.0) + record(130.0))
    (tmp_path / "events.out.tfevents.3.x").write_bytes(b"")
    assert training_times(tmp_path) == [(100.0, 130.0), (500.0, 560.5)]
    assert (readable(42.2), readable(185), readable(7800)) == ("42 s", "3 min 5 s", "2 h 10 min")


@pytest.mark.parametrize("text", ["", ",a\n0,x\n", ",a,b\n0,1\n"])
def test_a_damaged_table_is_one_sentence(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"t\.csv"):
        read_metric(tmp_path / "t.csv")
