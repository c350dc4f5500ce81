"""Commands of the documentation, as tests run them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = " training.max_epochs=1 backbone.pretrained=false data.image_size=[96,96] evaluation.predict_videos=false"
SHORTER = {  # the pages' commands train for minutes; one epoch runs the same code
    "lpose demo out=demo": " epochs=1",
    "lpose demo out=arena animals=3": " epochs=1 data.crop_size=[64,64]",
    "lpose train data.root=arena/data head=dekr out=runs/dekr": SMALL,
}


def commands_of(page):
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def run_all(pages, folder, at_least):
    ours = [line for page in pages for line in commands_of(page) if line.startswith(("lpose ", "python -m lp_infer "))]
    assert len(ours) >= at_least
    for line in ours:
        words = shlex.split(line + SHORTER.get(line, ""))
        module = ["lp_apps.main", *words[1:]] if words[0] == "lpose" else words[2:]
        done = subprocess.run(
            [sys.executable, "-m", *module], cwd=folder, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.fixture
def commands():
    """The lines of a page's console blocks."""
    return commands_of


@pytest.fixture
def run_pages(tmp_path):
    """Runs every command of ours on some pages, in order, in one directory."""
    return lambda *pages, at_least: run_all(pages, tmp_path, at_least)
