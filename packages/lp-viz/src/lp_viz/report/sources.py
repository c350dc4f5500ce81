"""Where the pictures of a report come from: the project's images, labels and videos, if they are still there."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import LabelSet, LpError
from lp_io import VIDEO_SUFFIXES, VideoReader, ood_label_files, read_image, read_labels

from lp_viz.report.run import Labeled, Run

Image = UInt8[np.ndarray, "height width 3"]


@dataclass(slots=True)
class Sources:
    """Images, labels and videos of a run.

    Attributes:
        root: the directory of the labeled project.
        notes: what was not found, one sentence each.
    """

    run: Run
    root: Path
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, run: Run, root: Path | str | None = None) -> "Sources":
        """At `root`, else where the project was when the run was trained."""
        data, then = run.config.get("data") or {}, run.provenance.get("data") or {}
        places = [
            Path(p) for p in ([root] if root else [then.get("root"), data.get("root"), data.get("data_dir")]) if p
        ]
        sources = cls(
            run, next((p for p in places if p.is_dir()), places[0] if places else Path("data.root (not known)"))
        )
        if not sources.found:
            sources.notes.append(
                f"Pictures are left out: {sources.root} is not there. "
                "If the labeled project was moved, say where it is now with data.root=DIRECTORY."
            )
        return sources

    @property
    def found(self) -> bool:
        """Whether the project is there."""
        return self.root.is_dir()

    def labels(self, labeled: Labeled) -> dict[str, Float[np.ndarray, "keypoints 2"]]:
        """Image → labels; empty, with a note, where they cannot be read."""
        if not self.found:
            return {}
        try:
            labels = self._read(labeled)
        except LpError as e:
            self.notes.append(f"Labels are not drawn: {e} If the project was moved, say so with data.root=DIRECTORY.")
            return {}
        if labels.keypoint_names != labeled.table.keypoint_names:
            self.notes.append(f"Labels are not drawn: {labels.source} has other keypoints than the run.")
            return {}
        return dict(zip(labels.images, labels.keypoints, strict=True))

    def _read(self, labeled: Labeled) -> LabelSet:
        data = self.run.config.get("data") or {}
        layout, cameras = data.get("format") or "auto", data.get("view_names") or []
        if labeled.camera:
            files = data.get("view_labels") or [f"{name}.csv" for name in cameras]
            layout = "lightning_pose" if layout == "auto" else layout
            return read_labels(self.root, layout, files[cameras.index(labeled.camera)])
        labels = read_labels(self.root, layout, data.get("labels"))
        for path in ood_label_files(labels) if labeled.suffix else []:
            if path.stem == labels.source.stem + labeled.suffix:
                return read_labels(self.root, layout, path.relative_to(self.root).as_posix())
        return labels

    def image(self, name: str) -> Image | None:
        """A labeled image; None if it cannot be read."""
        try:
            return read_image(self.root / name) if self.found else None
        except LpError as e:
            self._once(f"A picture is left out: {e}")
            return None

    def video(self, stem: str) -> Path | None:
        """The video that predictions called `stem` are of; None, with a note, if it is not found."""
        folders = self._video_folders()
        found = [
            p for f in folders for p in sorted(f.glob("*")) if p.stem == stem and p.suffix.lower() in VIDEO_SUFFIXES
        ]
        if not found:
            looked = " and ".join(map(str, folders)) or str(self.root / "videos")
            self._once(
                f"{stem}: no pictures and no seconds, since the video is not in {looked}; see data.root=DIRECTORY."
            )
        return found[0] if found else None

    def _video_folders(self) -> list[Path]:
        given = (self.run.config.get("data") or {}).get("videos")
        folders = [self.root / "videos", *([Path(given)] if given else [])]
        return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]

    def frames(self, video: Path, rows: int, numbers: list[int]) -> tuple[float, list[Image]]:
        """Frames per second, and the pictures `numbers`; none, with a note, if the video is not the one predicted.

        Args:
            video: the file.
            rows: of the table of predictions.
            numbers: of the frames.
        """
        try:
            with VideoReader(video, threads=1) as reader:
                if reader.frame_count == rows:
                    return reader.fps, list(reader.frames(numbers))
                self._once(f"{video} has {reader.frame_count} frames and its predictions {rows}: no pictures of it.")
        except (LpError, OSError) as e:
            self._once(f"No pictures of {video.name}: {e}")
        return 0.0, []

    def _once(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
