"""Every example of the README and of the documentation is run by a test, or is named here with the reason why not."""

import ast
import re
import shlex
import subprocess
from pathlib import Path

import lp_infer
import pytest
from lp_apps import predict
from lp_apps.main import main as lpose
from lp_apps.options import parse
from lp_infer.clusters import open_cluster
from lp_viz.tensorboard_viewer import TensorBoardConfig

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{p.relative_to(ROOT / 'docs')}" for p in ROOT.glob("docs/**/*.md"))]
PAGES += [str(p.relative_to(ROOT)) for p in ROOT.glob("packages/*/README.md")]
WHOLE = {  # every command of ours on these pages is run, in order; by
    "docs/getting-started.md": "test_docs", "docs/labels.md": "test_docs", "docs/convert.md": "test_docs",
    "docs/prediction.md": "test_docs", "docs/unlabeled-video.md": "test_docs", "docs/report.md": "test_docs",
    "docs/newcomer.md": "test_docs_newcomer", "docs/several-animals.md": "test_docs_animals",
    "docs/plugins.md": "test_docs_plugins", "docs/deeplabcut-engine.md": "test_docs_engine",
    "packages/lp-infer/README.md": "packages/lp-infer/tests/test_readme",
}  # fmt: skip
PYTHON = {
    "docs/add-a-loss.md": "test_docs_engine", "docs/add-a-model.md": "test_docs_engine", "docs/port.md": "test_docs_engine",
    "docs/add-an-augmentation.md": "test_docs_engine", "docs/add-a-label-format.md": "test_docs_engine",
    "docs/deeplabcut-engine.md": "test_docs_engine", "docs/python.md": "test_docs_python",
    "docs/pixels.md": "test_docs_site", "docs/decisions/0003-keypoint-shape.md": "test_docs",
    "docs/prediction.md": "test_docs", "docs/beside-deeplabcut.md": "test_docs_deeplabcut",
}  # fmt: skip
TOML = {
    "docs/add-a-loss.md",
    "docs/add-a-model.md",
    "docs/add-an-augmentation.md",
    "docs/add-a-label-format.md",
    "docs/index.md",
}
TEXT = {  # what is printed, and by which test that is known
    "docs/plugins.md": "test_docs_plugins", "docs/troubleshooting.md": "test_docs_site", "docs/pixels.md": "test_docs_site",
    "docs/releasing.md": "tools/tests/test_api",
}  # fmt: skip
NOT_OURS = (  # pip, uv, git, ssh and their like: other people's programs, with what they do to this machine
    "pip install", "pip uninstall", "python -m pip ", "python3 -m pip ", "python3 -m uv ", "python -m uv ", "source ", "ssh ",
    "tensorboard ", "python -m build ", "python -m twine ", "python -m pytest ", "#",
)  # fmt: skip
ELSEWHERE = {  # needs what a test's machine lacks; run by
    "clips=dali": "test_end_to_end, where DALI is installed", "device=cuda": "tests/gpu, on a GPU machine",
    "viewer=fiftyone": "nox -s fiftyone",
    "$SLURM_ARRAY_TASK_ID": "test_a_script_for_slurm_is_a_training",
}  # fmt: skip


def blocks(page):
    """(language, text) of each fenced block; blocks of pages in other pages are theirs."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def lines(page):
    """The commands of a page, without remarks."""
    texts = [text.replace("\\\n", " ") for language, text in blocks(page) if language in ("console", "bash")]
    found = [re.sub(r"\s+# .*$", "", line).strip() for text in texts for line in text.splitlines()]
    return [line for line in found if line]


def shape(line):
    """The command and the names of its options: `lpose predict run=A source=B` is `lpose predict run=C source=D`."""
    words = [word.partition("=")[0] for word in shlex.split(line)]
    return " ".join(words[:2]), frozenset(words[2:])


def run_elsewhere(line):
    """Whether a page that is run whole has the same command with these options and perhaps more."""
    program, options = shape(line)
    return any(
        program == other and options <= more for other, more in map(shape, (x for page in WHOLE for x in lines(page)))
    )


def test_every_block_is_of_a_kind_that_is_run():
    for page in PAGES:
        for language, text in blocks(page):
            where = f"{page}: ```{language}\n{text}"
            package = re.fullmatch(r"packages/([\w-]+)/README.md", page)
            known = {
                "console": True, "bash": True,  # line by line, below
                "python": page in PYTHON or (package and (ROOT / page).parent.joinpath("tests/test_readme.py").exists()),
                "toml": page in TOML, "text": page in TEXT or "  src/" in text,  # folders
                    "": not re.search(r"^(\$ |lpose|python|pip|import|from|>>>) ", text, re.MULTILINE),  # drawings, formulas
            }  # fmt: skip
            assert known.get(language), where


def rest():
    """Commands of ours that no test of a page runs."""
    found = [(page, line) for page in PAGES if page not in WHOLE for line in lines(page)]
    return [(page, line) for page, line in found if not line.startswith(NOT_OURS) and not run_elsewhere(line)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with what the examples name, as far as a command looks before it works; what would be started."""
    monkeypatch.chdir(tmp_path)
    for run in ("RUN", "A", "B", "demo/run", "runs/a", "runs/b", "ensemble"):
        (tmp_path / run / "video_preds").mkdir(parents=True)
        (tmp_path / run / "video_preds/night.csv").touch()
        (tmp_path / run / "config.yaml").touch()
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/night.mp4").touch()
    started = []
    monkeypatch.setattr(subprocess, "run", lambda words, **_: started.append(words))
    serve = pytest.importorskip("lp_viz.review.serve", reason="the review page needs the extra lp-viz[review]")
    monkeypatch.setattr(serve, "serve", lambda options, host, port, ready: started.append((options, host, port)))
    return started


def clustered(words, tmp_path):
    """The command's options are known, and its cluster can be opened, or one sentence says what is missing."""
    options = parse(words, predict.Options)
    try:
        open_cluster(options.cluster, options.workers, tmp_path, "cpu").close()
    except lp_infer.clusters.ConfigError as e:
        assert re.search(r"pip install|sbatch|no cluster answers", str(e)), e
    return options.cluster


@pytest.mark.parametrize(("page", "line"), rest())
def test_what_no_page_s_test_runs(page, line, place, tmp_path, capsys):
    if any(word in line for word in ELSEWHERE):
        return
    words = shlex.split(line)
    assert words[0] == "lpose", f"{page}: {line}"
    if "cluster" in shape(line)[1]:
        assert clustered(words[2:], tmp_path)
    else:
        assert lpose(words[1:]) == 0, capsys.readouterr().err
    if words[1] in ("view", "review"):
        assert len(place) == 1


def test_few_commands_are_run_apart():
    """Somebody who writes a page makes its commands run, rather than adding them to the rest."""
    assert len(rest()) <= 20


def test_every_session_that_a_page_names_exists():
    """`nox -s NAME`, and `nox -l` lists what there is."""
    named = {name for page in PAGES for name in re.findall(r"nox -s \"?(\w+)", (ROOT / page).read_text())}
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    assert len(named) >= 8 and named <= sessions


def test_a_script_for_slurm_is_a_training(tmp_path):
    (script,) = (text for _, text in blocks("docs/clusters.md") if text.startswith("#!"))
    line = script.splitlines()[-1].replace("$SLURM_ARRAY_TASK_ID", "3")
    from lp_train import compose

    config = compose(shlex.split(line)[2:])
    assert (config.out, config.training.seed, config.training.resume) == ("runs/seed3", 3, True)


def test_tensorboard_of_the_readme_is_the_one_that_view_starts():
    assert "tensorboard --logdir RUN" in lines("README.md")
    assert TensorBoardConfig().build().command({"RUN": Path("RUN")})[-2:] == ["--logdir", "RUN"]
