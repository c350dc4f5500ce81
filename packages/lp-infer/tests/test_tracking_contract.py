"""Every tracker keeps the contract, and the contract is not kept by what is none."""

import numpy as np
import pytest
from lp_core import trackers
from lp_core.testing.tracker import TrackerContract


class TestSkeleton(TrackerContract):
    name = "skeleton"


class TestEllipse(TrackerContract):
    name = "ellipse"


class TestBox(TrackerContract):
    name = "box"


def test_every_tracker_of_ours_is_tested():
    ours = {info.name for info in trackers.parts() if info.distribution == "lp-infer"}
    assert ours == {cls.name for cls in (TestSkeleton, TestEllipse, TestBox)}


class InOrder:
    """No tracker: numbers animals as they come in the frame, present or not."""

    def update(self, keypoints, confidence):
        return np.arange(len(keypoints))


@pytest.mark.parametrize("test", [name for name in dir(TrackerContract) if name.startswith("test_")])
def test_the_suite_finds_what_is_wrong(test, monkeypatch):
    suite = TrackerContract()
    suite.name = "box"
    monkeypatch.setattr(suite, "build", InOrder)
    passes = {
        "test_its_config_is_a_slots_dataclass",
        "test_animals_apart_keep_their_numbers_from_zero_on",
        "test_two_trackers_know_nothing_of_each_other",
    }
    if test in passes:
        getattr(suite, test)()
    else:
        with pytest.raises(AssertionError):
            getattr(suite, test)()
