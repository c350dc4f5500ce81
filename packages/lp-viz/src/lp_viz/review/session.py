"""One person's work on the labels: every step into the journal, then here, and into the label files when asked."""

import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from lp_core import NOT_LABELED, OCCLUDED, DataError, LabelSet, Size
from lp_io import image_size, ood_label_files

from lp_viz.naming import DIGITS, frame_of, name_of
from lp_viz.review.edits import Change, Edits, Origin
from lp_viz.review.folder import inside, leads_out
from lp_viz.review.images import is_frame, write_image
from lp_viz.review.journal import Journal
from lp_viz.review.label_csv import LabelCsv
from lp_viz.review.label_store import LabelStore, list_video
from lp_viz.review.pose import NOWHERE, Pose, placed, predicted_pose, same, without_occluded
from lp_viz.review.project import Project, Video

JOURNAL = "review_journal"


@dataclass(frozen=True, slots=True)
class Place:
    """Where labels are asked for.

    Attributes:
        image: its number in `Session.images`; None for a frame of a video.
        video: the number of the video; None for an image.
        frame: of the video.
    """

    image: int | None = None
    video: int | None = None
    frame: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """What a frame's labels begin with: a model's prediction.

    Attributes:
        model: its number.
        floor: confidence below which a point is not taken over.
    """

    model: int = 0
    floor: float = 0.0


class Session:
    """The labels of a project, with the edits that the journal holds.

    All methods may be called from any thread.

    Args:
        project: whose labels can be edited.

    Raises:
        DataError: the journal cannot be opened, or a label file cannot be read.
    """

    def __init__(self, project: Project, labels: LabelSet) -> None:
        if leads_out(labels.source, labels.root):
            raise DataError(f"{labels.source} leads out of {labels.root}; put the label file itself there.")
        self.project, self.labels, self.root = project, labels, labels.root
        self.store = LabelStore(labels, project.layout)
        self._lock = threading.RLock()
        self._journal = Journal(labels.root / _journal_name(project, labels))
        self.edits = Edits(self._journal, len(labels.keypoint_names))
        self._stamp, self.disk = self.store.stamp(), self.store.poses()
        self.conflicts: set[str] = set()
        self.images = list(dict.fromkeys((*labels.images, *self.disk, *self.edits.poses)))
        self.held_out = _held_out(labels)
        self._touched = dict.fromkeys(self.edits.dirty)
        self.version, self._fitting = 0, dict[str, bool]()
        self._compare()

    def close(self) -> None:
        """Release the journal."""
        self._journal.close()

    def pose(self, image: str) -> Pose | None:
        """The labels of `image` as they are now; None if it is not in the label set."""
        with self._lock:
            return self.edits.poses[image] if image in self.edits.poses else self.disk.get(image)

    def image_at(self, place: Place) -> str | None:
        """The labeled image that is there; None if the frame is not in the label set.

        Raises:
            DataError: no such image or frame.
        """
        if place.image is not None:
            if not 0 <= place.image < len(self.images):
                raise DataError(f"There is no labeled image {place.image}.")
            return self.images[place.image]
        video = self._video(place)
        if not self._fits(video):
            return None
        key = (video.name, place.frame)
        named = (image for image in self.images if (frame_of(image) == key or self._is_from(image, key)))
        return next((image for image in named if self.pose(image) is not None), None)

    def labeled_frames(self, video: int) -> list[int]:
        """Frames of a video that are in the label set."""
        name = self.project.videos[video].name
        if not self._fits(self.project.videos[video]):
            return []
        keys = {image: self._key(image) for image in self.images}
        return sorted(key[1] for image, key in keys.items() if key and key[0] == name and self.pose(image) is not None)

    def edit(self, place: Place, keypoint: int, point: tuple[float | None, float | None, int], start: Start) -> Change:
        """Put, hide or remove one point; a frame that is not in the label set is added first.

        Raises:
            DataError: outside the image, or the frame cannot be added.
        """
        with self._lock:
            image = self.image_at(place) or self._new_name(place)
            before = self.pose(image)
            place = self._origin(place) if before is None else place
            pose = list(self._predicted(place, start) if before is None else before)
            x, y, flag = point
            name = self.labels.keypoint_names[keypoint]
            if x is not None and y is not None and flag != NOT_LABELED:
                pose[keypoint] = placed(x, y, flag, self._size(place, image))
            else:
                pose[keypoint] = (None, None, OCCLUDED) if flag == OCCLUDED and self.store.keeps_occluded else NOWHERE
            what = "moved" if flag == 2 else "occluded" if flag == OCCLUDED else "not visible"
            return self._step(place, Change(image, before, tuple(pose), f"{name} {what}"))

    def add(self, place: Place, start: Start) -> Change:
        """Put a frame of a video into the label set, with the prediction as its labels.

        Raises:
            DataError: it is there already, or cannot be.
        """
        with self._lock:
            if image := self.image_at(place):
                raise DataError(f"This frame is in the label set already, as {image}.")
            image = self._new_name(place)
            return self._step(place, Change(image, None, self._predicted(place, start), "frame added"))

    def remove(self, image: int) -> Change:
        """Take an added frame out of the label set again.

        Raises:
            DataError: it was not added here.
        """
        with self._lock:
            name = self.image_at(Place(image=image)) or ""
            if name not in self.edits.origins or self.pose(name) is None:
                raise DataError(
                    f"{name} was not added on this page; remove its points instead, or edit the label file."
                )
            return self._step(Place(image=image), Change(name, self.pose(name), None, "frame removed"))

    def undo(self) -> Change | None:
        """Take back the last step, also of an earlier session."""
        with self._lock:
            return self._noted(self.edits.undo())

    def redo(self) -> Change | None:
        """Make the step again that was taken back."""
        with self._lock:
            return self._noted(self.edits.redo())

    def refresh(self) -> bool:
        """Read the label files again if another program has changed them; whether it has.

        Raises:
            DataError: they can no longer be read.
        """
        with self._lock:
            try:
                stamp = self.store.stamp()
            except OSError as e:
                raise DataError(f"{e.filename} is gone; put the label file there again.") from e
            if stamp == self._stamp:
                return False
            self.disk, self._stamp = self.store.poses(), stamp
            self.images = list(dict.fromkeys((*self.images, *self.disk)))
            self._compare()
            self.version += 1
            return True

    def resolve(self, image: int, mine: bool) -> None:
        """Settle a conflict: my labels replace those in the file when saved, or are dropped.

        Raises:
            DataError: there is no conflict.
        """
        with self._lock:
            self.refresh()
            name = self.image_at(Place(image=image)) or ""
            if name not in self.conflicts:
                raise DataError(f"{name} has no conflict.")
            if not mine:  # in this order, so that a kill in between overwrites nothing
                self.edits.change(Change(name, self.pose(name), self.disk.get(name), "file's labels kept"))
            self.edits.rebase(name, self.disk.get(name))
            self.conflicts.discard(name)
            self.version += 1

    def save(self) -> dict[str, Any]:
        """Write all edits into the label files, and the images of added frames.

        Nothing is written while a conflict is open.

        Returns:
            How many frames were saved, into which files, and what could not be done.

        Raises:
            DataError: a file cannot be written; the edits stay in the journal.
        """
        with self._lock:
            self.refresh()
            if self.conflicts:
                return {"saved": 0, "files": [], "notes": []}
            dirty, notes = dict(self.edits.dirty), []
            for image, pose in list(dirty.items()):
                if pose is not None and image in self.edits.origins and (note := self._extract(image)):
                    notes.append(note)
                    del dirty[image]
            files = self.store.write({image: self._kept(pose) for image, pose in dirty.items()}) if dirty else []
            if dirty:
                self.edits.saved(dirty)
            self._stamp, self.disk = self.store.stamp(), self.store.poses()
            self.version += 1
            notes += self._list_videos(dirty)
            return {"saved": len(dirty), "files": [str(p.relative_to(self.root)) for p in files], "notes": notes}

    def state(self) -> dict[str, Any]:
        """What the page shows of the session."""
        with self._lock:
            dirty = self.edits.dirty
            return {
                "version": self.version, "dirty": len(dirty), "conflicts": len(self.conflicts),
                "undo": _told(self.edits.done), "redo": _told(self.edits.undone),
                "frames": [self._row(image, image in dirty) for image in self._touched],
            }  # fmt: skip

    def where(self, image: str) -> dict[str, Any]:
        """The image, and the frame of a shown video that it is."""
        key = self._key(image)
        videos = {video.name: number for number, video in enumerate(self.project.videos)}
        found = {"image": self.images.index(image), "name": image}
        if key is None or key[0] not in videos:
            return found
        shown = image in self.edits.origins or self._fits(self.project.videos[videos[key[0]]])
        return found | ({"video": videos[key[0]], "frame": key[1]} if shown else {})

    def _row(self, image: str, dirty: bool) -> dict[str, Any]:
        return self.where(image) | {
            "added": image in self.edits.origins, "gone": self.pose(image) is None, "saved": not dirty,
            "conflict": image in self.conflicts,
        }  # fmt: skip

    def _key(self, image: str) -> tuple[str, int] | None:
        origin = self.edits.origins.get(image)
        return (origin.video, origin.frame) if origin else frame_of(image)

    def _is_from(self, image: str, key: tuple[str, int]) -> bool:
        return image in self.edits.origins and self._key(image) == key

    def _video(self, place: Place) -> Video:
        if place.video is None or not 0 <= place.video < len(self.project.videos):
            raise DataError(f"There is no video {place.video}.")
        return self.project.videos[place.video]

    def _fits(self, video: Video) -> bool:
        """Whether the video's labeled images are its frames, as far as the first of them that can be read tells."""
        if video.name not in self._fitting:
            keys = {image: key for image in self.labels.images if (key := frame_of(image)) and key[0] == video.name}
            found = (is_frame(self.root, image, video.frames(), frame) for image, (_, frame) in keys.items())
            self._fitting[video.name] = next((one for one in found if one is not None), True)
        return self._fitting[video.name]

    def _size(self, place: Place, image: str) -> Size:
        path = inside(self.root, image)
        if path.exists():
            return image_size(path)
        if place.video is None:  # added, and not saved yet
            place = Place(video=self.where(image).get("video"))
        return self._video(place).frames().size

    def _new_name(self, place: Place) -> str:
        video = self._video(place)
        frames = video.frames()
        if not 0 <= place.frame < frames.count:
            raise DataError(f"{video.path.name} has frames 0 to {frames.count - 1}, not {place.frame}.")
        if not self._fits(video):
            raise DataError(
                f"The labeled images of {video.path.name} are not its frames (another size, or other pictures), as cropped "
                "ones are; correct them under Labeled frames, and add frames with the program that made them."
            )
        if (video.name, place.frame) in self.held_out:
            raise DataError(
                f"Frame {place.frame} of {video.path.name} is in {self.held_out[video.name, place.frame]}, which measures how "
                "well a model does on data it has not seen; it cannot be added to the labels it learns from."
            )
        digits = max(1, math.ceil(math.log10(frames.count))) if self.project.layout == "deeplabcut" else DIGITS
        return name_of(video.name, place.frame, self.images, frames.count, digits)

    def _origin(self, place: Place) -> Place:
        """The frame of a video that an image is which is not in the label set any more."""
        where = {} if place.image is None else self.where(self.images[place.image])
        return Place(video=where["video"], frame=where["frame"]) if "video" in where else place

    def _predicted(self, place: Place, start: Start) -> Pose:
        names, video = self.labels.keypoint_names, self._video(place)
        predictions = video.predictions().get(start.model)
        if predictions is None:
            return (NOWHERE,) * len(names)
        table = predictions.table
        column = {name: k for k, name in enumerate(table.keypoint_names)}
        take = [column.get(name, -1) for name in names]
        keypoints = np.append(table.keypoints[place.frame], [[np.nan, np.nan]], axis=0)[take]
        confidence = np.append(table.confidence[place.frame], 0.0)[take]
        return predicted_pose(keypoints, confidence, start.floor, video.frames().size)

    def _step(self, place: Place, change: Change) -> Change:
        origin = None
        if change.image not in self.images:
            origin = Origin(self._video(place).name, place.frame)
        elif change.before is None and change.image in self.edits.origins:
            origin = self.edits.origins[change.image]
        self.edits.change(change, origin)
        if change.image not in self.images:
            self.images.append(change.image)
        return self._noted(change) or change

    def _noted(self, change: Change | None) -> Change | None:
        if change:
            self._touched[change.image] = None
            self.version += 1
        return change

    def _kept(self, pose: Pose | None) -> Pose | None:
        return pose if self.store.keeps_occluded else without_occluded(pose)

    def _compare(self) -> None:
        """The label files against what they said when each image was edited."""
        dirty, self.conflicts = self.edits.dirty, set()
        for image, base in list(self.edits.base.items()):
            now = self.disk.get(image)
            if same(now, self._kept(base)):
                continue
            if image not in dirty:
                self.edits.rebase(image, now)
            elif same(now, self._kept(dirty[image])):  # killed between the label file and the journal
                self.edits.saved({image: dirty[image]})
            else:
                self.conflicts.add(image)

    def _extract(self, image: str) -> str | None:
        """Write the frame that an added image is; what is in the way, if anything is."""
        origin, path = self.edits.origins[image], inside(self.root, image)
        video = next((v for v in self.project.videos if v.name == origin.video), None)
        if path.exists() and (video is None or image in self.disk):
            return None
        if video is None:
            return f"Frame {origin.frame} of {origin.video} waits: its video is not shown; start again with source=."
        return write_image(path, video.frames().image(origin.frame))

    def _list_videos(self, saved: dict[str, Pose | None]) -> list[str]:
        """DeepLabCut's own list of videos."""
        if self.project.layout != "deeplabcut":
            return []
        names = {self.edits.origins[image].video for image in saved if image in self.edits.origins}
        videos = [video for video in self.project.videos if video.name in names]
        notes = (list_video(self.root, video.path, video.frames().size) for video in videos)
        return [note for note in notes if note]


def _journal_name(project: Project, labels: LabelSet) -> str:
    usual = labels.source.is_dir() or labels.source.stem in ("CollectedData", f"CollectedData_{labels.scorer}")
    return f"{JOURNAL}.jsonl" if usual else f"{JOURNAL}_{labels.source.stem}.jsonl"


def _told(steps: list[Change]) -> str | None:
    return f"{steps[-1].what} in {steps[-1].image.rpartition('/')[2]}" if steps else None


def _held_out(labels: LabelSet) -> dict[tuple[str, int], str]:
    """Frames in label files of out-of-distribution data, and which file."""
    found: dict[tuple[str, int], str] = {}
    for path in ood_label_files(labels):
        for image in LabelCsv(path, labels.keypoint_names, True).images:
            if key := frame_of(image):
                found[key] = path.name
    return found
