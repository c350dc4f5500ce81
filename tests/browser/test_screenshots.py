"""The pictures of the documentation can be made: of the review page, a report and TensorBoard."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from lp_apps.main import main as lpose
from PIL import Image


@pytest.fixture(scope="module")
def screenshots():
    spec = spec_from_file_location("screenshots", Path(__file__).with_name("screenshots.py"))
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def looked_at(path):
    with Image.open(path) as picture:
        assert picture.size[0] > 1000 and len(set(picture.convert("L").resize((60, 40)).tobytes())) > 20
    assert path.stat().st_size < 200_000


def test_a_report(page, screenshots, world, tmp_path):
    assert not lpose(["report", f"run={world.run}", f"out={tmp_path / 'report.html'}"])
    screenshots.report(page, tmp_path / "report.html", tmp_path / "report.png")
    assert "How good is it?" in page.script("return document.body.innerText")
    looked_at(tmp_path / "report.png")


def test_tensorboard(page, screenshots, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "run")) as writer:
        for step in range(20):
            writer.add_scalar("error/validation", 20 / (step + 1), step)
    screenshots.tensorboard(page, tmp_path / "run", tmp_path / "tensorboard.png")
    assert "validation" in page.script("return document.body.innerText")
    looked_at(tmp_path / "tensorboard.png")
    page.problems()
