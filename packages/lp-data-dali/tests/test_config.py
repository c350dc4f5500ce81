"""Choosing DALI: what is wrong is said in one sentence."""

import subprocess
import sys

import pytest
import torch
from lp_core import ConfigError, clip_sources


def test_unknown_device_is_one_sentence():
    with pytest.raises(ConfigError, match=r"clips\.device='tpu' is unknown; choose one of auto, cpu, gpu\."):
        clip_sources.make("dali", device="tpu")


@pytest.mark.parametrize(("key", "value"), [("sequence_length", 0), ("step", -1), ("threads", 0)])
def test_impossible_settings_are_one_sentence(key, value):
    with pytest.raises(ConfigError, match=rf"clips\.{key}={value}"):
        clip_sources.make("dali", **{key: value})


def test_missing_dali_is_one_sentence_with_the_command(monkeypatch, videos):
    for module in [name for name in sys.modules if name.split(".")[0] == "nvidia" and "dali" in name]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("cpu", "gpu", "graph"):
        monkeypatch.delitem(sys.modules, f"lp_data_dali.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    with pytest.raises(ConfigError) as caught:
        clip_sources.make("dali", device="cpu").build(videos, image_size=(48, 64), seed=0)
    assert "pip install 'lp-data-dali[cuda130]'" in str(caught.value) and "\n" not in str(caught.value)


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch, videos):
    pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed: pip install 'lp-data-dali[cuda130]'")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"clips\.device=gpu needs a CUDA device"):
        clip_sources.make("dali", device="gpu").build(videos, image_size=(48, 64), seed=0)


def test_choosing_does_not_import_dali():
    code = "import sys, lp_data_dali; lp_data_dali.DaliClipsConfig(); sys.exit('nvidia.dali' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
