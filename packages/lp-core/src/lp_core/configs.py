"""How parts are chosen: one config dataclass per part, nominal, so that a loss cannot be put in a head's slot.

Subclasses are `@dataclass(slots=True, kw_only=True)`, check their values in `__post_init__` (raise `ConfigError`), and
import heavy libraries inside `build` only.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lp_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from lp_core.animals import Animals, AnimalTracker
    from lp_core.coordinates import Size
    from lp_core.labels import LabelFormat, Metric, TableWriter, TrainingPoses
    from lp_core.runtime import Runtime
    from lp_core.tensors import Augmentation, Backbone, ClipSource, Detector, Head, Loss, Predictor, TargetGenerator


@dataclass(slots=True, kw_only=True)
class BackboneConfig(abc.ABC):
    """Chooses a feature extractor."""

    @abc.abstractmethod
    def build(self, image_size: Size) -> Backbone:
        """Build it for images of `image_size` (height, width)."""


@dataclass(slots=True, kw_only=True)
class HeadConfig(abc.ABC):
    """Chooses a head together with its target generator and predictor."""

    @property
    @abc.abstractmethod
    def supervised_loss(self) -> str:
        """Name in `lp.losses` of the loss that trains this head on labels."""

    @property
    @abc.abstractmethod
    def model_type(self) -> str:
        """The reference's name of this kind of model; predictions are written by scorer `<model_type>_tracker`."""

    @property
    def supervised_outputs(self) -> tuple[str, ...]:
        """Further outputs that the supervised loss trains in place of its own prediction, one after the other."""
        return ()

    @property
    def context(self) -> int:
        """Frames before and after each frame that the head looks at."""
        return 0

    @abc.abstractmethod
    def build(self, *, channels: int, stride: int, num_keypoints: int, image_size: Size) -> Head:
        """Build it for features of `channels` at `stride` input pixels per feature pixel."""


@dataclass(slots=True, kw_only=True)
class AnimalHeadConfig(HeadConfig):
    """Chooses a head that finds all animals of a frame at once, best first."""

    @abc.abstractmethod
    def build_animals(self, *, channels: int, stride: int, animals: Animals, image_size: Size) -> Head:
        """Build it; its pair encodes and decodes keypoints in the order of `animals.keypoint_names`."""

    def build(self, *, channels: int, stride: int, num_keypoints: int, image_size: Size) -> Head:
        """Raises `ConfigError`: the labels do not say which animal a keypoint belongs to."""
        raise ConfigError(
            f"head={self.model_type} is for several animals, and the labels have one; choose another head."
        )


@dataclass(slots=True, kw_only=True)
class DetectorConfig(abc.ABC):
    """Chooses what finds the boxes of animals."""

    @abc.abstractmethod
    def build(self, *, image_size: Size, animals: int) -> Detector:
        """Build it for images of `image_size` (height, width) with at most so many animals."""


@dataclass(slots=True, kw_only=True)
class TrackerConfig(abc.ABC):
    """Chooses what follows animals through a video."""

    @abc.abstractmethod
    def build(self, animals: Animals) -> AnimalTracker:
        """Build one for one video."""


@dataclass(slots=True, kw_only=True)
class TargetGeneratorConfig(abc.ABC):
    """Chooses how labels become training targets."""

    @abc.abstractmethod
    def build(self, *, image_size: Size, stride: float) -> TargetGenerator:
        """Build it for input images of `image_size` and targets with one cell per `stride` input pixels."""


@dataclass(slots=True, kw_only=True)
class PredictorConfig(abc.ABC):
    """Chooses how a head's outputs become keypoints."""

    @abc.abstractmethod
    def build(self, *, image_size: Size, stride: float) -> Predictor:
        """Build it for input images of `image_size` and outputs with one cell per `stride` input pixels."""


@dataclass(slots=True, kw_only=True)
class LossConfig(abc.ABC):
    """Chooses a loss.

    Attributes:
        log_weight: the loss counts with weight `1 / (2 exp(log_weight))`.
    """

    log_weight: float = 0.0

    @abc.abstractmethod
    def build(self, poses: TrainingPoses | None = None) -> Loss:
        """Build it. `poses` is for losses that learn from the labels; raises `ConfigError` if they cannot be learned from."""


@dataclass(slots=True, kw_only=True)
class AugmentationConfig(abc.ABC):
    """Chooses a training augmentation."""

    @abc.abstractmethod
    def build(self, *, keypoint_names: tuple[str, ...]) -> Augmentation:
        """Build it; names are needed by parts that swap left and right."""


@dataclass(slots=True, kw_only=True)
class ClipSourceConfig(abc.ABC):
    """Chooses where clips of unlabeled video come from.

    Attributes:
        sequence_length: frames of a clip.
        step: frames from the start of one clip to the start of the next; 0 = `sequence_length`.
        augment: change each clip by one random affine map, brightness, contrast and noise.
    """

    sequence_length: int = 16
    step: int = 0
    augment: bool = True

    @abc.abstractmethod
    def build(self, videos: Sequence[Path], *, image_size: Size, seed: int) -> ClipSource:
        """Build it for these videos, frames stretched to `image_size`; raises `DataError` if one cannot be read."""


@dataclass(slots=True, kw_only=True)
class MetricConfig(abc.ABC):
    """Chooses a number per frame and keypoint that is written beside predictions."""

    @abc.abstractmethod
    def build(self, poses: TrainingPoses) -> Metric | None:
        """Build it; None where it does not apply to these keypoints."""


@dataclass(slots=True, kw_only=True)
class LabelFormatConfig(abc.ABC):
    """Chooses a layout of labeled projects."""

    @abc.abstractmethod
    def build(self) -> LabelFormat:
        """Build it."""


@dataclass(slots=True, kw_only=True)
class RuntimeConfig(abc.ABC):
    """Chooses what runs a network for prediction.

    Attributes:
        batch_size: frames per call; 0 = what suits the network and the device.
        precision: float32, bfloat16, float16 or int8, whichever it knows; auto = float32.
        device: cpu, cuda, cuda:1, mps, or auto for the best present.
        threads: on a CPU; 0 = its own choice.
    """

    batch_size: int = 0
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0

    @abc.abstractmethod
    def missing(self) -> str:
        """What has to be installed before it can run, as a command; empty if nothing."""

    @abc.abstractmethod
    def build(self, model: Any) -> Runtime:
        """Make ready a `PoseModel` that is a torch module, or the path of an exported file.

        Raises:
            ConfigError: no such device or precision here, or it cannot run this kind of model.
        """


@dataclass(slots=True, kw_only=True)
class TableWriterConfig(abc.ABC):
    """Chooses a layout of predictions."""

    @abc.abstractmethod
    def build(self) -> TableWriter:
        """Build it; raises `ConfigError` if the library it writes with is not installed."""
