"""Suggestions as sets to label: images or a list of frames, and predictions to start from, never as labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from lp_core import ConfigError, PoseTable, VideoFacts
from lp_io import VideoReader, atomic_path, write_predictions
from lp_io.animals import named_pairs, owners
from lp_io.hdf_table import KEY
from lp_io.label_writers.frame_hdf import write_frame_hdf
from lp_io.label_writers.sleap import sleap_figures
from lp_io.label_writers.table import write_header_table
from lp_io.writers.optional import needed
from PIL import Image

from lp_viz.suggest.labeled import Labeled
from lp_viz.suggest.report import frames_of
from lp_viz.suggest.run import Suggestion

Skeleton = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class LabelingSet:
    """What to write.

    Attributes:
        skeleton: pairs of keypoint indices.
        labeled: how the data set names its images.
    """

    suggestions: Sequence[Suggestion]
    skeleton: Skeleton
    labeled: Labeled

    def images(self) -> list[str]:
        """The path of each suggestion's image."""
        return [
            self.labeled.image(s.evidence.video.stem, s.frame, len(s.evidence.table.index)) for s in self.suggestions
        ]

    def table(self) -> PoseTable:
        """The predictions of the suggested frames."""
        first = self.suggestions[0].evidence.table
        points = np.stack([s.evidence.table.keypoints[s.frame] for s in self.suggestions])
        sure = np.stack([s.evidence.table.confidence[s.frame] for s in self.suggestions])
        return PoseTable(
            keypoint_names=first.keypoint_names, index=tuple(self.images()), keypoints=points, confidence=sure,
            scorer=first.scorer, animals=first.animals,
        )  # fmt: skip


def write_lightning_pose(given: LabelingSet, out: Path) -> list[str]:
    """`labeled-data/<video>/<image>`, and `suggested_predictions.csv` in the layout of predictions; returns the images."""
    images = _write_images(given, out)
    write_predictions(out / "suggested_predictions.csv", given.table())
    return images


def write_deeplabcut(given: LabelingSet, out: Path) -> list[str]:
    """`labeled-data/<video>/<image>` and, in the same folder, `machinelabels-iterN.h5` and `.csv`, which DeepLabCut's labeling
    program opens as predictions to refine; N is the first number that is free. Returns the images.
    """
    images, table = _write_images(given, out), given.table()
    named = named_pairs(table.animals) if table.animals else [(name,) for name in table.keypoint_names]
    columns = [(table.scorer, *names, coord) for names in named for coord in ("x", "y", "likelihood")]
    cells = np.concatenate([table.keypoints, table.confidence[..., None]], -1).reshape(len(images), -1)
    paths = [PurePosixPath(image).parts for image in images]
    for folder in dict.fromkeys(path[:-1] for path in paths):
        rows = sorted((row for row, path in enumerate(paths) if path[:-1] == folder), key=lambda row: paths[row])
        stem = _free(out.joinpath(*folder))
        index = [paths[row] for row in rows]
        write_header_table(stem.with_suffix(".csv"), columns, index, cells[rows])
        write_frame_hdf(stem.with_suffix(".h5"), KEY, columns, index, cells[rows])
    return images


def write_slp(given: LabelingSet, out: Path) -> list[str]:
    """`suggestions.slp`: the videos, the suggested frames, and predicted instances in them; no image is written."""
    sio = needed("slp", "sleap_io", "sleap-io", "sleap")
    table = given.table()
    figures = sleap_figures(sio, owners(table.keypoint_names, table.animals, given.skeleton))
    videos = {v: _slp_video(sio, v) for v in dict.fromkeys(s.evidence.video for s in given.suggestions)}
    frames = [
        sio.LabeledFrame(
            video=videos[s.evidence.video], frame_idx=s.frame,
            instances=_instances(sio, figures, table.keypoints[row], table.confidence[row]),
        )
        for row, s in enumerate(given.suggestions)
    ]  # fmt: skip
    labels = sio.Labels(
        labeled_frames=frames, videos=list(videos.values()), skeletons=list(dict.fromkeys(f.skeleton for f in figures)),
        suggestions=[sio.SuggestionFrame(video=videos[s.evidence.video], frame_idx=s.frame) for s in given.suggestions],
    )  # fmt: skip
    with atomic_path(out / "suggestions.slp") as temporary:
        sio.save_slp(labels, str(temporary), embed=False, verbose=False)
    return [""] * len(frames)


LAYOUTS: dict[str, Callable[[LabelingSet, Path], list[str]]] = {
    "lightning_pose": write_lightning_pose,
    "deeplabcut": write_deeplabcut,
    "slp": write_slp,
}


def check_layout(name: str) -> None:
    """Before anything is predicted.

    Raises:
        ConfigError: no such layout, or its library is not installed.
    """
    if name not in LAYOUTS:
        raise ConfigError(f"format={name} is not known; there are {', '.join(LAYOUTS)}.")
    if name == "slp":
        needed("slp", "sleap_io", "sleap-io", "sleap")


def _write_images(given: LabelingSet, out: Path) -> list[str]:
    images = given.images()
    for image, picture in zip(images, frames_of(given.suggestions), strict=True):
        with atomic_path(out / image) as temporary:
            Image.fromarray(picture).save(temporary)
    return images


def _free(folder: Path) -> Path:
    number = 0
    while any(folder.glob(f"machinelabels-iter{number}.*")):
        number += 1
    return folder / f"machinelabels-iter{number}"


def _slp_video(sio: Any, path: Path) -> Any:
    with VideoReader(path, threads=1) as reader:
        facts = VideoFacts(path=path.absolute(), size=reader.original_size, fps=reader.fps, times=reader.times)
    count = 0 if facts.times is None else len(facts.times)
    metadata = {"type": "MediaVideo", "fps": facts.fps, "shape": (count, *facts.size, 3), "grayscale": False}
    return sio.Video(filename=facts.path.as_posix(), open_backend=False, backend_metadata=metadata)


def _instances(sio: Any, figures: list[Any], keypoints: np.ndarray, confidence: np.ndarray) -> list[Any]:
    found = []
    for figure in figures:
        points, scores = keypoints[figure.owner.columns], confidence[figure.owner.columns]
        seen = np.isfinite(points).all(-1)
        if seen.any():
            mean = float(scores[seen].mean())
            found.append(
                sio.PredictedInstance.from_numpy(
                    points, skeleton=figure.skeleton, point_scores=scores, score=mean, track=figure.track
                )
            )
    return found
