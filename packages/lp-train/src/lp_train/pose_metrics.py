"""The metrics that are written beside predictions, as parts: `lp.metrics`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from lp_core import ConfigError, Metric, MetricConfig, PluginError, TrainingPoses, metrics
from lp_losses import PoseSubspace, multiview_columns, pose_centering, singleview_columns

from lp_train.metrics import pixel_error

Poses = Float[np.ndarray, "frames keypoints 2"]
Values = Float[np.ndarray, "frames keypoints"]


@dataclass(frozen=True, slots=True)
class PoseMetric:
    """`lp_core.Metric` from a function of predictions and labels."""

    name: str
    function: Callable[[Poses, Poses | None], Values]
    needs_labels: bool = False
    temporal: bool = False

    def __call__(self, predicted: Poses, labeled: Poses | None = None) -> Values:
        """See `lp_core.Metric`."""
        return self.function(predicted, labeled)


def temporal_norm(predicted: Poses) -> Values:
    """Distance to the same keypoint in the frame before, in px; NaN in the first frame."""
    out = np.full(predicted.shape[:2], np.nan)
    out[1:] = np.linalg.norm(np.diff(predicted, axis=0), axis=-1)
    return out


def build_metrics(poses: TrainingPoses) -> list[Metric]:
    """Every installed metric that applies to these keypoints, with its default options."""
    found = []
    for name in metrics:
        try:
            metric = metrics[name]().build(poses)
        except PluginError:
            continue  # lpose plugins says what is wrong with it
        if metric is not None:
            found.append(metric)
    return found


@dataclass(slots=True, kw_only=True)
class PixelErrorConfig(MetricConfig):
    """Distance between prediction and label."""

    def build(self, poses: TrainingPoses) -> Metric:
        """The metric."""
        return PoseMetric("pixel_error", lambda p, t: pixel_error(p, _labels(t)), needs_labels=True)


@dataclass(slots=True, kw_only=True)
class TemporalNormConfig(MetricConfig):
    """Distance between a keypoint's predictions in consecutive frames."""

    def build(self, poses: TrainingPoses) -> Metric:
        """The metric."""
        return PoseMetric("temporal_norm", lambda p, _: temporal_norm(p), temporal=True)


@dataclass(slots=True, kw_only=True)
class PCASingleviewErrorConfig(MetricConfig):
    """Distance between a pose and the nearest one in the subspace of the labeled poses.

    Attributes:
        components_to_keep: a number of directions, or the share of the variance (below 1) that they explain.
    """

    components_to_keep: float = 0.99

    def build(self, poses: TrainingPoses) -> Metric | None:
        """The metric; None if there are too few labels to fit the subspace to."""
        space = PoseSubspace(singleview_columns(poses), self.components_to_keep, pose_centering(poses, None))
        return _subspace_error("pca_singleview_error", space, poses)


@dataclass(slots=True, kw_only=True)
class PCAMultiviewErrorConfig(MetricConfig):
    """Distance between a body part in all views and the nearest that three dimensions allow."""

    components_to_keep: float = 3

    def build(self, poses: TrainingPoses) -> Metric | None:
        """The metric; None if there is one view only, or too few labels."""
        if not poses.views:
            return None
        space = PoseSubspace(multiview_columns(poses), self.components_to_keep)
        return _subspace_error("pca_multiview_error", space, poses)


def _subspace_error(name: str, space: PoseSubspace, poses: TrainingPoses) -> Metric | None:
    try:
        space.fit(poses.keypoints)
    except ConfigError:
        return None
    return PoseMetric(name, lambda p, _: space.error(p))


def _labels(labeled: Poses | None) -> Poses:
    if labeled is None:
        raise ConfigError("The metric pixel_error needs labels; evaluate on labeled frames.")
    return labeled
