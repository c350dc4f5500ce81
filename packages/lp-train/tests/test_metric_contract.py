"""Every metric keeps the contract."""

import pytest
from lp_core import metrics
from lp_core.testing.metric import MetricContract


class TestPixelError(MetricContract):
    name = "pixel_error"


class TestTemporalNorm(MetricContract):
    name = "temporal_norm"


class TestPCASingleview(MetricContract):
    name = "pca_singleview_error"
    options = {"components_to_keep": 3}  # noqa: RUF012


class TestPCAMultiview(MetricContract):
    name = "pca_multiview_error"


def test_every_metric_of_ours_is_tested():
    ours = {info.name for info in metrics.parts() if info.distribution == "lp-train"}
    assert ours == {cls.name for cls in (TestPixelError, TestTemporalNorm, TestPCASingleview, TestPCAMultiview)}


class Idle(MetricContract):
    """A suite that passes whatever is given is none: these metrics must fail it."""

    wrong = None

    def build(self):
        return self.wrong


class Shifting:
    """Changes what comes in, and has values where nothing is predicted."""

    name, needs_labels, temporal = "shif ting", True, True

    def __call__(self, predicted, labeled=None):
        predicted += 1
        return predicted[..., 0] ** 0


@pytest.mark.parametrize("test", [name for name in dir(MetricContract) if name.startswith("test_")])
def test_the_suite_finds_what_is_wrong(test):
    suite = Idle()
    suite.name, suite.wrong = "pixel_error", Shifting()
    passes = {"test_its_config_is_a_slots_dataclass", "test_one_number_per_frame_and_keypoint", "test_few_frames"}
    if test in passes:
        getattr(suite, test)()
    else:
        with pytest.raises(AssertionError):
            getattr(suite, test)()
