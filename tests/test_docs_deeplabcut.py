"""The page on DeepLabCut's mistakes: its Python runs, prints what it says, and the tests that it names are there."""

import re
from pathlib import Path

import pytest
import torch
from lp_core import REGISTRIES
from lp_core.testing.pages import run_examples
from lp_train import build_network, compose

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/beside-deeplabcut.md"
TEXT = PAGE.read_text()


@pytest.fixture(autouse=True)
def own_parts(monkeypatch):
    """Parts that the page registers are gone afterwards."""
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_local", dict(registry._local))


def test_it_prints_what_its_remarks_say(capsys):
    run_examples(PAGE)
    said = re.findall(r"^ *print\(.*\)  # (.+)$", TEXT, re.MULTILINE)
    assert len(said) == len(re.findall(r"^ *print\(", TEXT, re.MULTILINE)) >= 10
    assert capsys.readouterr().out.splitlines() == said


def test_each_of_the_ten_names_a_test_that_is_there():
    sections = re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]
    assert len(sections) == 10
    for section in sections:
        named = re.findall(r"`([\w/-]+\.py)::(test_\w+)`", section)
        assert named and "```python" in section, section.splitlines()[0]
        for path, test in named:
            assert f"def {test}(" in (ROOT / path).read_text(), f"{path}::{test}"


@pytest.mark.parametrize("head", ["heatmap", "rtmcc"])
def test_torch_exports_a_network_as_it_is(head):
    """What decision 14 has instead of TorchScript."""
    words = ["backbone=timm", "backbone.model=resnet10t", "backbone.pretrained=false", "data.image_size=[64,96]"]
    net = build_network(compose([*words, f"head={head}"]), ("nose", "tail")).eval()
    frames = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        for ours, exported in zip(net(frames), torch.export.export(net, (frames,)).module()(frames), strict=True):
            torch.testing.assert_close(exported, ours)
