"""How an axis of keypoints is divided among animals."""

import pytest
from lp_core import Animals

MICE = Animals(individuals=("m1", "m2", "m3"), parts=("nose", "tail/tip"), unique=("corner",))


def test_names_say_what_they_are_of():
    assert MICE.keypoint_names == (
        "m1/nose",
        "m1/tail/tip",
        "m2/nose",
        "m2/tail/tip",
        "m3/nose",
        "m3/tail/tip",
        "corner",
    )
    assert Animals.of(MICE.keypoint_names) == MICE and MICE.owned == 6


@pytest.mark.parametrize(
    "names",
    [
        ("nose", "tail"),
        ("paw/left", "paw/right"),
        ("a/x", "b/y"),
        ("a/x", "b/x", "a/y", "b/y"),
        ("c", "a/x", "b/x"),
        (),
    ],
)
def test_other_names_are_of_one_animal(names):
    assert Animals.of(names) is None
