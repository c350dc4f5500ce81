"""SLEAP's project files, through sleap-io."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from lp_core import PoseTable, TableWriterConfig, VideoFacts

from lp_io.animals import owners
from lp_io.files import atomic_path
from lp_io.label_writers.sleap import SleapFigure, sleap_figures
from lp_io.writers.frames import frame_numbers
from lp_io.writers.optional import needed


class SlpWriter:
    """One predicted instance per frame and animal, in float64, scored by its mean confidence (float32).

    Every row is a labeled frame, so that the length is kept; one without a prediction has no instance. The video (or the
    images) is referenced, not embedded. Of several animals, each has a track; points that a frame has once are of a second
    skeleton called `single`.
    """

    suffix = ".slp"

    def __init__(self, sleap_io: Any) -> None:
        self._sio = sleap_io

    def write(self, path: Path, table: PoseTable, video: VideoFacts) -> None:
        """Write `path`."""
        figures = sleap_figures(self._sio, owners(table.keypoint_names, table.animals, video.skeleton))
        source = self._source(table, video)
        numbers = frame_numbers(table) or range(len(table.index))
        frames = [
            self._sio.LabeledFrame(
                video=source,
                frame_idx=number,
                instances=self._instances(figures, table.keypoints[row], table.confidence[row]),
            )
            for row, number in enumerate(numbers)
        ]
        labels = self._sio.Labels(
            labeled_frames=frames, videos=[source], skeletons=list(dict.fromkeys(f.skeleton for f in figures)),
            tracks=[f.track for f in figures if f.track], provenance={"scorer": table.scorer},
        )  # fmt: skip
        with atomic_path(path) as temporary:
            self._sio.save_slp(labels, str(temporary), embed=False, verbose=False)

    def _source(self, table: PoseTable, video: VideoFacts) -> Any:
        """What sleap-io knows about the frames without opening them."""
        path = video.path.absolute()
        numbers = frame_numbers(table)
        if numbers is not None:
            count = max(numbers, default=-1) + 1 if video.times is None else len(video.times)
            files, known = path.as_posix(), {"type": "MediaVideo", "fps": video.fps}
        else:
            count, files = len(table.index), [(path / str(image)).as_posix() for image in table.index]
            known = {"type": "ImageVideo", "filename": files[0], "filenames": files}
        metadata = known | {"shape": (count, *video.size, 3), "grayscale": False}
        return self._sio.Video(filename=files, open_backend=False, backend_metadata=metadata)

    def _instances(
        self,
        figures: list[SleapFigure],
        keypoints: Float[np.ndarray, "keypoints 2"],
        confidence: Float[np.ndarray, " keypoints"],
    ) -> list[Any]:
        made = []
        for figure in figures:
            points, scores = keypoints[figure.owner.columns], confidence[figure.owner.columns]
            seen = np.isfinite(points).all(-1)
            if seen.any():
                instance = self._sio.PredictedInstance.from_numpy(
                    points,
                    skeleton=figure.skeleton,
                    point_scores=scores,
                    score=float(scores[seen].mean()),
                    track=figure.track,
                )
                made.append(instance)
        return made


@dataclass(slots=True, kw_only=True)
class SlpConfig(TableWriterConfig):
    """SLEAP's .slp, with predicted instances on the video."""

    def build(self) -> SlpWriter:
        """The writer; raises `ConfigError` where sleap-io is not installed."""
        return SlpWriter(needed("slp", "sleap_io", "sleap-io", "sleap"))
