"""lpose convert: a project in one layout becomes one in another, and the command says what it did."""

import numpy as np
import pytest
from lp_apps import convert, main
from lp_core import ConfigError
from lp_io import read_labels
from PIL import Image

TABLE = """scorer,me,me,me,me,me,me
bodyparts,nose,nose,nose,tail,tail,tail
coords,x,y,visible,x,y,visible
labeled-data/my video/img0.png,1.5,2,2,3,4,1
labeled-data/my video/img1.png,5,6,2,,,0
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project/labeled-data/my video"
    folder.mkdir(parents=True)
    for i in (0, 1):
        Image.fromarray(np.full((10, 12, 3), i, np.uint8)).save(folder / f"img{i}.png")
    (tmp_path / "project/CollectedData.csv").write_text(TABLE)
    return tmp_path / "project"


def test_there_and_back(project, tmp_path, capsys):
    convert.run([f"source={project}", "to=coco", f"out={tmp_path / 'coco'}"])
    said = capsys.readouterr().out
    assert "2 images, 2 keypoints, 3 labeled positions" in said and "no video found" in said
    assert f"lightning_pose → coco  {tmp_path / 'coco'}" in said
    convert.run([f"source={tmp_path / 'coco'}", "to=lightning_pose", f"out={tmp_path / 'back'}", "scorer=me"])
    there, back = read_labels(project), read_labels(tmp_path / "back")
    assert (back.images, back.keypoint_names, back.scorer) == (there.images, there.keypoint_names, "me")
    np.testing.assert_array_equal(back.keypoints, there.keypoints)
    np.testing.assert_array_equal(back.visibility, there.visibility)


def test_what_is_lost_is_said(project, tmp_path, capsys):
    convert.run([f"source={project}", "to=deeplabcut", f"out={tmp_path / 'dlc'}"])
    assert (
        "note     DeepLabCut keeps no visibility: 1 occluded keypoints became plain labels." in capsys.readouterr().out
    )


def test_mistakes_are_one_sentence(project, tmp_path, capsys):
    with pytest.raises(ConfigError, match=r"to=… and out=… must be given"):
        convert.run([f"source={project}"])
    with pytest.raises(ConfigError, match="no option 'output'"):
        convert.run([f"source={project}", "to=coco", "output=x"])
    assert main.main(["convert", f"source={project}", "to=coco", f"out={project}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("lpose: out=") and "give a new one" in said


def test_help(capsys):
    assert main.main(["convert", "--help"]) == 0
    said = capsys.readouterr().out
    assert "lpose convert source=SOURCE to=LAYOUT out=DIR" in said
    for word in ("lightning_pose", "deeplabcut", "coco", "sleap", "videos=link", "scorer=NAME", "format=auto"):
        assert word in said
    assert "lpose convert" in main.HELP
