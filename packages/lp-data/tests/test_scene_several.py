"""Several animals: the truth is where they are drawn, and says who hides whom."""

from dataclasses import replace

import numpy as np
import pytest
from lp_core import ConfigError
from lp_data.scene import Arena, SceneOptions, make_demo
from lp_data.scene.overhead import TINTS
from lp_data.scene.roaming import APART, LENGTH, PARTS
from lp_io import VideoReader, ood_label_files, read_labels, read_predictions

SMALL = SceneOptions(animals=3, labeled=12, frames=24, ood_labeled=4, ood_frames=8, corners=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    make_demo(folder, SMALL)
    return folder


def test_the_project_is_read_like_any_other(root):
    labels = read_labels(root)
    assert labels.animals == Arena(SMALL, ood=False).animals and len(labels) == 12
    assert labels.animals.individuals == ("animal1", "animal2", "animal3") and labels.animals.parts == PARTS
    assert len(labels.skeleton) == 3 * len(labels.animals.skeleton) == 18
    (path,) = ood_label_files(labels)
    new = read_labels(root, file=path.relative_to(root).as_posix())
    assert new.keypoint_names == labels.keypoint_names and len(new) == 4
    assert all(image.startswith("labeled-data/ood/") for image in new.images)


def test_labels_are_the_truth_but_for_what_is_hidden(root):
    labels, truth = read_labels(root), read_predictions(root / "ground_truth/session0.csv")
    assert truth.keypoint_names == labels.keypoint_names and truth.index == tuple(range(24))
    assert truth.animals == replace(labels.animals, skeleton=())
    rows = [int(name[-12:-4]) for name in labels.images]
    labeled = np.isfinite(labels.keypoints).all(-1)
    np.testing.assert_allclose(labels.keypoints[labeled], truth.keypoints[rows][labeled], atol=6e-4)
    assert labeled[truth.confidence[rows] == 1].all()
    with VideoReader(root / "videos/session0.mp4") as reader:
        assert reader.frame_count == 24


def test_the_same_seed_makes_the_same_tables(root, tmp_path):
    make_demo(tmp_path, SMALL)
    tables = [p.relative_to(root) for p in root.rglob("*") if p.suffix in (".csv", ".png")]
    assert len(tables) == 4 + 16
    assert all((root / name).read_bytes() == (tmp_path / name).read_bytes() for name in tables)


@pytest.mark.parametrize("ood", [False, True])
def test_dots_painted_at_the_keypoints_are_found_there(ood):
    arena = Arena(replace(SMALL, frames=40, ood_frames=40, animals=2), ood)
    painter = arena.painter(markers=True)
    truth, errors = arena.truth(painter), []
    for index in range(0, 40, 4):
        picture = painter.frame(index)[0][..., 0].astype(float)
        for k, (x, y) in enumerate(truth[index]):
            if np.delete(np.linalg.norm(truth[index] - truth[index, k], axis=-1), k).min() < 16:
                continue
            top, left = round(y) - 7, round(x) - 7
            window = picture[top : top + 15, left : left + 15]
            rows, columns = np.indices(window.shape)
            centre = np.array([(columns * window).sum(), (rows * window).sum()]) / window.sum() + [left, top]
            errors.append(centre - [x, y])
    assert len(errors) > 50 and np.abs(errors).max() < 1
    assert np.abs(np.mean(errors, axis=0)).max() < 0.1


@pytest.fixture(scope="module")
def crowd():
    """Strong tints and no noise: the colour of a pixel says whose it is."""
    arena = Arena(SceneOptions(animals=4, tint=1.0, labeled=1, frames=240), ood=False)
    painter = arena.painter()
    painter.look = replace(painter.look, noise=0.0)
    shown = [(index, *painter.frame(index)) for index in range(0, 240, 3)]
    return arena, painter, shown


def whose(painter, pixel):
    """The animal with the most similar colour, brightness aside; -1 for the floor."""
    colours = np.vstack([painter.look.floor, painter.furs])
    colours, pixel = (c / np.linalg.norm(c, axis=-1, keepdims=True) for c in (colours, pixel.astype(float)))
    return int(np.argmin(np.linalg.norm(colours - pixel, axis=-1))) - 1


def test_a_visible_keypoint_has_its_animal_s_colour_and_a_hidden_one_another_s(crowd):
    arena, painter, shown = crowd
    truth, seen_right, hidden_other = arena.truth(painter), [], []
    for index, picture, seen in shown:
        for k in range(4 * len(PARTS)):
            if PARTS[k % len(PARTS)] == "tail_tip":
                continue  # thinner than the way it moves while the shutter is open
            x, y = np.rint(truth[index, k]).astype(int)
            owner = whose(painter, picture[y, x])
            if seen[k]:
                seen_right.append(owner == k // len(PARTS))
            else:
                hidden_other.append(owner not in (-1, k // len(PARTS)))
    assert len(hidden_other) > 50 and 0.02 < len(hidden_other) / len(seen_right) < 0.3
    assert np.mean(seen_right) > 0.97 and np.mean(hidden_other) > 0.9
    assert len(np.unique(TINTS, axis=0)) == 5


def test_animals_move_smoothly_meet_and_stay_in_the_picture(crowd):
    arena, painter, _ = crowd
    truth = arena.truth(painter).reshape(240, 4, len(PARTS), 2)
    assert np.abs(np.diff(truth, axis=0)).max() < 14
    assert ((truth >= 0) & (truth <= [319, 287])).mean() > 0.99
    bodies = np.linalg.norm(truth[:, :, 0] - truth[:, :, 4], axis=-1)
    assert bodies.max() / bodies.min() < 1.3  # nose to tail: it bends but does not stretch
    chests = truth[:, :, 3]
    distance = np.linalg.norm(chests[:, :, None] - chests[:, None], axis=-1)[:, *np.triu_indices(4, 1)]
    assert (distance.min(1) < 25).mean() > 0.05 and distance.max() > 100


def test_animals_change_places_in_height_only_when_apart():
    arena = Arena(SceneOptions(animals=3, labeled=1, frames=1200), ood=False)
    herd = arena.painter(markers=True).herd
    assert (np.sort(herd.order, axis=1) == [0, 1, 2]).all()
    place = np.argsort(herd.order, axis=1)
    changes = 0
    for a, b in ((0, 1), (0, 2), (1, 2)):
        moments = np.flatnonzero(np.diff((place[:, a] > place[:, b]).astype(int))) + 1
        gap = np.linalg.norm(herd.bodies[a]["chest"] - herd.bodies[b]["chest"], axis=-1)[moments]
        changes += len(moments)
        assert (gap > (APART - 0.5) * LENGTH * herd.scale).all()
    assert changes > 2


def test_looks_alike_without_tint_and_impossible_options():
    assert np.ptp(Arena(replace(SMALL, tint=0.0), ood=False).painter().furs, axis=0).max() == 0
    assert 5 < np.ptp(Arena(SMALL, ood=False).painter().furs, axis=0).max() < 20
    with pytest.raises(ConfigError, match="animals=6 must be from 1 to 5"):
        SceneOptions(animals=6)
    with pytest.raises(ConfigError, match="tint=2 must be from 0 to 1"):
        SceneOptions(tint=2)
