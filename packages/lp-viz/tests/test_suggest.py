"""Which frames are suggested: scores, choice and files, on small videos whose bad frames are known."""

import csv
import dataclasses
from itertools import combinations
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from lp_core import ConfigError, DataError, LabelSet, PoseTable
from lp_io import VideoReader, VideoWriter, read_predictions, write_metric, write_predictions
from lp_io.hdf_frame import read_hdf_frame
from lp_viz.suggest import (
    LAYOUTS,
    LabelingSet,
    check_layout,
    evidence_of,
    labeled_frames,
    suggest,
    table_of,
    write_contact_sheet,
    write_table,
)
from lp_viz.suggest.choose import Candidates, choose, quotas
from lp_viz.suggest.evidence import read_ensemble, spread
from lp_viz.suggest.material import Material, similarity
from lp_viz.suggest.scores import normal_scores, score
from PIL import Image

SIZE, FPS, FRAMES = (48, 64), 30.0, 120
BAD = {"one": (20, 70, 100), "two": (50, 90)}


def truth(shift):
    t = np.arange(FRAMES)
    return np.stack([12 + 40 * (t / FRAMES), 24 + 12 * np.sin(t / 9 + shift)], -1)


def table(points, confidence):
    keypoints = np.stack([points, points + np.array([4, 0])], 1)
    return PoseTable(
        keypoint_names=("a", "b"), index=tuple(range(len(points))), keypoints=keypoints, confidence=confidence
    )


def make(folder, name, shift):
    """A blob that moves; in bad frames the prediction jumps away and is unsure."""
    rng, points = np.random.default_rng(int(shift)), truth(shift)
    with VideoWriter(folder / f"{name}.mp4", FPS, SIZE, threads=1) as writer:
        for x, y in points.round().astype(int):
            image = np.full((*SIZE, 3), 60, np.uint8)
            image[y - 3 : y + 4, x - 3 : x + 4] = 220
            writer.write(image)
    found, confidence = points + rng.normal(0, 0.1, points.shape), np.full((FRAMES, 2), 0.9)
    confidence += rng.uniform(-0.02, 0.02, confidence.shape)
    for n in BAD[name]:
        found[n] += [15, -9]
        confidence[n] = 0.3
    write_predictions(folder / "preds" / f"{name}.csv", table(found, confidence))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    make(root, "one", 0.0)
    make(root, "two", 2.0)
    return root


@pytest.fixture
def evidence(folder):
    return [evidence_of(folder / f"{name}.mp4", folder / "preds" / f"{name}.csv") for name in BAD]


def labels(root, images):
    """Labels of some images, which are cut from the videos."""
    for image in images:
        path = root / image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(len(image)).integers(0, 255, (*SIZE, 3)).astype(np.uint8)).save(path)
    return LabelSet(
        root=root, source=root / "CollectedData.csv", images=tuple(images), keypoint_names=("a", "b"),
        keypoints=np.full((len(images), 2, 2), 20.0), visibility=np.full((len(images), 2), 2),
    )  # fmt: skip


def places(chosen):
    return {(s.evidence.video.stem, s.frame) for s in chosen}


def test_normal_scores_are_quantiles_of_ranks():
    values = np.array([3.0, np.nan, 1.0, 1.0, 100.0])
    normal = NormalDist()
    expected = [normal.inv_cdf(2.5 / 4), np.nan, 0.0, 0.0, normal.inv_cdf(3.5 / 4)]
    expected[2] = expected[3] = normal.inv_cdf((1.5 - 0.5) / 4)
    np.testing.assert_allclose(normal_scores(values), expected)
    np.testing.assert_allclose(normal_scores(np.exp(values)), expected)  # units and scales do not count


def test_bad_frames_have_the_highest_scores(evidence):
    scores = score(evidence)
    for one, own in zip(evidence, scores, strict=True):
        bad = set(BAD[one.video.stem])
        assert set(np.argsort(own.total)[-len(bad) :].tolist()) == bad
        assert set(own.parts) == {"temporal", "confidence"}
    total, hardness = (np.concatenate([getattr(own, f) for own in scores]) for f in ("total", "hardness"))
    np.testing.assert_array_equal(np.argsort(total), np.argsort(hardness))
    assert hardness.min() > 0 and 0.98 < hardness.max() < 1


@pytest.mark.parametrize(
    ("need", "room", "count", "given"),
    [
        ([1, 3], [100, 100], 8, [2, 6]),
        ([1, 3], [100, 4], 8, [4, 4]),  # what one has no room for goes to the other
        ([0, 1], [9, 9], 4, [1, 3]),  # at least one each
        ([1, 2, 5], [9, 9, 9], 2, [0, 1, 1]),
        ([1, 1], [1, 0], 5, [1, 0]),
    ],
)
def test_quotas(need, room, count, given):
    assert quotas(need, room, count) == given


def test_the_greedy_choice_against_the_best_there_is():
    rng = np.random.default_rng(0)
    for _ in range(10):
        points, hard, covered = rng.random((14, 2)), rng.random(14), rng.random(14) * 0.5
        alike = np.exp(-2 * ((points[:, None] - points) ** 2).sum(-1) / 0.1)
        candidates = Candidates(np.zeros(14, int), np.arange(14), hard, np.ones(14, bool))

        def value(rows, alike=alike, hard=hard, covered=covered):
            return hard @ np.maximum(covered, (alike[:, rows] * hard[rows]).max(1)) - hard @ covered

        rows, novelty = choose(candidates, alike, covered, [3], [1])
        best = max(value(list(some)) for some in combinations(range(14), 3))
        assert (1 - 1 / np.e) * best <= value(rows) <= best + 1e-9
        assert novelty[0] == pytest.approx(1 - covered[rows[0]])


def test_when_all_is_covered_the_hardest_follow():
    hard = np.array([0.1, 0.9, 0.2, 0.8, 0.7])
    candidates = Candidates(np.zeros(5, int), np.arange(5), hard, np.array([True, True, True, True, False]))
    rows, _ = choose(candidates, np.eye(5), np.full(5, 0.95), [3], [1])
    assert rows == [1, 3, 2]


def test_equal_frames_are_as_similar_as_can_be():
    rng = np.random.default_rng(0)
    some = Material(rng.random((30, 4, 5)).astype(np.float32), rng.random((30, 6)))
    found = similarity(some, some, np.zeros(30, int))
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-3)
    off = found[~np.eye(30, dtype=bool)]
    assert 0.1 < np.median(off) < 0.2 and off.max() < 1  # exp(-2) for an ordinary pair
    assert similarity(some, Material(some.pictures[:0], some.poses[:0]), np.zeros(30, int)).shape == (30, 0)


def test_suggestions_are_the_bad_frames_of_both_videos(evidence):
    chosen = suggest(evidence, labeled_frames([]), 6, min_gap=5)
    near = [min(abs(s.frame - n) for n in BAD[s.evidence.video.stem]) for s in chosen]
    assert len(chosen) == 6 and sum(d <= 1 for d in near) >= 4
    assert {name for name, _ in places(chosen)} == {"one", "two"}
    for a, b in combinations(chosen, 2):
        assert a.evidence is not b.evidence or abs(a.frame - b.frame) >= 5
    assert any("unsure" in s.why or "jumps" in s.why for s in chosen)
    assert places(chosen) == places(suggest(evidence, labeled_frames([]), 6, min_gap=5))


def test_videos_get_their_share_of_frames_times_mean_rank(evidence):
    worse = dataclasses.replace(evidence[1], values={k: v + 1 for k, v in evidence[1].values.items()})
    pair = [evidence[0], worse]
    total = np.concatenate([own.total for own in score(pair)])
    rank = (total[:, None] >= total).mean(1)
    expected = 8 * rank[:FRAMES].sum() / rank.sum()
    assert expected < 3
    found = [s.evidence.video.stem for s in suggest(pair, labeled_frames([]), 8, min_gap=1)]
    assert len(found) == 8 and abs(found.count("one") - expected) <= 0.5


def test_labeled_frames_and_their_neighbours_are_never_suggested(evidence, tmp_path):
    known = labels(tmp_path, [f"labeled-data/one/img{n:04d}.png" for n in BAD["one"]])
    chosen = suggest(evidence, labeled_frames([known]), 8, min_gap=4)
    for name, frame in places(chosen):
        assert name != "one" or min(abs(frame - n) for n in BAD["one"]) >= 4


def test_a_labeled_image_is_known_by_its_looks(folder, evidence, tmp_path):
    """Its name says nothing about video and frame."""
    known = labels(tmp_path, ["labeled-data/first.png"])
    with VideoReader(folder / "one.mp4") as reader:
        Image.fromarray(reader.clip(20, 1)[0]).save(tmp_path / known.images[0])
    assert ("one", 20) in places(suggest(evidence, labeled_frames([]), 8))
    assert ("one", 20) not in places(suggest(evidence, labeled_frames([known]), 8))


def test_when_everything_is_labeled_it_says_so(folder, tmp_path):
    one = evidence_of(folder / "two.mp4", folder / "preds" / "two.csv")
    known = labels(tmp_path, [f"labeled-data/two/img{n:04d}.png" for n in range(FRAMES)])
    with pytest.raises(DataError, match="no frame to suggest"):
        suggest([one], labeled_frames([known]), 3)


def test_disagreement_of_runs(folder, tmp_path):
    first = read_predictions(folder / "preds" / "one.csv")
    other = table(first.keypoints[:, 0] + [3, 4], first.confidence)
    np.testing.assert_allclose(spread([first, other], [Path("x"), Path("y")])[:, 0], 2.5)  # two values 5 px apart
    write_predictions(tmp_path / "one.csv", other)
    found = evidence_of(folder / "one.mp4", folder / "preds" / "one.csv", [tmp_path / "one.csv"])
    assert next(iter(found.values)) == "ensemble"
    with pytest.raises(DataError, match="differ in frames"):
        spread([first, table(truth(0)[:9], np.ones((9, 2)))], [Path("x"), Path("y")])
    with pytest.raises(DataError, match="not what lpose ensemble wrote"):
        read_ensemble(folder / "preds" / "one.csv", first)


def test_metric_tables_are_used_and_checked(folder, tmp_path):
    predictions = tmp_path / "one.csv"
    predictions.write_bytes((folder / "preds" / "one.csv").read_bytes())
    values = np.random.default_rng(0).random((FRAMES, 2))
    write_metric(tmp_path / "one_pca_singleview_error.csv", ["a", "b"], values, range(FRAMES))
    found = evidence_of(folder / "one.mp4", predictions)
    np.testing.assert_allclose(found.values["pca_singleview"], values)
    write_metric(tmp_path / "one_pca_singleview_error.csv", ["a", "c"], values, range(FRAMES))
    with pytest.raises(DataError, match="not of the same frames and keypoints"):
        evidence_of(folder / "one.mp4", predictions)


@pytest.mark.parametrize("layout", ["lightning_pose", "deeplabcut"])
def test_a_set_to_label(evidence, tmp_path, layout):
    chosen = suggest(evidence, labeled_frames([labels(tmp_path, ["labeled-data/one/img00007.png"])]), 4)
    given = LabelingSet(chosen, (), labeled_frames([labels(tmp_path, ["labeled-data/one/img00007.png"])]))
    out = tmp_path / "out"
    images = LAYOUTS[layout](given, out)
    for s, image in zip(chosen, images, strict=True):
        assert image == f"labeled-data/{s.evidence.video.stem}/img{s.frame:05d}.png"  # five digits, as the data set has
        with VideoReader(s.evidence.video) as reader, Image.open(out / image) as picture:
            np.testing.assert_array_equal(np.asarray(picture), reader.clip(s.frame, 1)[0])
    assert not list(out.rglob("CollectedData*"))
    if layout == "lightning_pose":
        start = read_predictions(out / "suggested_predictions.csv")
        rows = {str(name): start.keypoints[n] for n, name in enumerate(start.index)}
    else:
        frames = [read_hdf_frame(path) for path in sorted(out.glob("labeled-data/*/machinelabels-iter0.h5"))]
        rows = {
            "/".join(map(str, i)): v.reshape(2, 3)[:, :2]
            for f in frames
            for i, v in zip(f.index, f.values, strict=True)
        }
        LAYOUTS[layout](given, out)  # what is there is not replaced
        assert len(list(out.glob("labeled-data/*/machinelabels-iter1.csv"))) == len(frames)
    for s, image in zip(chosen, images, strict=True):
        np.testing.assert_allclose(rows[image], s.evidence.table.keypoints[s.frame])


def test_a_set_for_sleap(evidence, tmp_path):
    sio = pytest.importorskip("sleap_io", reason="sleap-io is not installed")
    chosen = suggest(evidence, labeled_frames([]), 4)
    LAYOUTS["slp"](LabelingSet(chosen, ((0, 1),), labeled_frames([])), tmp_path)
    found = sio.load_slp(str(tmp_path / "suggestions.slp"), open_videos=False)
    assert {(Path(s.video.filename).stem, s.frame_idx) for s in found.suggestions} == places(chosen)
    assert len(found.labeled_frames) == 4 and not any(frame.user_instances for frame in found.labeled_frames)


def test_table_and_contact_sheet(evidence, tmp_path):
    chosen = suggest(evidence, labeled_frames([]), 5)
    text = table_of(chosen)
    assert len(text.splitlines()) == 6 and "unsure" in text.splitlines()[0]
    rows = list(csv.DictReader(write_table(tmp_path / "s.csv", chosen, ["x.png"] * 5).open()))
    assert [int(row["frame"]) for row in rows] == [s.frame for s in chosen]
    assert float(rows[0]["score"]) == pytest.approx(
        np.mean([float(rows[0][n]) for n in ("temporal", "confidence")]), abs=2e-3
    )
    with Image.open(write_contact_sheet(tmp_path / "s.png", chosen)) as image:
        assert np.asarray(image.convert("L")).std() > 10


def test_mistakes_are_one_sentence(folder, evidence, tmp_path):
    with pytest.raises(ConfigError, match=r"by=confidenc is not known.*confidence"):
        suggest(evidence, labeled_frames([]), 3, ["confidenc"])
    with pytest.raises(ConfigError, match="no such values"):
        suggest(evidence, labeled_frames([]), 3, ["ensemble"])
    with pytest.raises(ConfigError, match="n=0"):
        suggest(evidence, labeled_frames([]), 0)
    with pytest.raises(ConfigError, match="format=coco is not known"):
        check_layout("coco")
    write_predictions(tmp_path / "one.csv", table(truth(0)[:50], np.ones((50, 2))))
    with pytest.raises(DataError, match="has 120 frames but its predictions have 50 rows"):
        suggest([evidence_of(folder / "one.mp4", tmp_path / "one.csv")], labeled_frames([]), 3)
