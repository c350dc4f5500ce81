"""What is meant by what was typed."""

import pytest
from lp_core import ConfigError, listed, nearest

LOSSES = ["consistency", "heatmap_mse", "pca_multiview", "temporal"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("temproal", "temporal"), ("consistancy", "consistency"), ("PCA", "pca_multiview"), ("mse", "heatmap_mse"),
        ("pca_multi", "pca_multiview"), ("heatmap-mse", "heatmap_mse"),
    ],
)  # fmt: skip
def test_the_nearest_name(typed, meant):
    assert nearest(typed, LOSSES) == f"; did you mean {meant!r}?"


@pytest.mark.parametrize("typed", ["xyzzy", "nonsense", "resistance", "smoothness", "t", "", "_", "pac"])
def test_nothing_is_near_to_nonsense(typed):
    assert nearest(typed, LOSSES) == "."


def test_one_letter_of_three_is_near_and_two_are_not():
    assert nearest("rai", ["ray", "slurm"]) == "; did you mean 'ray'?"
    assert nearest("pca", ["paf"]) == nearest("foo", ["coco"]) == nearest("kl", ["js"]) == "."


def test_the_last_part_of_a_key_is_enough():
    keys = ["data", "data.image_size", "training.max_epochs", "training.learning_rate"]
    assert nearest("epochs", keys) == nearest("max_epochs", keys) == "; did you mean 'training.max_epochs'?"
    assert nearest("data.image_sise", keys) == "; did you mean 'data.image_size'?"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[a,b]", ["a", "b"]),
        (" [ a , 'b' ] ", ["a", "b"]),
        ("a,b", ["a", "b"]),
        ("a", ["a"]),
        ("[]", []),
        ("", []),
        ("[a,]", ["a"]),
        ('["a,b.mp4",c.mp4]', ["a,b.mp4", "c.mp4"]),
        ("['a, b.mp4' , \"it's.mp4\"]", ["a, b.mp4", "it's.mp4"]),
        ('"a,b.mp4"', ["a,b.mp4"]),
        ("[it's.mp4,5\" b.mp4]", ["it's.mp4", '5" b.mp4']),
        (r'["C:\Mäuse, alt\",D:\b]', ["C:\\Mäuse, alt\\", r"D:\b"]),
        ("videos/[ab]*.mp4", ["videos/[ab]*.mp4"]),
    ],
)
def test_elements_of_a_list(text, names):
    assert listed(text) == names


@pytest.mark.parametrize("text", ["['a,b]", '["a"b,c]', '[a,"b]'])
def test_a_quote_that_does_not_end_is_one_sentence(text):
    with pytest.raises(
        ConfigError, match=r"cannot be read as a list: ['\"] does not end where a name ends; write names"
    ):
        listed(text)
