"""Where values come from; files that can be kept and changed; a schema that agrees with what training reads."""

import dataclasses

import jsonschema
import pytest
import yaml
from lp_core import ConfigError
from lp_train import as_yaml, compose, explained, read, schema
from lp_train._hydra import save
from lp_train.config import SplitConfig
from lp_train.explain import field_docs, leaves

WORDS = ["model=dekr_w32", "losses=[temporal]", "losses.temporal.epsilon=7", "training.max_epochs=5"]


def origins(words, file=None):
    return {setting.key: (setting.value, setting.origin) for setting in explained(words, file)}


def test_who_decided():
    found = origins([*WORDS, "head.hidden=64"])
    assert found["training.max_epochs"] == (5, "given")
    assert found["training.batch_size"] == (16, "default")
    assert found["parts.backbone"] == ("hrnet_w32", "model=dekr_w32")
    assert found["backbone.branches"] == ("all", "model=dekr_w32")
    assert found["backbone.pretrained"] == (True, "default of hrnet_w32")
    assert found["head.hidden"] == (64, "given") and found["parts.augmentation"] == ("dlc", "default")
    assert found["losses.temporal.epsilon"] == (7, "given")
    assert found["losses.temporal.prob_threshold"] == (0.05, "default of temporal")


def test_the_printed_file_makes_the_same_configuration_and_words_override_it(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text(as_yaml(explained(WORDS), docs=True))
    assert read([], file) == compose(WORDS)
    changed = read(["training.max_epochs=6", "head=heatmap", "losses=[]"], file)
    assert changed.training.max_epochs == 6 and not changed.losses
    assert changed.head == compose(["head=heatmap"]).head and changed.backbone == compose(WORDS).backbone
    found = origins(["head=heatmap"], file)
    assert found["training.max_epochs"] == (5, str(file)) and found["parts.backbone"] == ("hrnet_w32", str(file))
    assert found["parts.head"] == ("heatmap", "given")


def test_every_setting_of_a_run_is_there(tmp_path):
    save(compose(WORDS), tmp_path / "config.yaml")
    saved = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert {key for key, _ in leaves(saved)} == set(origins(WORDS))


@pytest.mark.parametrize("words", [[], WORDS, ["head=paf", "losses=[pca_multiview,unimodal_kl]"]])
def test_the_schema_takes_what_training_writes(words, tmp_path):
    save(compose(words), tmp_path / "config.yaml")
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(yaml.safe_load((tmp_path / "config.yaml").read_text()), schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training", {"max_epoch": 3}),
        ("parts", {"head": "heatmop"}),
        ("head", {"hidden": "many"}),
        ("data", {"root": 3}),
    ],
)
def test_the_schema_refuses_mistakes(key, value):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"parts": {"head": "heatmap"}, key: value}, schema())


def test_a_file_that_is_not_a_configuration_is_one_sentence(tmp_path):
    file = tmp_path / "my.yaml"
    with pytest.raises(ConfigError, match="does not exist"):
        read([], file)
    file.write_text("parts: {head: heatmap}\ntraining: {max_epoch: 3}")
    with pytest.raises(ConfigError, match=r"my\.yaml.*max_epoch"):
        read([], file)


def test_what_keys_mean_is_read_from_docstrings():
    assert field_docs(SplitConfig)["val"] == "shares; the rest is the test set."
    assert {f.name for f in dataclasses.fields(SplitConfig)} >= set(field_docs(SplitConfig))
