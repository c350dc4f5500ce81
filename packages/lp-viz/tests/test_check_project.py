"""A project with one mistake of every kind, from files to report."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lp_core import DataError
from lp_viz.check import KINDS, check_labels, labels_to_check, table_of, write_findings, write_pictures
from PIL import Image

SIZE, NAMES, ROWS = (60, 80), ("a", "b", "c", "rare"), 30


def picture(seed):
    """Blots on a background that all images share."""
    rng, background = np.random.default_rng(seed), np.random.default_rng(99).integers(90, 110, (*SIZE, 3))
    image = background.astype(np.uint8)
    for _ in range(4):
        y, x = rng.integers(0, 45), rng.integers(0, 65)
        image[y : y + 14, x : x + 14] = rng.integers(0, 255, 3)
    return image


def save(root, n, image):
    path = root / f"labeled-data/v/img{n:03d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def write_table(root, points, rows=None):
    with (root / "CollectedData.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["scorer", *["me"] * 2 * len(NAMES)])
        writer.writerow(["bodyparts", *[name for name in NAMES for _ in "xy"]])
        writer.writerow(["coords", *"xy" * len(NAMES)])
        for n in rows or range(len(points)):
            writer.writerow([f"labeled-data/v/img{n:03d}.png", *["" if v != v else v for v in points[n].ravel()]])


@pytest.fixture
def project(tmp_path):
    """Clean, but for the rare keypoint, which is labeled five times."""
    rng = np.random.default_rng(0)
    base = (
        rng.uniform(15, 45, (ROWS, 1, 2))
        + np.array([[0, 0], [12, 3], [5, 10], [0, 12]])
        + rng.normal(0, 1, (ROWS, 4, 2))
    )
    base[5:, 3] = np.nan
    for n in range(ROWS):
        save(tmp_path, n, picture(n))
    write_table(tmp_path, base)
    return tmp_path, base


def found_in(root, parts=None):
    labels = labels_to_check(root)
    return labels, check_labels(labels, parts).findings


def kinds(findings):
    return {(f.kind, f.row, f.keypoints) for f in findings}


def test_a_clean_project(project):
    labels, findings = found_in(project[0], ["train"] * 25 + ["test"] * 5)
    assert kinds(findings) == {("rarely labeled", None, (3,))}
    assert table_of(labels, []) == ""


def test_what_the_table_alone_shows(project):
    root, points = project
    points[2, 0], points[3, 1] = (80.2, 10), (10, -0.4)  # beyond the last column; within the first row of pixels
    points[4, 2], points[6] = points[4, 1], np.nan
    write_table(root, points, [*range(ROWS), 8])
    (root / "labeled-data/v/img009.png").write_bytes(b"no picture")
    (root / "labeled-data/v/img010.png").unlink()
    _, findings = found_in(root)
    table = {k for k in kinds(findings) if k[0] not in ("outlier", "swap", "duplicate")}
    assert table == {
        ("outside", 2, (0,)), ("identical", 4, (1, 2)), ("no label", 6, ()), ("listed twice", 8, ()),
        ("unreadable", 9, ()), ("unreadable", 10, ()), ("rarely labeled", None, (3,)),
    }  # fmt: skip


def test_pictures_that_are_the_same(project):
    root, points = project
    save(root, 11, picture(3))
    points[11, :3] = points[3, :3] + 0.5
    noisy = picture(5).astype(int) + np.random.default_rng(0).integers(-3, 4, (*SIZE, 3))
    save(root, 12, noisy.clip(0, 255).astype(np.uint8))  # saved again with losses
    points[12, :3] = points[5, :3] + [[0, 0], [9, 0], [0, 0]]
    write_table(root, points)
    parts = ["train"] * ROWS
    parts[11] = "validation"
    _, findings = found_in(root, parts)
    pairs = {(f.kind, f.row, f.other, f.keypoints) for f in findings if f.other is not None}
    assert pairs == {("duplicate", 3, 11, ()), ("conflict", 5, 12, (1,)), ("leakage", 11, 3, ())}


def test_a_keypoint_never_labeled(project):
    root, points = project
    points[:, 3] = np.nan
    write_table(root, points)
    assert kinds(found_in(root)[1]) == {("never labeled", None, (3,))}


def test_report_and_pictures(project, tmp_path):
    root, points = project
    points[2, 0] = (90, 10)
    save(root, 11, picture(3))
    write_table(root, points)
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    labels, findings = found_in(root)
    out = tmp_path / "out"
    text = table_of(labels, findings)
    assert "outside             1  labeled-data/v/img002.png: a is at (90, 10) in an image of 80×60" in text
    rows = list(csv.DictReader(write_findings(out / "findings.csv", labels, findings).open()))
    outside = next(row for row in rows if row["kind"] == "outside")
    assert (outside["x"], outside["y"], outside["severity"], outside["keypoint"]) == ("90.00", "10.00", "error", "a")
    assert {row["kind"] for row in rows} <= set(KINDS)
    written = write_pictures(labels, findings, out)
    assert {"outside.png", "conflict.png"} <= {p.name for p in written}
    for path in written:
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).std() > 10
    assert {p: p.read_bytes() for p in before} == before


def test_the_label_is_drawn_where_it_is(project):
    from lp_viz.check.finding import Finding
    from lp_viz.check.pictures import picture_of
    from lp_viz.check.tiles import box_round, tile_of

    root, _ = project
    for n in range(ROWS):
        save(root, n, np.full((*SIZE, 3), 100, np.uint8))
    labels = labels_to_check(root)
    keypoints = np.full_like(labels.keypoints, np.nan)
    keypoints[4, 0] = (70, 50)
    target = np.array([[20.0, 12.0]])
    finding = Finding(kind="outlier", what="", row=4, keypoints=(0,), expected=target)
    shown = picture_of(replace(labels, keypoints=keypoints), finding)
    assert shown is not None
    tile = tile_of(np.full((*SIZE, 3), 100, np.uint8), box_round(np.array([[70.0, 50], [20, 12]]), shown[:60, :80]))
    for point, color in ((keypoints[4, 0], (230, 159, 0)), (target[0] + [6.5 / tile.scale, 0], (255, 60, 60))):
        x, y = tile.places(point[None])[0].round().astype(int)
        assert np.abs(shown[y, x].astype(int) - color).max() < 60


def test_tiles_keep_every_pixel_in_its_place():
    from lp_viz.check.tiles import tile_of

    for size in ((48, 64), (480, 640)):
        image = np.zeros((*size, 3), np.uint8)
        y, x, half = size[0] // 3, size[1] // 4, size[0] // 16
        image[y - half : y + half + 1, x - half : x + half + 1] = 255
        tile = tile_of(image)
        ink = np.where(tile.picture[..., 0] > 100, tile.picture[..., 0], 0).astype(float)
        rows, columns = np.mgrid[: ink.shape[0], : ink.shape[1]]
        middle = np.array([(ink * columns).sum(), (ink * rows).sum()]) / ink.sum()
        np.testing.assert_allclose(middle, tile.places(np.array([[x, y]], float))[0], atol=0.3)


def test_no_project_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="is not a directory"):
        labels_to_check(tmp_path / "gone")
    with pytest.raises(DataError, match="is not a labeled project"):
        labels_to_check(tmp_path)


@pytest.mark.parametrize("name", ["mirror-mouse", "dlc-reaching"])
def test_real_labels_raise_few_alarms(name):
    import os

    folder = Path(os.environ.get("LP_TEST_DATA", Path(__file__).parents[3] / "../shared/data")) / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set LP_TEST_DATA to the folder with the real data")
    labels = labels_to_check(folder)
    findings = check_labels(labels).findings
    alarms = [f for f in findings if f.severity != "note"]
    assert len(alarms) <= 0.005 * (labels.visibility > 0).sum()
    assert not [f for f in findings if f.severity == "error"]
