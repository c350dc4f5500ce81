"""A library that is missing only when a part is built is one sentence, too, and names whose part it is."""

import sys

import pytest
from lp_apps import main as command


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A module of a distribution that is called otherwise, whose `build` runs `body`."""

    def make(body):
        (tmp_path / "whisker_part.py").write_text(f"def build(words):\n    {body}\n")
        info = tmp_path / "whisker_tools-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: whisker-tools\nVersion: 1.0\n")
        (info / "RECORD").write_text("whisker_part.py,,\n")
        monkeypatch.syspath_prepend(tmp_path)
        import whisker_part

        monkeypatch.setattr("lp_apps.plugins.run", whisker_part.build)

    yield make
    sys.modules.pop("whisker_part", None)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            "import no_such.library",
            "whisker-tools needs the module 'no_such', which is not installed here; pip install no_such, or uninstall "
            "whisker-tools.",
        ),
        ("from json import lods", "whisker-tools fails to import: cannot import name 'lods' from 'json'"),
    ],
)
def test_a_library_that_is_missing_later(plugin, body, sentence, capsys):
    plugin(body)
    assert command.main(["plugins"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"lpose: {sentence}") and error.count("\n") == 1
    with pytest.raises(ImportError):
        command.main(["plugins", "--debug"])
