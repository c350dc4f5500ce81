"""The example on this package's page on an index runs, with nothing but this package."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from lp_core.testing.pages import run_examples
from lp_infer.__main__ import main
from lp_io import VideoReader, read_predictions

PAGE = Path(__file__).parents[1] / "README.md"
LAMP = np.column_stack([2 * np.arange(50) + 1.5, np.full(50, 61.5)])  # the middle of four pixels


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the page's Python leaves, and its directory."""
    folder = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, run_examples(PAGE)


def apart(table):
    return np.abs(read_predictions(table).keypoints[:, 0] - LAMP).max()


def test_the_readme_s_network_finds_the_light(found):
    folder, names = found
    assert names["report"].frames == 50 and apart(folder / "lamp.csv") <= 1.5


def test_the_readme_s_command_predicts_with_an_exported_file(found, monkeypatch):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed here (pip install 'lp-infer[export]')")
    from lp_infer.export import export

    folder, names = found
    monkeypatch.chdir(folder)
    with VideoReader("lamp.mp4", size=(64, 96)) as video:
        export(names["Brightest"](), "mouse.onnx", video.clip(0, 16))
    Path("session0.mp4").symlink_to("lamp.mp4")
    (line,) = re.findall(r"```console\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
    assert main(shlex.split(line)[3:]) == 0
    assert apart("session0.csv") <= 1.5
