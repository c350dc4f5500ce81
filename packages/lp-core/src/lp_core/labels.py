"""What every label format is read into, and every prediction table is written from. NumPy only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from lp_core.animals import Animals
from lp_core.coordinates import Size

NOT_LABELED, OCCLUDED, VISIBLE = 0, 1, 2  # the COCO visibility flags


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """Labeled frames of one project.

    Attributes:
        root: folder that the image paths are relative to.
        source: the label file it came from, for messages.
        images: one path per frame, relative to `root`, with forward slashes, in file order.
        keypoint_names: names in file order, unique.
        keypoints: (x, y) in pixels of the original image; NaN = not labeled.
        visibility: 0 not labeled, 1 occluded (position unknown or unsure), 2 visible.
        skeleton: pairs of keypoint indices joined by a line; empty if the project names none.
        scorer: who labeled, as the file says.
        animals: where there are several, how the keypoints are divided among them; names are `animals.keypoint_names`.
    """

    root: Path
    source: Path
    images: tuple[str, ...]
    keypoint_names: tuple[str, ...]
    keypoints: Float[np.ndarray, "frames keypoints 2"]
    visibility: Int[np.ndarray, "frames keypoints"]
    skeleton: tuple[tuple[int, int], ...] = ()
    scorer: str = "lp"
    animals: Animals | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseTable:
    """Predicted poses of a sequence of frames.

    Attributes:
        index: one image path per row (labeled data) or frame numbers as int (video).
        keypoints: (x, y) in pixels of the original frame; NaN = no prediction.
        confidence: 0 to 1.
        split: per row "train", "validation", "test" or "unused"; None for videos.
        animals: where there are several, how the keypoints are divided among them; names are `animals.keypoint_names`.
    """

    keypoint_names: tuple[str, ...]
    index: tuple[str, ...] | tuple[int, ...]
    keypoints: Float[np.ndarray, "frames keypoints 2"]
    confidence: Float[np.ndarray, "frames keypoints"]
    split: tuple[str, ...] | None = None
    scorer: str = "heatmap_tracker"
    animals: Animals | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What files for other programs say about the frames that a `PoseTable` is of.

    Attributes:
        path: the video, or the folder that the image paths of the table are relative to.
        size: (height, width) of a frame in pixels.
        fps: frames per second; None for images.
        times: presentation time of every frame of the video in seconds; None = frame number / `fps`.
        skeleton: pairs of keypoint indices joined by a line.
    """

    path: Path
    size: Size
    fps: float | None = None
    times: Float[np.ndarray, " frames"] | None = None
    skeleton: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPoses:
    """What losses and metrics may learn from: the labels of the training split, and how keypoints belong together.

    Attributes:
        keypoints: (x, y) in pixels of the original images; NaN = not labeled.
        views: for each mirrored view the columns of the same body parts, in the same order; empty if there is one view.
        singleview: the columns whose joint pose is modelled.
        animals: where there are several, how the columns are divided among them.
    """

    keypoint_names: tuple[str, ...]
    keypoints: Float[np.ndarray, "frames keypoints 2"]
    views: tuple[tuple[int, ...], ...] = ()
    singleview: tuple[int, ...] = ()
    animals: Animals | None = None


@runtime_checkable
class Metric(Protocol):
    """A number per frame and keypoint.

    Attributes:
        name: ends the file's name: `<video>_<name>.csv`, `predictions_<name>.csv`.
        needs_labels: only computed where there are labels.
        temporal: only computed where rows are consecutive frames.
    """

    name: str
    needs_labels: bool
    temporal: bool

    def __call__(
        self,
        predicted: Float[np.ndarray, "frames keypoints 2"],
        labeled: Float[np.ndarray, "frames keypoints 2"] | None = None,
    ) -> Float[np.ndarray, "frames keypoints"]:
        """Original pixels in; NaN where there is no value."""
        ...


@runtime_checkable
class LabelFormat(Protocol):
    """Reads one layout of labeled projects."""

    def detect(self, root: Path) -> bool:
        """Whether `root` looks like a project of this layout. Cheap; never raises."""
        ...

    def read(self, root: Path, file: str | None = None) -> LabelSet:
        """Read the project, or the label file named `file` in it. Raises `DataError` in one sentence."""
        ...


@runtime_checkable
class TableWriter(Protocol):
    """Writes finished predictions in one layout.

    Attributes:
        suffix: what the file's name ends with, ".h5" for instance.
    """

    suffix: str

    def write(self, path: Path, table: PoseTable, video: VideoFacts) -> None:
        """Write `path` atomically. Raises `DataError` in one sentence if the layout cannot hold the table."""
        ...
