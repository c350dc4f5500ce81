"""How many frames a step has, where nobody says so."""

import pytest
from lp_train import compose
from lp_train.data import load_data


def batch_size(project, *words):
    said = []
    config = compose([f"data.root={project}", "data.image_size=[64,64]", *words])
    load_data(config, said.append)
    return config.training.batch_size, any("batches of 8" in sentence for sentence in said)


def test_few_frames_train_in_smaller_batches_and_it_is_said(project):
    assert batch_size(project) == (8, True)


@pytest.mark.parametrize("size", [3, 16])
def test_what_is_given_stays(project, size):
    assert batch_size(project, f"training.batch_size={size}") == (size, False)


def test_many_frames_and_losses_that_learn_from_video_keep_larger_ones(project, monkeypatch):
    assert batch_size(project, "losses=[temporal]") == (16, False)
    monkeypatch.setattr("lp_train.data.FEW", 5)
    assert batch_size(project) == (16, False)
