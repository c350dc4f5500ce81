"""A workspace of one small package, changed in ways that break its users, and in ways that don't."""

import subprocess

import pytest
from api import main

CODE = '''
"""A package."""
from small.inner import Base, helper

__all__ = ["Options", "helper"]


class Options(Base):
    """What may be chosen."""
    size: int = 3
    _hidden: int = 1

    def build(self, count: int, *, scale: float = 1.0) -> str:
        return ""
'''
INNER = """
class Base:
    seed: int = 0

def helper(a, b=2, *rest, c: int, **more): ...
def unlisted(a): ...
"""
PROJECT = '[project]\nname = "small"\n[project.entry-points."lp.losses"]\nmine = "small.parts:Mine"\n'
PARTS = "class Mine:\n    weight: float = 1.5\n"


@pytest.fixture
def workspace(tmp_path):
    source = tmp_path / "packages/small/src/small"
    source.mkdir(parents=True)
    (tmp_path / "changes").mkdir()
    (tmp_path / "packages/small/pyproject.toml").write_text(PROJECT)
    (source / "__init__.py").write_text(CODE)
    (source / "inner.py").write_text(INNER)
    (source / "parts.py").write_text(PARTS)
    commit(tmp_path, "init", "--quiet")
    assert main(["--write"], tmp_path) == 1  # new names, of which no fragment tells
    (tmp_path / "changes/first.md").write_text("The first names.")
    assert main([], tmp_path) == 0
    save(tmp_path)
    return tmp_path


def commit(root, *words):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=root, check=True)


def save(root):
    commit(root, "add", "-A")
    commit(root, "commit", "--quiet", "-m", "a change")


def edit(root, file, before, after):
    path = root / "packages/small/src/small" / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def test_the_snapshot_says_what_users_rely_on(workspace):
    lines = (workspace / "packages/small/api.txt").read_text().splitlines()
    assert lines == [
        "lp.losses mine  small.parts:Mine",
        "lp.losses mine.weight  float = 1.5",
        "small.Options  class(Base)",
        "small.Options.build  (self, count: int, *, scale: float = 1.0) -> str",
        "small.Options.seed  int = 0",
        "small.Options.size  int = 3",
        "small.helper  (a, b = 2, *rest, c: int, **more)",
    ]


@pytest.mark.parametrize(
    ("file", "before", "after", "sentence"),
    [
        ("__init__.py", ', "helper"]', "]", "small.helper was removed."),
        ("__init__.py", "size: int = 3", "size: int = 4", "small.Options.size changed from `int = 3` to `int = 4`."),
        ("__init__.py", "def build", "def make", "small.Options.make is new."),
        ("__init__.py", "scale: float", "scale: int", "to `(self, count: int, *, scale: int = 1.0) -> str`."),
        ("inner.py", "b=2", "b=3", "small.helper changed from `(a, b = 2,"),
        ("inner.py", "seed: int = 0", "", "small.Options.seed was removed."),  # inherited
        ("parts.py", "1.5", "2.5", "lp.losses mine.weight changed from `float = 1.5` to `float = 2.5`."),
    ],
)
def test_a_change_is_one_sentence(workspace, capsys, file, before, after, sentence):
    edit(workspace, file, before, after)
    assert main([], workspace) == 1
    assert sentence in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("__init__.py", "_hidden: int = 1", "_hidden: int = 2"),
        ("inner.py", "def unlisted(a)", "def unlisted(a, b)"),
        ("__init__.py", 'return ""', 'return "more"'),
    ],
)
def test_what_is_not_public_may_change(workspace, capsys, file, before, after):
    edit(workspace, file, before, after)
    assert main([], workspace) == 0
    assert capsys.readouterr().out.endswith("No public name changed.\n")


def test_a_new_snapshot_needs_a_fragment_of_the_same_change(workspace, capsys):
    edit(workspace, "inner.py", "b=2", "b=3")
    assert main(["--write"], workspace) == 1  # changes/first.md is of an earlier change
    assert main([], workspace) == 1 and "changes/" in capsys.readouterr().out
    save(workspace)
    assert main([], workspace) == 1  # committing does not help
    (workspace / "changes/second.md").write_text("`helper` takes 3.")
    assert main(["--since=HEAD~1"], workspace) == 0
