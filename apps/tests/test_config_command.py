"""lpose config and lpose doctor."""

import json
import re

import pytest
import yaml
from lp_apps import doctor, main
from packaging.requirements import Requirement


def test_the_configuration_says_where_values_come_from_and_can_be_trained_with(tmp_path, capsys, monkeypatch):
    assert main.main(["config", "head=simcc", "training.max_epochs=5", "docs=true"]) == 0
    text = capsys.readouterr().out
    values = yaml.safe_load(text)
    assert values["parts"]["head"] == "simcc" and values["training"]["max_epochs"] == 5
    assert re.search(r"max_epochs: 5 +# given\n", text) and re.search(r"batch_size: 16 +# default\n", text)
    assert "# [height, width] of the network's input in pixels" in text
    (tmp_path / "my.yaml").write_text(text)
    seen = []
    monkeypatch.setattr("lp_train.train", lambda config, draw: seen.append(config) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main.main(["train", "--config", str(tmp_path / "my.yaml"), "training.batch_size=3"])
    config = seen[0]
    assert (config.training.max_epochs, config.training.batch_size) == (5, 3)
    assert type(config.head).__name__.startswith("SimCC")


def test_schema(tmp_path, capsys):
    assert main.main(["config", "schema", f"out={tmp_path / 'lpose.json'}"]) == 0
    assert "yaml-language-server" in capsys.readouterr().out
    assert json.loads((tmp_path / "lpose.json").read_text())["properties"]["parts"]["properties"]["head"]["enum"]
    assert main.main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "lpose train"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["config", "training.max_epoch=3"], "did you mean 'training.max_epochs'"),
        (["config", "--config"], "--config needs a file"),
        (["config", "--config", "/nowhere.yaml"], "/nowhere.yaml does not exist"),
        (["doctor", "now"], "takes no options"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence, capsys):
    assert main.main(words) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_the_doctor_names_what_is_missing_and_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setattr(
        doctor, "requires", lambda name: ["numpy", 'no-such-library>=1; extra == "nice"', 'numpy; extra == "had"']
    )
    monkeypatch.setattr(doctor, "ours", lambda: ["lp-core"])
    assert main.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "lacks no-such-library: pip install 'lp-core[nice]'" in text and "[had]" not in text
    for title in ("versions", "devices", "video", "runtimes", "parts", "extras"):
        assert re.search(rf"^{title}$", text, re.MULTILINE)
    assert re.search(r"torch +\d+\.\d+", text) and re.search(r"decoders +h264", text)


def test_a_requirement_that_is_always_wanted_is_no_extra():
    assert doctor._extras_of(Requirement("numpy; python_version > '3'")) == []
    assert doctor._extras_of(Requirement("x; extra == 'a' and platform_system == 'Nowhere'")) == []
