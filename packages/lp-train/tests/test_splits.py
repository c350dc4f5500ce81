"""A DeepLabCut shuffle decides which frames train and test."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from lp_core import ConfigError, DataError
from lp_train import compose
from lp_train.data import load_data

DATA = Path(os.environ.get("LP_TEST_DATA", "")) / "dlc-reaching"
FOLDER = "training-datasets/iteration-1/UnaugmentedDataSet_DotsJan1"
TRAIN, TEST = [7, 0, 3, 9, 2, 5, 4, 11, 6, 8], [1, 10]


def silent(*_):
    pass


@pytest.fixture
def dlc(project):
    """The project in DeepLabCut's layout: two videos; the merged table has the second one's frames first, and Windows' paths."""
    lines = (project / "CollectedData.csv").read_text().splitlines()
    head, rows = lines[:3], [line.split(",", 1) for line in lines[3:15]]
    for number, (name, _) in enumerate(rows):
        folder = project / "labeled-data" / f"v{number % 2}"
        folder.mkdir(exist_ok=True)
        (project / name).rename(folder / Path(name).name)
    place = [f"labeled-data/v{n % 2}/{Path(name).name},{values}" for n, (name, values) in enumerate(rows)]
    for video in "01":
        own = [line for line in place if f"/v{video}/" in line]
        (project / f"labeled-data/v{video}/CollectedData_me.csv").write_text("\n".join([*head, *own]) + "\n")
    (project / "CollectedData.csv").unlink()
    (project / "config.yaml").write_text("scorer: me\niteration: 1\nbodyparts: [red, blue]\nvideo_sets: {}\n")
    (project / FOLDER).mkdir(parents=True)
    merged = [line for video in "10" for line in place if f"/v{video}/" in line]
    table = "\n".join([*head, *(line.replace("/", "\\") for line in merged)]) + "\n"
    (project / FOLDER / "CollectedData_me.csv").write_text(table)
    document(project, 1, TRAIN, TEST)
    return project, [line.split(",")[0] for line in merged]


def document(project, number, train, test, folder=FOLDER):
    path = project / folder / f"Documentation_data-Dots_83shuffle{number}.pickle"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps([[], np.array(train), np.array(test), 0.83]))


def loaded(root, *words):
    return load_data(compose([f"data.root={root}", "data.image_size=[64,64]", *words]), silent)


def images(data, rows):
    return {data.labels.images[row] for row in rows}


def test_training_and_test_frames_are_the_shuffle_s(dlc):
    project, merged = dlc
    data = loaded(project, "data.split.shuffle=1", "data.split.val=0.2")
    assert merged != list(data.labels.images) and set(merged) == set(data.labels.images)  # rows are not each other's
    train, val, test = (images(data, rows) for rows in (data.split.train, data.split.val, data.split.test))
    assert train | val == {merged[row] for row in TRAIN} and test == {merged[row] for row in TEST}
    assert len(val) == 2 and not train & val and data.split_names().count("test") == 2
    other = loaded(project, "data.split.shuffle=1", "data.split.val=0.2", "data.split.seed=1")
    assert images(other, other.split.test) == test and images(other, other.split.val) != val


def test_without_a_share_the_test_frames_validate_as_in_deeplabcut(dlc):
    project, merged = dlc
    data = loaded(project, "data.split.shuffle=1", "data.split.val=0")
    assert images(data, data.split.train) == {merged[row] for row in TRAIN} and len(data.split.unused) == 0
    assert set(data.split.val) == set(data.split.test) and images(data, data.split.val) == {merged[1], merged[10]}


def test_fewer_training_frames_and_frames_of_no_part(dlc):
    project, _ = dlc
    document(project, 2, TRAIN[:6], TEST)
    data = loaded(project, "data.split.shuffle=2", "data.split.train_frames=3")
    parts = [data.split.train, data.split.val, data.split.test, data.split.unused]
    assert [len(part) for part in parts] == [3, 1, 2, 6] and sorted(np.concatenate(parts)) == list(range(12))


def test_a_shuffle_is_found_by_iteration_or_file(dlc):
    project, _ = dlc
    document(project, 1, TEST, TRAIN, FOLDER.replace("iteration-1", "iteration-0"))
    document(project, 11, TEST, TRAIN)
    assert len(loaded(project, "data.split.shuffle=1").split.test) == 2
    file = f"{FOLDER}/Documentation_data-Dots_83shuffle11.pickle"
    assert len(loaded(project, f"data.split.shuffle={file}", "data.split.val=0").split.test) == 10


def test_what_is_wrong_is_one_sentence(dlc, overrides):
    project, _ = dlc
    with pytest.raises(DataError, match=r"shuffle=3 stands for no single file; give one of .*shuffle1\.pickle"):
        loaded(project, "data.split.shuffle=3")
    with pytest.raises(ConfigError, match="are too few"):
        loaded(project, "data.split.shuffle=1", "data.split.val=0.9")
    document(project, 4, [40], [1])
    with pytest.raises(DataError, match=r"has rows that CollectedData_me\.csv beside it lacks"):
        loaded(project, "data.split.shuffle=4")
    labels = project / "labeled-data/v1/CollectedData_me.csv"
    labels.write_text("\n".join(labels.read_text().splitlines()[:-1]))
    with pytest.raises(DataError, match=r"has 1 frames without a row in .* put their labels back"):
        loaded(project, "data.split.shuffle=1")
    shutil.rmtree(project / "training-datasets")
    with pytest.raises(DataError, match=r"has no Documentation_data-.*; leave it out"):
        loaded(project, "data.split.shuffle=1")


@pytest.mark.skipif(not (DATA / "labeled-data").is_dir(), reason="LP_TEST_DATA/dlc-reaching is not there")
def test_a_shuffle_of_a_real_project_in_its_hdf5_table(tmp_path):
    """The project has none of its own: the table of its one video is the merged one."""
    root = tmp_path / "reaching"
    shutil.copytree(DATA, root, symlinks=True)
    for path in root.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (root / FOLDER).mkdir(parents=True)
    video = root / "labeled-data/reachingvideo1"
    shutil.copyfile(video / "CollectedData_Mackenzie.h5", root / FOLDER / "CollectedData_Mackenzie.h5")
    lines = (video / "CollectedData_Mackenzie.csv").read_text().splitlines()[3:]
    test = [2, 17]
    document(root, 1, [row for row in range(len(lines)) if row not in test], test, FOLDER)
    (root / FOLDER / "Documentation_data-Dots_83shuffle1.pickle").rename(
        root / FOLDER / "Documentation_data-R_95shuffle7.pickle"
    )
    with pytest.raises(DataError, match="give one of"):
        loaded(root, "data.split.shuffle=1")
    data = loaded(root, f"data.split.shuffle={FOLDER}/Documentation_data-R_95shuffle7.pickle")
    names = {Path(name).name for name in images(data, data.split.test)}
    assert names == {Path(lines[row].split(",")[0].replace("\\", "/")).name for row in test}
