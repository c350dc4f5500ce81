"""What every metric must do. NumPy only."""

import dataclasses
from typing import Any

import numpy as np

from lp_core import Metric, TrainingPoses, metrics

FRAMES = 12


class MetricContract:
    """Subclass in a plugin's tests and set `name`; override `poses` if the metric needs other labels to apply."""

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012

    def build(self) -> Metric:
        """The metric, which must apply to `poses`."""
        metric = metrics.make(self.name, **self.options).build(self.poses())
        assert metric is not None
        return metric

    def poses(self) -> TrainingPoses:
        """Labels to learn from: four keypoints, two body parts in two views, in a subspace but for noise."""
        rng = np.random.default_rng(0)
        flat = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(40, 8)) + 50
        names = ("nose_top", "tail_top", "nose_bot", "tail_bot")
        return TrainingPoses(
            keypoint_names=names, keypoints=flat.reshape(40, 4, 2), views=((0, 1), (2, 3)), singleview=(0, 1, 2, 3)
        )

    def predicted(self) -> np.ndarray:
        """Poses near the labels; one keypoint of the third frame, and the fifth frame, are not predicted."""
        rng = np.random.default_rng(1)
        out = self.poses().keypoints[:FRAMES] + rng.normal(size=(FRAMES, 4, 2))
        out[2, 1], out[4] = np.nan, np.nan
        return out

    def values(self, predicted: np.ndarray, labeled: np.ndarray | None = None) -> np.ndarray:
        """Of `predicted`, with labels if it needs them."""
        metric = self.build()
        if labeled is None and metric.needs_labels:
            labeled = self.poses().keypoints[: len(predicted)]
        return metric(predicted, labeled)

    def test_its_config_is_a_slots_dataclass(self) -> None:
        cls = metrics[self.name]
        assert dataclasses.is_dataclass(cls) and hasattr(cls, "__slots__") and isinstance(self.build(), Metric)

    def test_its_name_can_end_a_file_s(self) -> None:
        """`VIDEO_<name>.csv` is written."""
        assert self.build().name.replace("_", "").isalnum()

    def test_one_number_per_frame_and_keypoint(self) -> None:
        values = self.values(self.predicted())
        assert values.shape == (FRAMES, 4) and values.dtype == np.float64 and np.isfinite(values).any()

    def test_no_value_where_nothing_is_predicted(self) -> None:
        values = self.values(self.predicted())
        assert np.isnan(values[2, 1]) and np.isnan(values[4]).all()

    def test_what_comes_in_stays_what_it_is(self) -> None:
        predicted, labeled = self.predicted(), self.poses().keypoints[:FRAMES]
        before = predicted.copy(), labeled.copy()
        self.values(predicted, labeled)
        np.testing.assert_array_equal(predicted, before[0])
        np.testing.assert_array_equal(labeled, before[1])

    def test_labels_matter_only_where_they_are_needed(self) -> None:
        predicted, labeled = self.predicted(), self.poses().keypoints[:FRAMES]
        one, two = self.values(predicted, labeled), self.values(predicted, labeled + 3)
        assert np.array_equal(one, two, equal_nan=True) != self.build().needs_labels

    def test_order_matters_only_where_it_means_time(self) -> None:
        predicted, labeled, order = (
            self.predicted(),
            self.poses().keypoints[:FRAMES],
            np.roll(np.arange(FRAMES)[::-1], 3),
        )
        one, two = self.values(predicted, labeled)[order], self.values(predicted[order], labeled[order])
        if self.build().temporal:
            assert not np.array_equal(one, two, equal_nan=True)
        else:
            np.testing.assert_allclose(one, two)

    def test_few_frames(self) -> None:
        for count in (1, 2):
            assert self.values(self.predicted()[:count]).shape == (count, 4)
