"""Typed interfaces shared by every lp package, and the way to find implementations.

This module needs numpy only; the tensor protocols are in `lp_core.tensors`, the conformance suites in `lp_core.testing`.
"""

from lp_core.animals import Animals, AnimalTracker
from lp_core.configs import (
    AnimalHeadConfig,
    AugmentationConfig,
    BackboneConfig,
    ClipSourceConfig,
    DetectorConfig,
    HeadConfig,
    LabelFormatConfig,
    LossConfig,
    MetricConfig,
    PredictorConfig,
    RuntimeConfig,
    TableWriterConfig,
    TargetGeneratorConfig,
    TrackerConfig,
)
from lp_core.coordinates import Resize, Size
from lp_core.errors import ConfigError, DataError, LpError, PluginError, UnknownNameError
from lp_core.labels import (
    NOT_LABELED,
    OCCLUDED,
    VISIBLE,
    LabelFormat,
    LabelSet,
    Metric,
    PoseTable,
    TableWriter,
    TrainingPoses,
    VideoFacts,
)
from lp_core.registry import (
    REGISTRIES,
    PartInfo,
    Registry,
    augmentations,
    backbones,
    clip_sources,
    detectors,
    heads,
    label_formats,
    losses,
    metrics,
    predictors,
    runtimes,
    table_writers,
    target_generators,
    trackers,
)
from lp_core.runtime import Poses, Runtime
from lp_core.words import listed, nearest

__all__ = [
    "NOT_LABELED", "OCCLUDED", "REGISTRIES", "VISIBLE", "AnimalHeadConfig", "AnimalTracker", "Animals",
    "AugmentationConfig", "BackboneConfig", "ClipSourceConfig", "ConfigError", "DataError", "DetectorConfig",
    "HeadConfig", "LabelFormat", "LabelFormatConfig", "LabelSet", "LossConfig", "LpError", "Metric", "MetricConfig",
    "PartInfo", "PluginError", "PoseTable", "Poses", "PredictorConfig", "Registry", "Resize", "Runtime",
    "RuntimeConfig", "Size", "TableWriter", "TableWriterConfig", "TargetGeneratorConfig", "TrackerConfig",
    "TrainingPoses", "UnknownNameError", "VideoFacts", "augmentations", "backbones", "clip_sources", "detectors",
    "heads", "label_formats", "listed", "losses", "metrics", "nearest", "predictors", "runtimes", "table_writers",
    "target_generators", "trackers",
]  # fmt: skip
