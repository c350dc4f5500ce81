"""The page on plugins: its commands run, and what it says is printed is what is printed."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from lp_apps.main import main as lpose
from lp_apps.plugin_template import kinds
from lp_apps.plugins import registries
from lp_core import LossConfig, PluginError, losses
from lp_data.scene import SceneOptions, make_demo

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
SMALL = SceneOptions(labeled=20, frames=30, ood_labeled=4, ood_frames=10)
SHORTER = (
    "data.image_size=[64,64] training.max_epochs=1 training.steps_per_epoch=2 backbone.pretrained=false clips.sequence_length=5"
    " training.example_images=false evaluation.predict_videos=false"
)
NOT_HERE = ("python -m pip install build twine", "python -m build ", "python -m twine upload ")
CONFIG = """
from dataclasses import dataclass
from lp_core import LossConfig
@dataclass(slots=True, kw_only=True)
class Config(LossConfig):
    def build(self, poses=None):
        import no_such_library
"""
FAULTY = {  # distribution, its part, its module
    "needs-library": ("needs_library", "import no_such_library"),
    "needs-library-later": ("needs_library_later", CONFIG),
    "has-error": ("has_error", "colour = 1\nprint(color)"),
    "no-class": ("no_class", "class Confg: pass"),
    "no-config": ("no_config", "class Config: pass"),
    "first": ("twice", CONFIG),
    "second": ("twice", CONFIG),
}


def distribution(site, name, entry_points):
    """What pip leaves of an installed distribution."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = (
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in parts.items()) for group, parts in entry_points.items()
    )
    (info / "entry_points.txt").write_text("\n".join(lines))


class Machine:
    """One directory with plugins in it, some of them installed."""

    def __init__(self, root, monkeypatch):
        self.root, self.patch, self.path = root, monkeypatch, [root / "site"]
        monkeypatch.chdir(root)
        monkeypatch.syspath_prepend(root / "site")
        (root / "site").mkdir()

    def install(self, plugin):
        project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
        distribution(self.path[0], project["name"], project["entry-points"])
        self.path.append((plugin / "src").resolve())
        self.patch.syspath_prepend(self.path[-1])
        self.look_again()

    def look_again(self):
        for registry in registries():
            self.patch.setattr(registry, "_installed", None)

    def test(self, folder):
        env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, self.path))}
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder]
        subprocess.run(words, env=env, check=True)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    before = set(sys.modules)
    yield Machine(tmp_path, monkeypatch)
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"my_loss", *(n.replace("-", "_") for n in FAULTY)}:
            del sys.modules[name]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_its_commands_run(machine, capfd):
    lines = [line for block in blocks("console") for line in block.splitlines() if not line.startswith(NOT_HERE)]
    assert len(lines) == 7
    for line in lines:
        words = shlex.split(line)
        if line == "lpose demo out=demo":
            make_demo(Path("demo/data"), SMALL)  # its training is another page's test
        elif words[0] == "lpose":
            assert lpose([*words[1:], *(SHORTER.split() if words[1] == "train" else ())]) == 0, line
        elif words[2] == "pip":
            machine.install(Path(words[-1].removesuffix("[test]")))
        else:
            assert words[:3] == ["python", "-m", "pytest"]
            machine.test(words[3])
    listed = [line.split()[:3] for line in capfd.readouterr().out.splitlines()]
    assert ["lp.losses", "my_loss", "my-loss"] in listed
    config = Path("runs/mine/config.yaml").read_text()
    assert "- my_loss" in config and "epsilon: 5.0" in config and Path("keypoints/session0.csv").exists()


def test_its_table_names_every_kind():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)) == set(kinds())


def faulty(machine):
    for name, (part, text) in FAULTY.items():
        module = name.replace("-", "_")
        (machine.path[0] / f"{module}.py").write_text(text)
        distribution(machine.path[0], name, {"lp.losses": {part: f"{module}:Config"}})
    machine.look_again()


def said(command, capsys):
    """The last line that a command of the page prints."""
    if command.startswith("$ lpose "):
        more = SHORTER.split() if command.startswith("$ lpose train") else []
        assert lpose([*shlex.split(command)[2:], *more]) == 2, command
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        return error.strip()

    @dataclass(slots=True, kw_only=True)
    class JumpsConfig(LossConfig):
        def build(self, poses=None):
            return None

    with pytest.raises(PluginError) as info:
        eval(command.removeprefix(">>> "), {"losses": losses, "JumpsConfig": JumpsConfig})
    return f"PluginError: {info.value}"


def test_every_sentence_is_what_is_printed(machine, capsys):
    make_demo(Path("demo/data"), SMALL)
    assert lpose(["new", "plugin", "my-loss", "kind=loss"]) == 0
    machine.install(Path("my-loss"))
    faulty(machine)
    Path("runs/theirs").mkdir(parents=True)
    Path("runs/theirs/config.yaml").write_text("parts: {backbone: resnet18, head: heatmap, losses: [whisker_bend]}")
    capsys.readouterr()
    pairs = [block.splitlines() for block in blocks("text") if block.startswith(("$ ", ">>> "))]
    assert len(pairs) == 15
    for command, sentence in pairs:
        printed = said(command, capsys)
        pattern = re.escape(sentence).replace("…", ".+")
        assert re.fullmatch(pattern, printed), f"{command}\n{printed}"


def test_a_broken_part_of_any_kind_harms_no_command(machine, capsys):
    """Not even those that look through all parts of a kind: label formats, metrics, runtimes."""
    make_demo(Path("demo/data"), SMALL)
    groups = {registry.group: {"aaa_broken": "needs_library:Config"} for registry in registries()}
    (machine.path[0] / "needs_library.py").write_text("import no_such_library")
    distribution(machine.path[0], "needs-library", groups)
    machine.look_again()
    words = ["data.root=demo/data", "out=run", *SHORTER.split()]
    assert lpose(["train", *words]) == 0
    assert lpose(["predict", "run=run", "source=demo/data/videos/session0.mp4", "out=keypoints", "format=h5"]) == 0
    capsys.readouterr()
    assert lpose(["plugins"]) == 0
    broken = [line for line in capsys.readouterr().out.splitlines() if "BROKEN" in line]
    assert len(broken) == len(registries()) and all("needs-library fails to import" in line for line in broken)
