"""Commands of the documentation, as tests run them."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from lp_apps.main import main as lpose
from lp_data.scene import SceneOptions, make_demo
from lp_infer.__main__ import main as infer

ROOT = Path(__file__).parents[1]
SHORTER = {  # the pages' commands train for minutes; a small scene, small images and few epochs run the same code
    "lpose train ": " data.image_size=[64,64]",
    "lpose bench ": " seconds=0.1",
    "lpose demo out=demo": " epochs=1 data.image_size=[64,64]",
    "lpose demo out=arena animals=3": " epochs=1 data.crop_size=[64,64]",
    "lpose train data.root=arena/data head=dekr out=runs/dekr": " training.max_epochs=1 backbone.pretrained=false"
    " evaluation.predict_videos=false",
    "lpose train data.root=arena/data model=ctd": " training.max_epochs=1 backbone.pretrained=false data.crop_size=[64,64]"
    " evaluation.predict_videos=false",
}
SCENES = {"demo": SceneOptions(labeled=24, frames=60, ood_labeled=6, ood_frames=24)}
SCENES["arena"] = replace(SCENES["demo"], animals=3)  # `lpose demo` takes what it finds


def commands_of(page):
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def shorter(line):
    return line + "".join(more for start, more in SHORTER.items() if line.startswith(start))


def run_all(pages, folder, at_least):
    ours = [line for page in pages for line in commands_of(page) if line.startswith(("lpose ", "python -m lp_infer "))]
    assert len(ours) >= at_least
    for name in {line.partition("out=")[2].split()[0] for line in ours if line.startswith("lpose demo ")}:
        make_demo(folder / name / "data", SCENES[name])
    for line in ours:
        program, *words = shlex.split(shorter(line))
        status = lpose(words) if program == "lpose" else infer(words[2:])
        assert not status, line


@pytest.fixture
def commands():
    """The lines of a page's console blocks."""
    return commands_of


@pytest.fixture
def run_pages(tmp_path, monkeypatch):
    """Runs every command of ours on some pages, in order, in one directory, and in one process: libraries load once."""
    monkeypatch.chdir(tmp_path)
    return lambda *pages, at_least: run_all(pages, tmp_path, at_least)
