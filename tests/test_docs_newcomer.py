"""The newcomer's page, walked from end to end: labels of which some are wrong, and a better tracker at the end."""

import csv
import http.client
import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from lp_apps.main import main as lpose
from lp_data import split_indices
from lp_data.scene import NAMES, SceneOptions, make_demo
from lp_io import read_labels, read_predictions

PAGE = "docs/newcomer.md"
LABELED, WRONG, SEED = 25, 5, 0
SMALL = (
    " data.image_size=[96,96] backbone=timm backbone.model=mobilenetv3_small_100 backbone.pretrained=false"
    " training.max_epochs=48 training.steps_per_epoch=2 training.batch_size=8 training.example_images=false"
)  # seconds instead of an hour; both trainings of the page get the same


def make_project(root, seed=SEED):
    """A scene whose labels confuse the animal with its mirror image in some training frames; the names of those images."""
    make_demo(root, SceneOptions(seed=seed, labeled=LABELED, frames=60, ood_labeled=1, ood_frames=1))
    (root / "videos/ood.mp4").unlink()
    (root / "CollectedData_new.csv").unlink()
    path = root / "CollectedData.csv"
    lines = path.read_text().splitlines()
    head, rows = lines[:3], lines[3:]
    wrong = np.random.default_rng(seed).choice(list(split_indices(LABELED).train), WRONG, replace=False)
    half = len(NAMES)  # cells of one view: x and y of half of the keypoints
    for row in wrong:
        name, *cells = rows[row].split(",")
        rows[row] = ",".join([name, *cells[half:], *cells[:half]])
    path.write_text("\n".join([*head, *rows]) + "\n")
    return {rows[row].partition(",")[0] for row in wrong}


class Person:
    """Sits before the review page, and knows where everything is."""

    def __init__(self, words, root):
        self.truth = read_predictions(root / "ground_truth/session0.csv")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lp_apps.main", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout and self.process.stderr
        found = next((m for line in self.process.stdout if (m := re.match(r"page +(\S+)", line))), None)
        assert found, self.process.stderr.read()
        address = urlsplit(found[1])
        self.place, self.cookie = address.netloc, ""
        self.cookie = self._ask("GET", f"/?{address.query}").headers["set-cookie"].partition(";")[0]

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.place, timeout=60)
        headers = {"Cookie": self.cookie, "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        self.content = answer.read()
        assert answer.status == 200, self.content
        return answer

    def get(self, path):
        self._ask("GET", path)
        return json.loads(self.content)

    def post(self, path, body):
        self._ask("POST", path, body)
        return json.loads(self.content)

    def correct(self, place, frame):
        """Every point of a frame to where it is; away with what cannot be seen."""
        for k, (point, seen) in enumerate(zip(self.truth.keypoints[frame], self.truth.confidence[frame], strict=True)):
            x, y = point.round(2).tolist() if seen > 0.5 else (None, None)
            self.post("/api/edit", place | {"keypoint": k, "x": x, "y": y, "visibility": 2 if seen > 0.5 else 0})

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[0]


def frame_of(image):
    return int(re.findall(r"\d+", image)[-1])


def rows_of(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def looked_through(person, wrong):
    """The images in the order in which the page says to look: the check's, then the furthest; until all wrong ones are found."""
    rows = person.get("/api/labeled")
    furthest = sorted(rows, key=lambda row: -(row["error"] or 0))
    named = [row["image"] for row in rows_of("checked/findings.csv") if row["severity"] == "warning"]
    order = list(dict.fromkeys([*named, *(row["name"] for row in furthest)]))
    seen = order[: 1 + max(order.index(image) for image in wrong)]
    return {row["name"]: row["image"] for row in rows}, set(named), seen


def reviewed(words, root, wrong):
    """Correct the five frames that are wrong, add the five that are suggested; what the check named, what was looked at."""
    person = Person(words, root)
    number, named, seen = looked_through(person, wrong)
    for image in wrong:
        person.correct({"image": number[image]}, frame_of(image))
    for row in rows_of("runs/first/suggestions/suggestions.csv"):
        place = {"video": 0, "frame": int(row["frame"])}
        person.post("/api/add", place)
        person.correct(place, place["frame"])
    assert person.post("/api/save", {})["saved"] == 2 * WRONG
    assert "not saved" not in person.end()
    return named, seen


def error(run, root):
    """Mean distance from the truth in pixels, over what can be seen in all frames of the video."""
    truth = read_predictions(root / "ground_truth/session0.csv")
    found = read_predictions(f"{run}/video_preds/session0.csv")
    far = np.linalg.norm(truth.keypoints - found.keypoints, axis=-1)
    return float(far[truth.confidence > 0.5].mean())


def walk(lines, root, wrong):
    """Every command of the page, in order; what came of the review."""
    found = None
    for line in lines:
        words = shlex.split(line + SMALL * line.startswith("lpose train "))[1:]
        if words[0] == "review":
            found = reviewed(words, root, wrong)
        else:
            assert not lpose(words), line
    return found


def test_from_labels_to_a_better_tracker(commands, tmp_path, monkeypatch, capsys):
    pytest.importorskip("uvicorn", reason="the review page needs the extra lp-viz[review]")
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "project"
    wrong = make_project(root)
    named, seen = walk(commands(PAGE), root, wrong)
    labels = read_labels(root)  # as the second training read them
    truth = read_predictions(root / "ground_truth/session0.csv").keypoints[[frame_of(name) for name in labels.images]]
    before, after = error("runs/first", root), error("runs/second", root)
    with capsys.disabled():
        print(f"\n{before:.1f} px, then {after:.1f} px; named {len(named & wrong)} of {len(named)}, seen {len(seen)}")
    assert len(labels) == LABELED + WRONG
    assert np.nanmax(np.linalg.norm(labels.keypoints - truth, axis=-1)) < 0.02
    assert len(named & wrong) >= 2 and len(seen) <= LABELED // 2
    assert after < 0.6 * before
    assert Path("first.html").exists() and Path("better.html").exists()
