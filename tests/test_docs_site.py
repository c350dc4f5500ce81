"""What the pages say is so: sentences of errors, pictures, and the reference of every package."""

import ast
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LIMIT = 200_000  # bytes of a picture
FRONT = {"lp-core", "lp-io", "lp-backbones", "lp-losses", "lp-data", "lp-data-dali", "lp-train", "lp-infer", "lp-viz"}


def sentences():
    text = (DOCS / "troubleshooting.md").read_text()
    return re.findall(r"^lpose: (.+)$", text, re.MULTILINE)


def strings(path):
    """The strings of a module, with … for what is filled in."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def said():
    """All strings, of each of our packages."""
    sources = [*ROOT.glob("packages/*/src"), ROOT / "apps/src"]
    return ["\n".join(text for path in folder.rglob("*.py") for text in strings(path)) for folder in sources]


@pytest.mark.parametrize("sentence", sentences())
def test_the_sentence_is_one_that_we_say(sentence, said):
    pieces = (piece.strip(" .,;:()'?") for piece in re.split("…|; ", sentence))
    fixed = [piece for piece in pieces if len(piece) > 2 and piece != "did you mean"]  # said by lp_core, whoever asks
    assert fixed and any(all(piece in text for piece in fixed) for text in said), fixed


def test_there_are_sentences_to_look_for():
    assert len(sentences()) >= 25 and len(set(sentences())) == len(sentences())


def test_every_part_and_front_door_is_in_the_reference():
    for project in ROOT.glob("packages/*/pyproject.toml"):
        name = project.parent.name
        if name == "lp-kit":
            continue
        page = (DOCS / "reference" / f"{name.replace('-', '_')}.md").read_text()
        shown = set(re.findall(r"^::: (\S+)$", page, re.MULTILINE))
        groups = tomllib.loads(project.read_text())["project"].get("entry-points", {})
        parts = {target.replace(":", ".") for group in groups.values() for target in group.values()}
        assert parts <= shown, f"{name}: {parts - shown}"
        assert name not in FRONT or name.replace("-", "_") in shown


def test_the_drawings_of_the_explanations_can_be_made(tmp_path):
    runpy.run_path(str(DOCS / "images/make.py"))["main"]([str(tmp_path), "--quick"])
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"jumps.png", "mirrored.jpg", "pixels.png"}
    for name in made:
        with Image.open(tmp_path / name) as new, Image.open(DOCS / "images" / name) as kept:
            assert new.size == kept.size and len(set(new.convert("L").tobytes())) > 20


def test_pictures_are_small_and_used():
    text = "".join(page.read_text() for page in [*DOCS.rglob("*.md"), ROOT / "README.md"])
    for path in DOCS.glob("images/*.[jp][pn]g"):
        assert path.stat().st_size < LIMIT and f"images/{path.name}" in text, path.name


def test_pixels_page_shows_what_it_says(capsys):
    page = (DOCS / "pixels.md").read_text()
    exec(page.partition("```python\n")[2].partition("```")[0], {})
    assert capsys.readouterr().out.splitlines() == ["[[127.5 127.5]]", "[[197.5 202.5]]"]


def test_links_are_checked_when_the_site_is_built():
    text = re.sub(r"!!python\S*", "", (ROOT / "mkdocs.yml").read_text())
    site = yaml.safe_load(text)
    assert site["strict"] and site["validation"]["nav"]["omitted_files"] == "warn"
    assert {site["validation"]["links"][key] for key in ("not_found", "anchors", "unrecognized_links")} == {"warn"}


def test_commands_of_the_page_on_machines_are_run_elsewhere(commands):
    run = set(commands("docs/prediction.md"))
    assert commands("docs/clusters.md") and set(commands("docs/clusters.md")) <= run
