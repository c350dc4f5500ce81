"""Fragments become a version's part of the changelog."""

import datetime

import pytest
from changelog import release

DAY = datetime.date(2026, 11, 21)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes/README.md").write_text("How.")
    (tmp_path / "changes/b.md").write_text("Second,\non two lines.\n")
    (tmp_path / "changes/a.md").write_text("First.\n")
    return tmp_path


def test_fragments_are_joined_and_removed(root):
    assert release(root, "0.2.0", DAY) == ""
    text = (root / "CHANGELOG.md").read_text()
    assert text.endswith("## 0.2.0 (2026-11-21)\n\n- First.\n- Second,\n  on two lines.\n")
    assert [f.name for f in (root / "changes").iterdir()] == ["README.md"]


def test_the_newest_version_is_on_top(root):
    release(root, "0.2.0", DAY)
    (root / "changes/c.md").write_text("Third.")
    assert release(root, "0.3.0", DAY) == ""
    text = (root / "CHANGELOG.md").read_text()
    assert text.index("## 0.3.0") < text.index("Third.") < text.index("## 0.2.0") < text.index("First.")
    assert text.count("# Changes\n") == 1


def test_what_cannot_be_is_refused_and_nothing_is_touched(root):
    assert "no version" in release(root, "next", DAY)
    assert release(root, "0.2.0", DAY) == ""
    assert "no fragments" in release(root, "0.3.0", DAY)
    (root / "changes/c.md").write_text("Third.")
    assert "has 0.2.0 already" in release(root, "0.2.0", DAY)
    assert (root / "changes/c.md").exists()
