"""lpose check: on demo frames, clean and with planted mistakes, and against the subspaces of training."""

import csv

import numpy as np
import pytest
from lp_apps.main import COMMANDS, main
from lp_data.scene import SceneOptions
from lp_data.scene.demo import NAMES, Session
from lp_losses.subspace import fit_subspace
from lp_viz.check.gaussian import fit_gaussian
from lp_viz.check.poses import pose_findings
from lp_viz.check.run import labels_to_check
from lp_viz.check.sides import side_pairs
from PIL import Image

COUNT = 60


@pytest.fixture(scope="module")
def frames():
    """Every tenth frame of a demo session, and where the keypoints in it are."""
    session = Session(SceneOptions(seed=0), ood=False)
    painter = session.painter()
    rows = np.arange(0, 10 * COUNT, 10)
    keypoints = session.truth(painter)[rows].copy()
    pictures, seen = zip(*(painter.frame(int(row)) for row in rows), strict=True)
    inside = ((keypoints >= 0) & (keypoints <= [319, 287])).all(-1)
    hidden = ~np.stack(seen).reshape(COUNT, -1) & (np.random.default_rng(0).random(inside.shape) < 0.5)
    keypoints[hidden | ~inside] = np.nan
    return pictures, keypoints


def project(root, pictures, keypoints):
    (root / "labeled-data/session0").mkdir(parents=True)
    with (root / "CollectedData.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["scorer", *["truth"] * 2 * len(NAMES)])
        writer.writerow(["bodyparts", *[name for name in NAMES for _ in "xy"]])
        writer.writerow(["coords", *"xy" * len(NAMES)])
        for n, (picture, points) in enumerate(zip(pictures, keypoints, strict=True)):
            image = f"labeled-data/session0/img{n:04d}.png"
            Image.fromarray(picture).save(root / image)
            writer.writerow([image, *["" if v != v else v for v in points.ravel()]])
    return root


def findings(out):
    return list(csv.DictReader((out / "findings.csv").open()))


def test_a_clean_demo_raises_no_alarm(frames, tmp_path, capsys):
    root = project(tmp_path / "data", *frames)
    assert main(["check", f"data.root={root}", "data.split.train=0.75"]) == 0
    assert [row for row in findings(root / "check") if row["severity"] != "note"] == []
    assert "60 frames, 16 keypoints" in capsys.readouterr().out


def planted(keypoints, seed=0):
    """Swaps in 5% of the frames, five labels moved by 30 px, two labels outside; each in frames of their own."""
    rng, pairs = np.random.default_rng(seed), side_pairs(NAMES)
    rows = rng.permutation(len(keypoints))
    swaps, moved, outside = set(), set(), set()
    for row in rows[:COUNT]:
        whole = [pair for pair in pairs if np.isfinite(keypoints[row, list(pair)]).all()]
        known = np.flatnonzero(np.isfinite(keypoints[row]).all(-1))
        if len(swaps) < 0.05 * COUNT and whole:
            pair = whole[rng.integers(len(whole))]
            keypoints[row, list(pair)] = keypoints[row, list(pair[::-1])]
            swaps |= {(int(row), NAMES[k]) for k in pair}
        elif len(moved) < 5:
            k, angle = rng.choice(known), rng.uniform(0, 2 * np.pi)
            keypoints[row, k] += 30 * np.array([np.cos(angle), np.sin(angle)])
            moved.add((int(row), NAMES[k]))
        elif len(outside) < 2:
            keypoints[row, known[0], 1] = 288 + 3 * len(outside)
            outside.add((int(row), NAMES[known[0]]))
    return swaps, moved, outside


def test_planted_mistakes_are_found(frames, tmp_path):
    """Of 3 swaps, 5 labels moved by 30 px, 2 labels outside and 3 doubled frames at least 90% are found, and at least 90% of
    what is reported (notes apart) was planted.
    """
    pictures, keypoints = list(frames[0]), frames[1].copy()
    swaps, moved, outside = planted(keypoints)
    pictures += [pictures[n] for n in (4, 30, 50)]
    keypoints = np.concatenate([keypoints, keypoints[[4, 30, 50]]])
    out = tmp_path / "out"
    assert main(["check", f"data.root={project(tmp_path / 'data', pictures, keypoints)}", f"out={out}"]) == 0
    rows = [row for row in findings(out) if row["severity"] != "note"]
    number = [int(row["image"][-8:-4]) for row in rows]
    found = {
        (n if n < COUNT else (4, 30, 50)[n - COUNT], r["kind"], r["keypoint"])
        for n, r in zip(number, rows, strict=True)
    }
    doubled = {(n, "duplicate", "") for n in (4, 30, 50)}
    wanted = {(n, "swap", k) for n, k in swaps} | {(n, "outlier", k) for n, k in moved} | doubled
    wanted |= {(n, "outside", k) for n, k in outside}
    assert len(found & wanted) >= 0.9 * len(wanted), wanted - found
    assert len(found & wanted) >= 0.9 * len(found), found - wanted
    assert {"swap.png", "outlier.png", "outside.png", "duplicate.png"} <= {p.name for p in out.iterdir()}


def test_over_many_demo_sessions_most_mistakes_are_found(frames, tmp_path):
    """Poses alone, three sessions: recall and precision of swaps and of labels moved by 30 px."""
    labels = labels_to_check(project(tmp_path / "data", [np.zeros((4, 4, 3), np.uint8)] * COUNT, frames[1]))
    hits = misses = false = 0
    for seed in range(1, 4):
        session = Session(SceneOptions(seed=seed), ood=False)
        keypoints = session.truth(session.painter())[::10].copy()
        keypoints[np.random.default_rng(seed).random(keypoints.shape[:2]) < 0.03] = np.nan
        swaps, moved, outside = planted(keypoints, seed)
        labels.keypoints[:] = keypoints
        found = {
            (f.kind, f.row, NAMES[k])
            for f in pose_findings(labels)[0]
            for k in f.keypoints
            if (f.row, NAMES[k]) not in outside
        }
        wanted = {("swap", *one) for one in swaps} | {("outlier", *one) for one in moved}
        hits, misses, false = hits + len(found & wanted), misses + len(wanted - found), false + len(found - wanted)
    assert hits / (hits + misses) >= 0.9 and hits / (hits + false) >= 0.85, (hits, misses, false)


def test_poses_have_the_mean_and_variances_that_training_learns(frames):
    """Against `lp_losses`, with missing labels: the same mean, and the same variance in every direction."""
    rows = frames[1].reshape(COUNT, -1)
    ours, theirs = fit_gaussian(frames[1]), fit_subspace(rows, 0.99)
    np.testing.assert_allclose(ours.mean, theirs.mean)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(ours.covariance)[::-1], theirs.variances, atol=1e-6 * theirs.variances[0]
    )
    kept = theirs.components
    np.testing.assert_allclose(
        kept @ ours.covariance @ kept.T, np.diag(theirs.variances[: len(kept)]), atol=1e-6 * theirs.variances[0]
    )


def test_frames_next_to_training_frames_are_told(frames, tmp_path, capsys):
    """The split is that of lpose train: doubled frames on both sides of it are leakage."""
    pictures, keypoints = [*frames[0][:20]] * 2, np.concatenate([frames[1][:20]] * 2)
    root = project(tmp_path / "data", pictures, keypoints)
    assert main(["check", f"data.root={root}", "data.split.train=0.5", "data.split.val=0.2"]) == 0
    rows = [row for row in findings(root / "check") if row["kind"] == "leakage"]
    from lp_data import split_indices

    split = split_indices(40, 0.5, 0.2)
    train = set(split.train.tolist())
    wanted = {n for n in [*split.val, *split.test] if (n + 20) % 40 in train}
    assert wanted <= {int(row["image"][-8:-4]) for row in rows}
    assert "leakage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "data.root=… must be given"),
        (["data.root=/nowhere"], "is not a directory"),
        (["data.root=x", "data.labls=y"], "did you mean 'data.labels'"),
        (["data.root=x", "data.split.train=most"], "data.split.train=most must be of type float"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence, capsys):
    assert main(["check", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_help_names_it():
    assert "check" in COMMANDS
