"""The choice of a detector. Light to import."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from lp_core import ConfigError, DetectorConfig, Size

if TYPE_CHECKING:
    from lp_detectors.centers import Centers
    from lp_detectors.torchvision_detector import TorchvisionDetector

STRIDES = (4, 8)


def _check(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigError(f"detector.{name}={value} must be at least 0 and below 1.")


@dataclass(slots=True, kw_only=True)
class CentersConfig(DetectorConfig):
    """Centres and sizes of animals on one map: our own, 0.6 million weights, quick on a CPU, trained from nothing.

    Attributes:
        stride: input pixels per cell of the map, 8, or 4 for small animals.
        width: channels, as a multiple of the standard.
        threshold: boxes of a lower score are left out.
        overlap: of two boxes that overlap by more (intersection over union) the worse is left out.
    """

    stride: int = 8
    width: float = 1.0
    threshold: float = 0.1
    overlap: float = 0.6

    def __post_init__(self) -> None:
        if self.stride not in STRIDES:
            raise ConfigError(f"detector.stride={self.stride} must be 4 or 8.")
        if not 0.25 <= self.width <= 4:
            raise ConfigError(f"detector.width={self.width} must be 0.25 to 4.")
        _check("threshold", self.threshold)
        _check("overlap", self.overlap)

    def build(self, *, image_size: Size, animals: int) -> "Centers":
        """The network for images of `image_size` (height, width) with at most so many animals."""
        from lp_detectors.centers import Centers

        return Centers(self, image_size, animals)


@dataclass(slots=True, kw_only=True)
class TorchvisionConfig(DetectorConfig):
    """What torchvision's detectors have in common. Images are taken at the size they come in.

    Attributes:
        pretrained: start from torchvision's COCO weights, downloaded once.
        weights: file to start from instead: a state dict of the COCO network, or of one trained here.
        kinds: COCO's names of what to find, [person] or [cat,dog]. The detector is then used as COCO's weights have it, and
            not trained. Not given: it is trained on the boxes of the labeled keypoints.
        freeze_norm: batch norm keeps its statistics, scale and shift; not given: if it starts from weights.
        threshold: boxes of a lower score are left out.
        overlap: of two boxes that overlap by more (intersection over union) the worse is left out.
    """

    network: ClassVar[str] = ""  # torchvision's name

    pretrained: bool = True
    weights: str | None = None
    kinds: list[str] = field(default_factory=list)
    freeze_norm: bool | None = None
    threshold: float = 0.1
    overlap: float = 0.6

    def __post_init__(self) -> None:
        _check("threshold", self.threshold)
        _check("overlap", self.overlap)

    def build(self, *, image_size: Size, animals: int) -> "TorchvisionDetector":
        """The network for images of `image_size` (height, width) with at most so many animals.

        Raises:
            ConfigError: the weights cannot be had or do not fit, or a kind is none of COCO's.
        """
        from lp_detectors.torchvision_detector import KindsDetector, TorchvisionDetector
        from lp_detectors.torchvision_weights import constructed, of_all_kinds

        if self.kinds:
            return KindsDetector(*of_all_kinds(self), animals, started=self.pretrained or self.weights is not None)
        frozen = self.pretrained or self.weights is not None if self.freeze_norm is None else self.freeze_norm
        return TorchvisionDetector(constructed(self, animals), animals, freeze_norm=frozen)


@dataclass(slots=True, kw_only=True)
class SsdliteConfig(TorchvisionConfig):
    """SSDLite on MobileNet v3: torchvision's smallest, 3.4 million weights."""

    network: ClassVar[str] = "ssdlite320_mobilenet_v3_large"


@dataclass(slots=True, kw_only=True)
class FasterRcnnMobilenetConfig(TorchvisionConfig):
    """Faster R-CNN on MobileNet v3 with a feature pyramid, 19 million weights."""

    network: ClassVar[str] = "fasterrcnn_mobilenet_v3_large_fpn"


@dataclass(slots=True, kw_only=True)
class FasterRcnnResnet50Config(TorchvisionConfig):
    """Faster R-CNN on ResNet-50 with a feature pyramid, second version, 43 million weights: accurate, for a GPU."""

    network: ClassVar[str] = "fasterrcnn_resnet50_fpn_v2"
