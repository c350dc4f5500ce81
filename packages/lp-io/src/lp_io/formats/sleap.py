"""SLEAP labels, `.slp` and `.pkg.slp`; needs `pip install "lp-io[sleap]"`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lp_core import NOT_LABELED, OCCLUDED, VISIBLE, DataError, LabelFormatConfig, LabelSet

from lp_io.animals import SINGLE, flat_edges, identities, part_edges, pooled
from lp_io.label_writers.layout import unused

JPEG = ("jpg", "jpeg")


class Sleap:
    """Reads a `.slp` whose frames are image files; frames of videos and embedded images must be converted first."""

    def detect(self, root: Path) -> bool:
        """A `.slp` right in `root`."""
        return any(root.glob("*.slp"))

    def read(self, root: Path, file: str | None = None) -> LabelSet:
        """Read `root/file`, by default the only `.slp`."""
        path = root / file if file else only_slp(root)
        project = read_sleap(path)
        if any(frame.file is None for frame in project.frames):
            layout = "deeplabcut" if project.labels.animals else "lightning_pose"
            raise DataError(
                f"{path} holds images inside it or labels frames of a video, and training needs image files; "
                f"make them with: lpose convert source={path} to={layout} out=DIR"
            )
        return project.labels


@dataclass(frozen=True, slots=True, kw_only=True)
class SleapFrame:
    """Where the image of one labeled frame is.

    Attributes:
        video: a `sleap_io.Video`.
        number: of the frame in it.
        file: the image file, if it is one.
    """

    video: Any
    number: int
    file: Path | None

    @property
    def encoded(self) -> bool:
        """Whether the file of an image is in the `.slp` itself."""
        backend = self.video.backend
        return bool(getattr(backend, "has_embedded_images", False)) and backend.image_format in (*JPEG, "png")

    @property
    def swapped(self) -> bool:
        """Whether red and blue are exchanged in that file, as SLEAP wrote them before its format 1.4."""
        return self.encoded and self.video.backend.channel_order == "BGR"

    @property
    def suffix(self) -> str:
        """Of the image file that the frame becomes."""
        return ".jpg" if self.encoded and not self.swapped and self.video.backend.image_format in JPEG else ".png"


@dataclass(frozen=True, slots=True, kw_only=True)
class SleapProject:
    """What a `.slp` holds.

    Attributes:
        frames: one per image of `labels`.
        videos: of the project, all of them, as `sleap_io.Video`.
        predicted: frames passed over because a person labeled nothing in them.
    """

    labels: LabelSet
    frames: tuple[SleapFrame, ...]
    videos: tuple[Any, ...]
    predicted: int


def sleap_io(path: Path) -> Any:
    """The module.

    Raises:
        DataError: not installed.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # it looks for images in the working directory, and warns
    try:
        import sleap_io as module  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise DataError(f'{path} is a SLEAP file, which needs sleap-io: pip install "lp-io[sleap]"') from None
    return module


def only_slp(root: Path) -> Path:
    """The `.slp` in `root`.

    Raises:
        DataError: none, or several.
    """
    files = sorted(root.glob("*.slp"))
    if len(files) != 1:
        raise DataError(f"{root} has {len(files)} .slp files; give the path of one.")
    return files[0]


def read_sleap(path: Path) -> SleapProject:
    """The frames that a person labeled, in file order; frames with predictions only are passed over.

    Of several animals, tracks say which is which (see `lp_io.animals.identities`). A second skeleton called `single` has the
    points that a frame has once.

    Positions: sleap-io gives the frame of SLEAP's format 1.1 and later, where the centre of the top-left pixel is (0, 0).

    Raises:
        DataError: missing, damaged, several skeletons, or nothing labeled.
    """
    content = _load(path)
    labeled = [frame for frame in content.labeled_frames if frame.user_instances]
    predicted = len(content.labeled_frames) - len(labeled)
    if not labeled:
        raise DataError(f"{path} has no frame labeled by a person ({predicted} with predictions only).")
    names = _video_names([frame.video for frame in labeled])
    frames = [SleapFrame(video=f.video, number=int(f.frame_idx), file=_image_file(path, f)) for f in labeled]
    labels = LabelSet(
        root=path.parent, source=path,
        images=tuple(_image_name(path.parent, frame, names[id(frame.video)]) for frame in frames),
        scorer=str(content.provenance.get("scorer", "lp")), **_poses(path, content, labeled),
    )  # fmt: skip
    return SleapProject(labels=labels, frames=tuple(frames), videos=tuple(content.videos), predicted=predicted)


def _poses(path: Path, content: Any, labeled: list[Any]) -> dict[str, Any]:
    """The fields of a `LabelSet` that are about keypoints."""
    animal, unique = _skeletons(path, labeled)
    parts, points = tuple(animal.node_names), tuple(unique.node_names if unique else ())
    found = [(row, i) for row, frame in enumerate(labeled) for i in frame.user_instances if i.skeleton is animal]
    once = [(row, i) for row, frame in enumerate(labeled) for i in frame.user_instances if i.skeleton is not animal]
    individuals, numbers = _individuals(content, found)
    keypoints = np.full((len(labeled), max(len(individuals), 1) * len(parts) + len(points), 2), np.nan)
    visibility = np.full(keypoints.shape[:2], NOT_LABELED)
    for (row, instance), number in zip(found, numbers, strict=True):
        place = slice(number * len(parts), (number + 1) * len(parts))
        keypoints[row, place], visibility[row, place] = _points(instance)
    for row, instance in once:
        place = slice(keypoints.shape[1] - len(points), None)
        keypoints[row, place], visibility[row, place] = _points(instance)
    edges = [(a.name, b.name) for skeleton in (animal, unique) if skeleton for a, b in skeleton.edges]
    animals = pooled(individuals, parts, points, part_edges(parts, edges))
    names = animals.keypoint_names if animals else (*parts, *points)
    skeleton = flat_edges(animals, edges) if animals else part_edges(names, edges)
    return {
        "animals": animals, "keypoint_names": names, "keypoints": keypoints, "visibility": visibility.astype(np.int64),
        "skeleton": skeleton,
    }  # fmt: skip


def _load(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path} does not exist; give the path of a .slp file.")
    try:
        return sleap_io(path).load_slp(str(path))
    except DataError:
        raise
    except Exception as e:  # sleap-io raises whatever its parts raise on a damaged file
        raise DataError(f"{path} cannot be read as a SLEAP file ({type(e).__name__}: {e}).") from e


def _skeletons(path: Path, labeled: list[Any]) -> tuple[Any, Any]:
    """The animals' skeleton, and that of unique points or None."""
    found = list({id(i.skeleton): i.skeleton for frame in labeled for i in frame.user_instances}.values())
    unique = next((s for s in found if s.name == SINGLE), None) if len(found) == 2 else None
    animals = [skeleton for skeleton in found if skeleton is not unique]
    if len(animals) != 1:
        raise DataError(f"{path} has labels of {len(found)} skeletons; keep one in SLEAP and save again.")
    return animals[0], unique


def _individuals(content: Any, found: list[tuple[int, Any]]) -> tuple[tuple[str, ...], list[int]]:
    """Names, and which individual each instance is of."""
    tracks = [None if instance.track is None else str(instance.track.name) for _, instance in found]
    listed = [str(name) for name in content.provenance.get("individuals") or []]
    names = listed or [str(track.name) for track in content.tracks if track.name in tracks]
    return identities([row for row, _ in found], tracks, names, listed=bool(listed))


def _points(instance: Any) -> tuple[np.ndarray, np.ndarray]:
    keypoints = np.array(instance.points["xy"], dtype=np.float64)
    keypoints[~np.isfinite(keypoints).all(-1)] = np.nan
    seen = np.asarray(instance.points["visible"], dtype=bool)
    return keypoints, np.where(np.isnan(keypoints[:, 0]), NOT_LABELED, np.where(seen, VISIBLE, OCCLUDED))


def _video_names(videos: list[Any]) -> dict[int, str]:
    """A folder name per video, from the file that frames come from; a second video of a name gets a number."""
    names: dict[int, str] = {}
    taken: dict[str, str] = {}
    for video in videos:
        if id(video) not in names:
            names[id(video)] = unused(_video_name(video), taken, str(id(video)))
    return names


def _video_name(video: Any) -> str:
    origin = video.source_video or video
    if isinstance(origin.filename, list):
        return Path(origin.filename[0]).parent.name or "frames"
    return Path(origin.filename).stem.removesuffix(".pkg")


def _image_file(path: Path, frame: Any) -> Path | None:
    """The frame's image file; a project that moved is searched below the folder of its `.slp`."""
    names = frame.video.filename
    if not isinstance(names, list):
        return None
    stored = Path(names[frame.frame_idx])
    parts = stored.parts[1:] if stored.is_absolute() else stored.parts
    tails = [path.parent / Path(*parts[start:]) for start in range(max(len(parts) - 1, 1))]
    return next((file for file in [path.parent / stored, *tails] if file.is_file()), stored)


def _image_name(root: Path, frame: SleapFrame, video: str) -> str:
    """Path relative to the labels: of the file, of the file it was embedded from, or one made of video and number."""
    if frame.file is not None:
        return (frame.file.relative_to(root) if frame.file.is_relative_to(root) else frame.file).as_posix()
    origin = frame.video.source_video
    if origin is not None and isinstance(origin.filename, list) and frame.number < len(origin.filename):
        return _renamed(Path(origin.filename[frame.number]), frame.suffix).as_posix()
    return f"labeled-data/{video}/img{frame.number:08d}.png"


def _renamed(path: Path, suffix: str) -> Path:
    same = path.suffix.lower().replace("jpeg", "jpg") == suffix
    return path if same else path.with_suffix(suffix)


@dataclass(slots=True, kw_only=True)
class SleapConfig(LabelFormatConfig):
    """SLEAP .slp and .pkg.slp, one animal per frame or several; needs the extra lp-io[sleap]."""

    def build(self) -> Sleap:
        """The reader."""
        return Sleap()
