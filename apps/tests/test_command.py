"""The command: help, dispatch, and every way to get it wrong is one sentence and exit status 2."""

import errno
import json
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lp_apps import main as command
from lp_apps.options import parse
from lp_apps.predict import Options, expand
from lp_core import ConfigError, DataError


def run(*words):
    return command.main(list(words))


def test_help_is_complete_and_light(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert all(f"lpose {name}" in text for name in command.COMMANDS)
    for name in command.COMMANDS:
        assert run(name, "--help") == 0
        assert f"lpose {name}" in capsys.readouterr().out
    assert run("--version") == 0 and capsys.readouterr().out.strip()


def test_help_imports_nothing_heavy():
    heavy = {"torch", "hydra", "av", "cv2", "timm"}
    code = f"import sys; from lp_apps.main import main; main(['--help']); sys.exit(bool({heavy} & sys.modules.keys()))"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    assert time.perf_counter() - start < 10  # a hang, not a benchmark: nox -s bench has the figure


def test_plugins_lists_every_part(capsys):
    assert run("plugins") == 0
    lines = capsys.readouterr().out.splitlines()
    for group, name, owner in (
        ("lp.backbones", "resnet18", "lp-backbones"),
        ("lp.heads", "simcc", "lp-heads"),
        ("lp.losses", "heatmap_kl", "lp-losses"),
        ("lp.augmentations", "dlc", "lp-data"),
        ("lp.label_formats", "coco", "lp-io"),
    ):
        assert any(line.split()[:3] == [group, name, owner] and len(line.split()) > 4 for line in lines)
    assert not any("BROKEN" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trian"], "There is no command 'trian'; did you mean 'train'?"),
        (["train", "training.max_epoch=3"], "did you mean 'training.max_epochs'"),
        (["train", "data.root=/nowhere"], "data.root=/nowhere is not a directory"),
        (["train", "--lp-config"], "--lp-config needs a file"),
        (["train", "--lp-config", "/nowhere.yaml"], "/nowhere.yaml cannot be read as a Lightning Pose configuration"),
        (["predict", "source=x.mp4"], "run=… must be given"),
        (["predict", "run=R", "source=/nowhere.mp4"], "source=/nowhere.mp4 does not exist"),
        (["predict", "run=R", "sorce=x"], "There is no option 'sorce'; did you mean 'source'?"),
        (["predict", "run=R", "sorce=x"], "runtime, runtime.KEY, precision"),
        (["predict", "run=R", "source=x", "batch_size=many"], "batch_size=many must be of type int"),
        (["evaluate", "run=/nowhere"], "/nowhere/config.yaml does not exist; run=DIR must be the directory of a run"),
        (["render", "run"], "'run' is not key=value"),
        (["plugins", "all"], "takes no options"),
        (["demo"], "out=DIR must be given"),
        (["demo", "out=x", "animals=two"], "animals=two must be a whole number"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys):
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("lpose: ") and sentence in error and error.count("\n") == 1


def test_a_mistake_with_debug_shows_where(capsys):
    with pytest.raises(DataError):
        run("train", "data.root=/nowhere", "--debug")


def test_a_full_disk_and_an_interrupt(monkeypatch, capsys):
    def full(words):
        raise OSError(errno.ENOSPC, "No space left on device", "/data/x.csv")

    monkeypatch.setattr("lp_apps.plugins.run", full)
    assert run("plugins") == 2 and "/data/x.csv: No space left on device" in capsys.readouterr().err

    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr("lp_apps.plugins.run", interrupted)
    assert run("plugins") == 130 and "goes on from what was finished" in capsys.readouterr().err


def test_nobody_reads_on():
    """`lpose config schema | head` is no error."""
    words = [sys.executable, "-m", "lp_apps.main", "config", "schema"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 141


def test_a_log_file_has_each_line_at_once():
    script = "import sys; from lp_apps.main import main; main(['--version']); sys.stdin.read()"
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout and select.select([waiting.stdout], [], [], 20)[0], "nothing is written before the end"
        waiting.stdin.close()


def test_options_are_typed():
    options = parse(["run=R", "source=007.mp4", "batch_size=8", "overwrite=true"], Options)
    assert (options.source, options.batch_size, options.overwrite, options.out) == ("007.mp4", 8, True, None)
    with pytest.raises(ConfigError, match="must be of type bool"):
        parse(["run=R", "source=x", "overwrite=7"], Options)


def test_sources(tmp_path):
    for name in ("b.mp4", "a.AVI", "i.png", "t.csv", "notes.txt", "._b.mp4"):
        (tmp_path / name).touch()
    videos, images, tables = expand(str(tmp_path))
    assert [[p.name for p in group] for group in (videos, images, tables)] == [["a.AVI", "b.mp4"], [], []]
    assert [p.name for p in expand(str(tmp_path / "*.mp4"))[0]] == ["b.mp4"]
    for name in ("b.mp4", "a.AVI"):
        (tmp_path / name).unlink()
    assert [[p.name for p in group] for group in expand(str(tmp_path))] == [[], ["i.png"], []]
    assert [p.name for p in expand(str(tmp_path / "*.csv"))[2]] == ["t.csv"]
    with pytest.raises(DataError, match="holds no video"):
        expand(str(tmp_path / "notes.txt"))


def test_a_list_of_sources_may_name_commas_in_quotes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b.mp4", "c.mp4"):
        Path(name).touch()
    assert [str(path) for path in expand('["a,b.mp4", c.mp4]')[0]] == ["a,b.mp4", "c.mp4"]
    assert [str(path) for path in expand("a,b.mp4")[0]] == ["a,b.mp4"]
    with pytest.raises(DataError, match=r"source=a does not exist.* in quotes: source='\["):
        expand("[a,b.mp4,c.mp4]")
    with pytest.raises(ConfigError, match="names with commas as in"):
        expand("['a,b.mp4,c.mp4]")


def test_a_broken_plugin_is_listed_and_harms_nothing(tmp_path):
    info = tmp_path / "bad_dist-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lp.losses]\nbad = not_there_at_all:Config\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from lp_apps.main import main; sys.exit(main(['plugins']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "BROKEN" in done.stdout and "bad-dist" in done.stdout and "heatmap_mse" in done.stdout
    words = json.dumps(["train", "data.root=/nowhere"])
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from lp_apps.main import main; sys.exit(main({words}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "is not a directory" in done.stderr
