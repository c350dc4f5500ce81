"""Videos: paths of the keypoints over time, where they jump, and where no label looks like the pose."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import DataError, PoseTable
from lp_io import read_metric, read_predictions

from lp_viz.report.moments import jumps
from lp_viz.report.run import Run

METRICS = {"pca_singleview_error": "singleview", "pca_multiview_error": "multiview"}
Values = Float[np.ndarray, "frames keypoints"]


@dataclass(frozen=True, slots=True)
class VideoTable:
    """Predictions of one video.

    Attributes:
        stem: of the video's name.
        jump: pixels to where a keypoint was in the frame before.
        fits: "multiview", "singleview" → pixels to the nearest pose of the labels' subspace.
    """

    stem: str
    table: PoseTable
    jump: Values
    fits: dict[str, Values]

    @property
    def fit(self) -> Values | None:
        """Of several cameras if there are, else of one; None if neither was measured."""
        return next((self.fits[name] for name in reversed(METRICS.values()) if name in self.fits), None)


def video_files(run: Run) -> list[Path]:
    """Tables of predictions; of several animals that of the tracks, where every column is one animal throughout."""
    found = [p for p in sorted((run.root / "video_preds").glob("*.csv")) if _is_poses(p)]
    return [p for p in found if p.with_name(f"{p.stem}_tracks.csv") not in found]


def _is_poses(path: Path) -> bool:
    with path.open() as file:
        return file.readline().startswith("scorer,")


def read_videos(run: Run, files: list[Path]) -> Iterator[VideoTable]:
    """One after the other, so that only one is in memory; what cannot be read is noted in the run."""
    for path in files:
        try:
            table = read_predictions(path)
            fits = {
                name: found for metric, name in METRICS.items() if (found := _metric(path, metric, table)) is not None
            }
        except DataError as e:
            run.notes.append(f"A video is left out: {e}")
            continue
        if len(table.index):
            yield VideoTable(path.stem.removesuffix("_tracks"), table, jumps(table.keypoints), fits)


def _metric(path: Path, metric: str, table: PoseTable) -> Values | None:
    """None if it is not there, as with one camera of several."""
    file = path.with_name(f"{path.stem}_{metric}.csv")
    if not file.exists():
        return None
    found = read_metric(file)
    if found.values.shape != table.confidence.shape:
        raise DataError(f"{file} does not belong to {path.name}; predict the video again.")
    return found.values if np.isfinite(found.values).any() else None
