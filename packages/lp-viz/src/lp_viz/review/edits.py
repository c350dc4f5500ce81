"""What was changed, and how it is taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lp_viz.review.journal import Journal
from lp_viz.review.pose import Pose, pose_from_json, same


@dataclass(frozen=True, slots=True)
class Origin:
    """The frame of a video that an added image is."""

    video: str
    frame: int


@dataclass(frozen=True, slots=True)
class Change:
    """One step that can be undone.

    Attributes:
        image: relative to the project.
        before: its labels; None = it was not in the label set.
        what: in words.
    """

    image: str
    before: Pose | None
    after: Pose | None
    what: str


class Edits:
    """The labels that differ, or once differed, from the label files.

    Each step is in the journal before it is here.

    Attributes:
        poses: of every image that was touched; None = not in the label set.
        base: of the same images, what the label file said when the edits since the last save began.
        origins: of added images.
        done: steps that can be undone, oldest first.
        undone: steps that can be redone, oldest first.
    """

    def __init__(self, journal: Journal, count: int) -> None:
        self._journal, self._count = journal, count
        self.poses: dict[str, Pose | None] = {}
        self.base: dict[str, Pose | None] = {}
        self.origins: dict[str, Origin] = {}
        self.done: list[Change] = []
        self.undone: list[Change] = []
        self.skipped = sum(not self._replay(record) for record in journal.records)

    @property
    def dirty(self) -> dict[str, Pose | None]:
        """What is not in the label files yet."""
        return {image: pose for image, pose in self.poses.items() if not same(pose, self.base[image])}

    def change(self, change: Change, origin: Origin | None = None) -> None:
        """Make a step."""
        record: dict[str, Any] = {
            "do": "change", "image": change.image, "before": change.before, "after": change.after, "what": change.what,
        }  # fmt: skip
        if origin:
            record |= {"video": origin.video, "frame": origin.frame}
        self._write(record)

    def undo(self) -> Change | None:
        """Take the last step back; None if there is none."""
        if not self.done:
            return None
        self._write({"do": "undo"})
        return self.undone[-1]

    def redo(self) -> Change | None:
        """Make the step last taken back again; None if there is none."""
        if not self.undone:
            return None
        self._write({"do": "redo"})
        return self.done[-1]

    def saved(self, poses: Mapping[str, Pose | None]) -> None:
        """The label files now hold `poses`."""
        self._write({"do": "saved", "poses": dict(poses)})

    def rebase(self, image: str, pose: Pose | None) -> None:
        """The label file holds `pose`, which the edits of `image` are meant to replace; where there are none, it counts."""
        self._write({"do": "base", "image": image, "pose": pose})

    def _write(self, record: dict[str, Any]) -> None:
        self._journal.append(record)
        self._apply(record)

    def _replay(self, record: dict[str, Any]) -> bool:
        try:
            self._apply(record)
        except (KeyError, TypeError, ValueError, IndexError):
            return False
        return True

    def _apply(self, record: dict[str, Any]) -> None:
        kind = record["do"]
        if kind == "change":
            self._apply_change(record)
        elif kind == "undo":
            self.undone.append(self.done.pop())
            self.poses[self.undone[-1].image] = self.undone[-1].before
        elif kind == "redo":
            self.done.append(self.undone.pop())
            self.poses[self.done[-1].image] = self.done[-1].after
        elif kind == "saved":
            for image, pose in record["poses"].items():
                self.base[image] = pose_from_json(pose, self._count)
        elif kind == "base":
            self._apply_base(record["image"], pose_from_json(record["pose"], self._count))

    def _apply_change(self, record: dict[str, Any]) -> None:
        before, after = (pose_from_json(record[key], self._count) for key in ("before", "after"))
        image = str(record["image"])
        if "video" in record:
            self.origins[image] = Origin(str(record["video"]), int(record["frame"]))
        self.base.setdefault(image, before)
        self.poses[image] = after
        self.done.append(Change(image, before, after, str(record["what"])))
        self.undone.clear()

    def _apply_base(self, image: str, pose: Pose | None) -> None:
        if image in self.poses and same(self.poses[image], self.base[image]):
            self.poses[image] = pose
        self.base[image] = pose
