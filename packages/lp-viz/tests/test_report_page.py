"""The page of a small made-up run: complete, self-contained, escaped, small, and never a crash for what is missing."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from lp_core import Animals, ConfigError, DataError, PoseTable
from lp_io import VideoWriter, read_predictions, write_metric, write_predictions
from lp_viz.report import write_comparison, write_report
from lp_viz.report.bootstrap import digits
from PIL import Image

EVIL = '<img src=x onerror="alert(1)">&'
NAMES = ("nose", EVIL, "tail")
IMAGES = tuple(f"labeled-data/img{i:02d}.png" for i in range(12))
SPLIT = ("train",) * 6 + ("validation",) * 3 + ("test",) * 3
EMPTY = {"img", "line", "path", "circle", "rect", "input", "br", "meta", "polygon"}


class Page(HTMLParser):
    """Elements and words; open elements must be closed in order."""

    def __init__(self, path):
        super().__init__()
        self.text, self.elements, self.open = "", [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data + " "

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)


def make_data(root, names, seed=0):
    """Images, labels and a video of 30 frames."""
    rng = np.random.default_rng(seed)
    labels = rng.uniform(10, 50, (len(IMAGES), len(names), 2))
    labels[3, 1] = np.nan
    (root / "labeled-data").mkdir(parents=True)
    for image in IMAGES:
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(root / image)
    heads = [
        ("scorer", ["me"] * 2 * len(names)),
        ("bodyparts", np.repeat(names, 2)),
        ("coords", ["x", "y"] * len(names)),
    ]
    lines = [",".join([h, *(f'"{c}"'.replace('""', '"') if '"' not in c else '"' + c.replace('"', '""') + '"' for c in cells)])
             for h, cells in heads]  # fmt: skip
    rows = [
        ",".join([i, *("" if v != v else repr(v) for v in row.ravel().tolist())])
        for i, row in zip(IMAGES, labels, strict=True)
    ]
    (root / "CollectedData.csv").write_text("\n".join([*lines, *rows]) + "\n")
    (root / "videos").mkdir()
    with VideoWriter(root / "videos" / "walk.mp4", 25, (60, 80)) as writer:
        for _ in range(30):
            writer.write(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
    return labels


def make_run(root, data, labels, names=NAMES, off=2.0, animals=None):
    """Predictions that are `off` pixels away on average, of labeled frames and of the video."""
    rng = np.random.default_rng(1)
    root.mkdir(parents=True)
    predicted = np.nan_to_num(labels, nan=30.0) + rng.normal(0, off, labels.shape)
    table = PoseTable(
        keypoint_names=names, index=IMAGES, keypoints=predicted, confidence=rng.uniform(0, 1, predicted.shape[:2]),
        split=SPLIT, animals=animals,
    )  # fmt: skip
    error = np.linalg.norm(predicted - labels, axis=-1)
    write_predictions(root / "predictions.csv", table)
    write_metric(root / "predictions_pixel_error.csv", names, error, IMAGES, SPLIT)
    walk = rng.normal(0, 1, (30, len(names), 2)).cumsum(0) + 40
    (root / "video_preds").mkdir()
    video = PoseTable(
        keypoint_names=names,
        index=tuple(range(30)),
        keypoints=walk,
        confidence=np.full((30, len(names)), 0.9),
        animals=animals,
    )
    write_predictions(root / "video_preds" / "walk.csv", video)
    write_metric(
        root / "video_preds" / "walk_pca_singleview_error.csv", names, rng.uniform(1, 9, (30, len(names))), range(30)
    )
    config = {
        "data": {"root": str(data), "image_size": [64, 96]},
        "parts": {"backbone": "tiny"},
        "training": {"max_epochs": 7},
    }
    (root / "config.yaml").write_text(yaml.safe_dump(config))
    split = {"train": list(range(6)), "val": [6, 7, 8], "test": [9, 10, 11]}
    (root / "provenance.json").write_text(json.dumps({"keypoint_names": names, "skeleton": [], "split": split}))
    (root / "metrics.csv").write_text(
        "epoch,step,train_supervised_loss,val_pixel_error\n0,1,3.0,9.0\n1,2,2.0,\n2,3,1.0,4.0\n"
    )
    entry = {
        "name": "CollectedData",
        "pck": {"0.1": 87.5},
        "reliability": [[1, 1.2, 1.1, 9], [3, 3, 2.5, 9]],
        "coverage": {"0.9": 0.8},
    }
    (root / "evaluation.json").write_text(json.dumps([entry]))
    (root / "calibration.json").write_text(
        json.dumps({"intercepts": [1.0] * len(names), "slope": -0.3, "outliers": 0, "labels": 27})
    )
    return error


@pytest.fixture
def made(tmp_path):
    labels = make_data(tmp_path / "data", NAMES)
    error = make_run(tmp_path / "run", tmp_path / "data", labels)
    return tmp_path, labels, error


def test_the_page_says_what_the_tables_say(made):
    root, _, error = made
    assert write_report(root / "run", root / "r.html") == []
    page = Page(root / "r.html")
    assert f"{digits(np.median(error[9:]))} px" in page.text and "3 frames, 9 labels: test frames" in page.text
    assert digits(np.nanmean(error[:6])) in page.text and "6 train, 3 validation, 3 test" in page.text
    assert (
        "96 × 64 pixels" in page.text
        and "epochs 7" in page.text
        and "88% are within 10%" in page.text
        and "80% instead of 90%" in page.text
    )
    worst = 6 + int(np.argmax(np.nanmean(error[6:], 1)))
    first = page.text.split("the worst first.")[1]
    assert first.split("labeled-data/")[1].startswith(f"img{worst:02d}.png")
    assert "walk" in page.text and "frame (25 per second)" in page.text


@pytest.mark.parametrize(("task", "shown"), [("top down", True), ("bottom up", False), ("one animal", False)])
def test_the_page_names_the_detector_where_there_is_one(made, task, shown):
    run = made[0] / "run"
    facts = json.loads((run / "provenance.json").read_text()) | {"task": task}
    (run / "provenance.json").write_text(json.dumps(facts))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["parts"]["detector"], config["data"]["crop_size"], config["detector"] = (
        "ssdlite",
        [48, 40],
        {"kinds": ["dog"]},
    )
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    write_report(run, made[0] / "r.html")
    text = Page(made[0] / "r.html").text
    assert ("ssdlite · finds dog" in text) == ("40 × 48 pixels" in text) == shown
    assert ("animals are found" in text) == (task != "one animal")


def test_the_page_needs_nothing_else_and_runs_nothing_of_others(made):
    root, *_ = made
    write_report(root / "run", root / "r.html")
    page, text = Page(root / "r.html"), (root / "r.html").read_text()
    assert page.count("script") == 1 and page.count("style") == 1 and page.count("link") == 0
    pictures = [a for t, a in page.elements if t == "img"]
    assert len(pictures) >= 12 and all(a["src"].startswith("data:image/jpeg;base64,") for a in pictures)
    assert all(a["href"].startswith("#") for _, a in page.elements if "href" in a)
    assert not [a for _, a in page.elements for key in a if key.startswith("on")]
    assert set(re.findall(r"\w+://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert "@import" not in text and "default-src 'none'" in next(
        a["content"] for t, a in page.elements if "http-equiv" in a
    )
    assert page.text.count(EVIL) > 5 and EVIL not in text
    anchors = {a["id"] for _, a in page.elements if "id" in a}
    assert {a["href"][1:] for t, a in page.elements if t == "a"} <= anchors


def test_the_same_run_makes_the_same_page(made):
    root, *_ = made
    for name in ("a.html", "b.html"):
        write_report(root / "run", root / name)
    assert (root / "a.html").read_bytes() == (root / "b.html").read_bytes()


def test_a_moved_project_is_said_and_found_again(made):
    root, *_ = made
    (root / "data").rename(root / "moved")
    notes = write_report(root / "run", root / "r.html")
    page = Page(root / "r.html")
    assert any(str(root / "data") in n and "data.root=" in n for n in notes) and page.count("img") == 0
    assert "What is missing here" in page.text and "Which keypoints are hard?" in page.text
    assert write_report(root / "run", root / "r.html", root / "moved") == []
    assert Page(root / "r.html").count("img") >= 12


@pytest.mark.parametrize(
    "gone",
    [
        "evaluation.json", "calibration.json", "provenance.json", "metrics.csv", "video_preds", "predictions.csv",
        "predictions_pixel_error.csv", "video_preds/walk_pca_singleview_error.csv", "../data/videos",
        "../data/CollectedData.csv", "../data/labeled-data/img11.png",
    ],
)  # fmt: skip
def test_what_is_missing_is_left_out(made, gone):
    root, *_ = made
    path = root / "run" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    notes = write_report(root / "run", root / "r.html")
    page = Page(root / "r.html")
    assert "How good is it?" in page.text
    quiet = ("metrics.csv", "video_preds", "video_preds/walk_pca_singleview_error.csv")
    assert bool(notes) == (gone not in quiet) and all(n in page.text for n in notes)


@pytest.mark.parametrize("name", ["evaluation.json", "calibration.json", "video_preds/walk.csv", "metrics.csv"])
def test_what_is_damaged_is_left_out(made, name):
    root, *_ = made
    text = (root / "run" / name).read_text()
    (root / "run" / name).write_text(text[: len(text) // 2 + 3])
    write_report(root / "run", root / "r.html")
    assert "How good is it?" in Page(root / "r.html").text


def test_a_video_of_other_length_is_not_pictured(made):
    root, *_ = made
    with VideoWriter(root / "data" / "videos" / "walk.mp4", 25, (60, 80)) as writer:
        for _ in range(9):
            writer.write(np.zeros((60, 80, 3), np.uint8))
    assert any("has 9 frames and its predictions 30" in n for n in write_report(root / "run", root / "r.html"))


def test_long_videos_stay_small(made):
    root, *_ = made
    frames, rng = 20_000, np.random.default_rng(0)
    keypoints = rng.normal(0, 1, (frames, 3, 2)).cumsum(0)
    keypoints[12_345, 0] += 5000
    table = PoseTable(
        keypoint_names=NAMES, index=tuple(range(frames)), keypoints=keypoints, confidence=np.full((frames, 3), 0.9)
    )
    write_predictions(root / "run" / "video_preds" / "walk.csv", table)
    (root / "run" / "video_preds" / "walk_pca_singleview_error.csv").unlink()
    write_report(root / "run", root / "r.html")
    assert len(re.sub(r"base64,[^\"]*", "", (root / "r.html").read_text())) < 250_000
    text = Page(root / "r.html").text
    assert "Each point stands for 34 frames" in text and re.search(r"frame 1234[56]\b", text)


def test_several_animals(tmp_path):
    animals = Animals(individuals=("a", "b"), parts=("nose", "tail"))
    names = animals.keypoint_names
    labels = np.random.default_rng(0).uniform(10, 50, (len(IMAGES), 4, 2))
    make_run(tmp_path / "run", tmp_path / "gone", labels, names, animals=animals)
    scores = {"test": {"animals": 6, "missed": 2, "invented": 1, "map": 61.25, "mar": 70.0}}
    (tmp_path / "run" / "evaluation.json").write_text(json.dumps([{"name": "CollectedData", "animals": scores}]))
    shutil.copy(tmp_path / "run/video_preds/walk.csv", tmp_path / "run/video_preds/walk_tracks.csv")
    write_report(tmp_path / "run", tmp_path / "r.html")
    page = Page(tmp_path / "r.html")
    assert "4 (67%)" in page.text and "61.2" in page.text and "2 animals with 2 keypoints each" in page.text
    assert "median error by animal" in page.text and "median error by body part" in page.text
    assert sum(a.get("class") == "curves" for _, a in page.elements) == 1  # the tracks, not the table before it too


def test_a_comparison_says_which_is_better_and_what_differs(made):
    root, labels, _ = made
    make_run(root / "worse", root / "data", labels, off=6.0)
    config = yaml.safe_load((root / "worse/config.yaml").read_text()) | {"parts": {"backbone": "huge"}}
    (root / "worse/config.yaml").write_text(yaml.safe_dump(config))
    assert write_comparison([root / "run", root / "worse"], root / "c.html") == []
    page = Page(root / "c.html")
    assert "A seems better" in page.text and "B seems better" not in page.text and "0 of 3" in page.text
    assert "parts.backbone tiny huge" in re.sub(r"\s+", " ", page.text) and page.count("img") == 8


def test_a_run_against_itself_has_no_clear_difference(made):
    root, *_ = made
    shutil.copytree(root / "run", root / "again")
    write_comparison([root / "run", root / "again", root / "run"], root / "c.html")
    text = Page(root / "c.html").text
    assert "seems better" not in text and "is better most" not in text and "Their configurations are the same" in text


def test_what_is_no_run_is_one_sentence(tmp_path, made):
    with pytest.raises(DataError, match="is not a run directory"):
        write_report(tmp_path / "data", tmp_path / "r.html")
    with pytest.raises(ConfigError, match="at least two runs"):
        write_comparison([tmp_path / "run"], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_several_cameras_have_rows_of_their_own(made):
    root, _, error = made
    run = root / "run"
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"] |= {"view_names": ["top", "side"], "view_labels": ["CollectedData.csv", "CollectedData.csv"]}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    for camera in ("top", "side"):
        shutil.copy(run / "predictions.csv", run / f"predictions_{camera}.csv")
        shutil.copy(run / "predictions_pixel_error.csv", run / f"predictions_{camera}_pixel_error.csv")
    assert write_report(run, root / "r.html") == []
    page = Page(root / "r.html")
    assert "test · top" in page.text and "test · side" in page.text and page.count("img") >= 12
    assert page.text.count(f"{digits(np.median(error[9:]))} px") >= 2


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_network_without_confidence(made):
    root, *_ = made
    for path in (root / "run/predictions.csv", root / "run/video_preds/walk.csv"):
        table = read_predictions(path)
        write_predictions(path, replace(table, confidence=np.full(table.confidence.shape, np.nan)))
    assert write_report(root / "run", root / "r.html") == []
    text = Page(root / "r.html").text
    assert "nan" not in text.lower().replace("nance", "") and "since the frame before" in text
    assert "mean confidence" not in text


def test_an_interrupted_run_is_called_so(made):
    root, *_ = made
    (root / "run" / "train_status.json").write_text('{"status": "TRAINING"}')
    assert "not complete (TRAINING)" in write_report(root / "run", root / "r.html")[0]
