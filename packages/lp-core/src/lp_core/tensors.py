"""What parts do, in torch. Structural: an implementation need not import this module."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledBatch:
    """Labeled frames as the loader hands them over.

    Attributes:
        images: RGB at input size.
        keypoints: (x, y) in pixels of the `input` frame; NaN = not labeled.
        visibility: 0 not labeled, 1 occluded, 2 visible.
        index: row in the label set.
        original_size: (height, width) of each original image.
        windows: for networks that look at several frames, each image between the frames before and after it.
    """

    images: UInt8[Tensor, "batch 3 height width"]
    keypoints: Float[Tensor, "batch keypoints 2"]
    visibility: Int[Tensor, "batch keypoints"]
    index: Int[Tensor, " batch"]
    original_size: Int[Tensor, "batch 2"]
    windows: UInt8[Tensor, "batch window 3 height width"] | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "LabeledBatch":
        """The same batch on another device."""
        fields = {
            n: v.to(device, non_blocking=non_blocking) for n in self.__slots__ if (v := getattr(self, n)) is not None
        }
        return replace(self, **fields)

    def __len__(self) -> int:
        return self.images.shape[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Consecutive frames of unlabeled video as a clip source hands them over.

    Attributes:
        images: RGB in 0–255 at input size, augmented if the source does that.
        valid: false for frames that are padding or could not be decoded.
        transform: affine map, un-augmented input pixels → pixels of `images`; one for the whole clip, or for each frame.
        original_size: (height, width) of the video's frames, or of each frame.
        video: number of the video in the list the source was built with.
        frames: number of each frame in that video; padding repeats the last.
    """

    images: UInt8[Tensor, "frames 3 height width"]
    valid: Bool[Tensor, " frames"]
    transform: Float[Tensor, "*each 2 3"]
    original_size: Int[Tensor, "*frames 2"]
    video: int
    frames: Int[Tensor, " frames"]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Clip":
        """The same clip on another device."""
        names = [name for name in self.__slots__ if name != "video"]
        fields = {name: getattr(self, name).to(device, non_blocking=non_blocking) for name in names}
        return replace(self, **fields)

    def __len__(self) -> int:
        return self.images.shape[0]


@runtime_checkable
class ClipSource(Protocol):
    """An endless sequence of clips. Clip number n depends on nothing but the source's configuration and seed.

    Attributes:
        clips_per_epoch: clips that cover every video once.

    Optional: `remarks`, sentences about the videos that a training says before it begins.
    """

    clips_per_epoch: int

    def clips(self, first: int, step: int = 1) -> Iterator[Clip]:
        """Clips `first`, `first + step`, `first + 2 step`, …: what a process needs to resume, and to take its share."""
        ...


@runtime_checkable
class Backbone(Protocol):
    """An `nn.Module` from normalised images to feature maps.

    Attributes:
        channels: feature channels.
        stride: input pixels per feature pixel.
        mean, std: normalisation of RGB in 0–1 that the weights expect.
    """

    channels: int
    stride: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]: ...


@runtime_checkable
class TargetGenerator(Protocol):
    """Encodes labels as targets."""

    def __call__(
        self, keypoints: Float[Tensor, "batch keypoints 2"], visibility: Int[Tensor, "batch keypoints"]
    ) -> dict[str, Tensor]:
        """Labels in input pixels → targets under keys that end in `_targ`, `heatmaps_targ` for instance."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """Decodes a head's outputs; differentiable in the coordinates."""

    def __call__(
        self, outputs: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Outputs → keypoints in input pixels, confidence in 0–1."""
        ...


@runtime_checkable
class Head(Protocol):
    """An `nn.Module` from features to outputs under keys that end in `_pred`, with the pair that encodes and decodes."""

    target_generator: TargetGenerator
    predictor: Predictor

    def __call__(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]: ...


@runtime_checkable
class Loss(Protocol):
    """A scalar objective that picks what it needs from the step's outputs by name.

    Attributes:
        name: its name in logs.
        needs: keys that must be among the inputs.
        streams: `labeled`, `unlabeled` or both: which frames it is computed on.
        weight: `1 / (2 exp(log_weight))`.
    """

    name: str
    needs: frozenset[str]
    streams: frozenset[str]
    weight: float

    def __call__(self, *, stage: str, **inputs: Tensor) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The *unweighted* scalar, and what to log under keys that start with `stage`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmented:
    """What an augmentation returns.

    Attributes:
        images: RGB in 0–255, float, at the size that came in.
        keypoints: (x, y) moved with the images; NaN where not labeled or moved out of the image.
        visibility: 0 where the keypoint is gone.
        transforms: affine maps, un-augmented input pixels → augmented input pixels; their inverse maps predictions back.
            A keypoint permutation by flips is not part of them.
        windows: of context models, the frames before, at and after each labeled one, changed like it.
    """

    images: Float[Tensor, "batch 3 height width"]
    keypoints: Float[Tensor, "batch keypoints 2"]
    visibility: Int[Tensor, "batch keypoints"]
    transforms: Float[Tensor, "batch 2 3"]
    windows: Float[Tensor, "batch window 3 height width"] | None = None


@runtime_checkable
class Augmentation(Protocol):
    """Changes a batch of images and its keypoints alike, on the device the images are on."""

    def __call__(
        self,
        images: UInt8[Tensor, "batch 3 height width"],
        keypoints: Float[Tensor, "batch keypoints 2"],
        visibility: Int[Tensor, "batch keypoints"],
        generator: torch.Generator,
    ) -> Augmented:
        """All randomness comes from `generator` (a CPU generator), so that a step can be repeated exactly."""
        ...


@runtime_checkable
class Detector(Protocol):
    """An `nn.Module` that finds the boxes of animals, from uint8 frames on; everything between is inside."""

    def __call__(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch animals 4"], Float[Tensor, "batch animals"]]:
        """RGB frames → boxes (left, top, right, bottom) in input pixels, best first, and scores in 0–1; NaN and 0 where
        fewer were found.
        """
        ...

    def loss(
        self, images: Float[Tensor, "batch 3 height width"], boxes: Float[Tensor, "batch animals 4"]
    ) -> Float[Tensor, ""]:
        """RGB in 0–255 and the true boxes (NaN = none) → the objective that trains it."""
        ...


@runtime_checkable
class PoseModel(Protocol):
    """An inference network: uint8 frames in, keypoints out, everything between inside. What runtimes run."""

    keypoint_names: tuple[str, ...]
    image_size: tuple[int, int]
    model_type: str

    def __call__(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """RGB frames at `image_size` → keypoints in input pixels, confidence in 0–1."""
        ...

    def eval(self) -> Any: ...


@runtime_checkable
class ContextPoseModel(PoseModel, Protocol):
    """A `PoseModel` that looks at `context` frames before and after each one.

    Its call takes consecutive frames of one video; in two steps each frame passes the backbone once, whatever number of
    windows it is in, and a video can come in pieces.
    """

    context: int

    def get_representations(self, images: Tensor) -> Float[Tensor, "frames channels h w"]:
        """RGB in 0–255 at `image_size` → features of each frame by itself."""
        ...

    def decode(
        self, features: Float[Tensor, "frames channels h w"], windows: Int[Tensor, "outputs window"] | None = None
    ) -> tuple[Float[Tensor, "outputs keypoints 2"], Float[Tensor, "outputs keypoints"]]:
        """Features → keypoints in input pixels, confidence; `windows` are rows of `features`, one window per output."""
        ...
