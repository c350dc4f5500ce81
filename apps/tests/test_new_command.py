"""`lpose new plugin`: every kind is a whole package whose tests pass the moment it is made."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from lp_apps import main as command
from lp_apps.plugin_template import check_kind, kinds
from lp_apps.plugins import registries

FILES = {"pyproject.toml", "README.md", "LICENSE", ".gitignore", ".github/workflows/test.yml"}


def made(folder, kind):
    """A fresh plugin of `kind`, called as the kind is."""
    name = f"try-{kind.replace('_', '-')}"
    assert command.main(["new", "plugin", name, "--kind", kind, f"out={folder / name}"]) == 0
    return folder / name


def as_if_installed(plugin, site):
    """What pip leaves in site-packages of an editable plugin, from its pyproject.toml; returns its sources' folder."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in parts.items())
        for group, parts in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))
    return plugin / "src"


def environment(*folders):
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    found = {kind: made(folder, kind) for kind in kinds()}
    sources = [as_if_installed(plugin, folder / "site") for plugin in found.values()]
    return found, environment(folder / "site", *sources)


def test_the_tests_of_every_kind_pass(plugins):
    """All in one process, so that torch is imported once."""
    found, env = plugins
    tests = [str(plugin / "tests") for plugin in found.values()]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir"]
    first = str(next(iter(found.values())).parent)
    done = subprocess.run([*words, first, *tests], env=env, cwd=first, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.splitlines()[-1].split(" passed")[0]) > 5 * len(found)


def test_every_kind_is_listed_with_what_it_is(plugins):
    found, env = plugins
    done = subprocess.run(
        [sys.executable, "-m", "lp_apps.main", "plugins"], env=env, capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert "BROKEN" not in done.stdout
    for kind, plugin in found.items():
        expected = [check_kind(kind).group, f"try_{kind}", plugin.name]
        assert any(words[:3] == expected and len(words) > 4 for words in lines), kind


def test_every_file_is_there_and_says_what_is_so(plugins):
    found, _ = plugins
    for kind, plugin in found.items():
        facts, package = check_kind(kind), f"try_{kind}"
        own = {f"src/{package}/{name}" for name in ("__init__.py", "py.typed", f"{facts.module}.py")}
        files = {p.relative_to(plugin).as_posix() for p in plugin.rglob("*") if p.is_file() and p.suffix != ".pyc"}
        assert files == FILES | own | {f"tests/test_{facts.module}.py"}
        texts = {name: (plugin / name).read_text() for name in files}
        assert not [name for name, text in texts.items() if "$" in text.replace("${{", "")]
        assert f"kind={kind}" not in texts["README.md"] and package in texts["README.md"]
        project = tomllib.loads(texts["pyproject.toml"])["project"]
        assert project["entry-points"] == {facts.group: {package: f"{package}.{facts.module}:{facts.config}"}}
        assert "the authors of" in texts["LICENSE"]
        assert max(map(len, "\n".join(t for n, t in texts.items() if n.endswith(".py")).splitlines())) <= 130


def test_it_declares_what_it_imports(plugins):
    """Third-party names in its sources are its dependencies, and nothing else is."""
    import ast

    found, _ = plugins
    for plugin in found.values():
        project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
        declared = {d.partition(">")[0].replace("-", "_") for d in project["dependencies"]}
        trees = [ast.walk(ast.parse(path.read_text())) for path in plugin.glob("src/*/*.py")]
        nodes = [node for tree in trees for node in tree]
        names = {a.name.partition(".")[0] for n in nodes if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module.partition(".")[0] for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
        by_name = {"lp_heads"} if plugin.name == "try-head" else set()  # its parts are found through the registry
        assert names - set(sys.stdlib_module_names) | by_name == declared, plugin.name


def test_options_of_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["new", "plugin", "My.Own_Loss", "--kind=loss", "--author", "A. Nobody"]) == 0
    assert (tmp_path / "my-own-loss/src/my_own_loss/acceleration.py").exists()
    assert "Copyright (c)" in (text := Path("my-own-loss/LICENSE").read_text()) and "A. Nobody" in text
    said = capsys.readouterr().out
    assert 'python -m pip install -e "./my-own-loss[test]"' in said and "python -m pytest my-own-loss" in said
    assert [p.name for p in tmp_path.iterdir()] == ["my-own-loss"]  # nothing half-made is left


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "lpose new makes a plugin. Say lpose new plugin NAME kind=KIND."),
        (["plugn", "a-b"], "lpose new makes a plugin, not 'plugn'; did you mean 'plugin'?"),
        (["plugin", "kind=loss"], "name=… must be given"),
        (["plugin", "my-loss"], "kind=… must be given: one of augmentation, backbone"),
        (["plugin", "my-loss", "kind=los"], "kind=los is unknown; did you mean 'loss'? Choose one of augmentation"),
        (["plugin", "my-loss", "--kind"], "--kind needs a value: --kind VALUE, or kind=VALUE."),
        (["plugin", "my-loss", "kind=loss", "outt=x"], "There is no option 'outt'; did you mean 'out'?"),
        (["plugin", "2fast", "kind=loss"], "NAME='2fast' must be letters, digits and hyphens and begin with a letter"),
        (["plugin", "-loss", "kind=loss"], "NAME='-loss' must be letters"),
        (["plugin", "../up", "kind=loss"], "NAME='../up' must be letters"),
        (["plugin", "größe", "kind=loss"], "NAME='größe' must be letters"),
        (["plugin", "lambda", "kind=loss"], "NAME='lambda' is a word of Python's; choose another, my-lambda"),
        (["plugin", "Random", "kind=loss"], "NAME='Random': a module 'random' exists already"),
        (["plugin", "lp-losses", "kind=loss"], "NAME='lp-losses': a module 'lp_losses' exists already"),
        (
            ["plugin", "temporal", "kind=loss"],
            "lp.losses: 'temporal' already comes from lp-losses; choose another NAME.",
        ),
        (["plugin", "my-loss", "kind=loss", "out=taken"], "taken exists, and nothing in it is replaced"),
    ],
)
def test_a_mistake_is_one_sentence_and_makes_nothing(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    assert command.main(["new", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("lpose: ") and sentence in error and error.count("\n") == 1
    assert [p.name for p in tmp_path.rglob("*")] == ["taken"]


def test_the_help_names_every_kind(capsys):
    assert command.main(["new", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(kind in text for kind in kinds())
    assert {check_kind(kind).group for kind in kinds()} <= {registry.group for registry in registries()}
