"""Neurodata Without Borders, through pynwb and ndx-pose."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from warnings import catch_warnings, filterwarnings

import numpy as np
from lp_core import ConfigError, DataError, PoseTable, TableWriterConfig, VideoFacts

from lp_io.animals import SINGLE, Owner, owners
from lp_io.files import atomic_path
from lp_io.writers.frames import frame_numbers
from lp_io.writers.optional import needed

FRAME = "(0, 0) is the centre of the top-left pixel of the video frame; x goes right and y down."


class NwbWriter:
    """A `PoseEstimation` in the processing module `behavior`, where movement looks, linked from `SLEAP_VIDEO_000_<video>`,
    where sleap-io looks. Values are float64, NaN stays NaN, and every frame has its time after the first one.

    Of several animals, there is one `PoseEstimation` for each under its own name, and one called `single` for points that a
    frame has once.
    """

    suffix = ".nwb"

    def __init__(self, pynwb: Any, ndx_pose: Any, session_start: datetime | None, identifier: str) -> None:
        self._pynwb, self._ndx, self._start, self._identifier = pynwb, ndx_pose, session_start, identifier

    def write(self, path: Path, table: PoseTable, video: VideoFacts) -> None:
        """Write `path`.

        Raises:
            DataError: single images, a keypoint's name that NWB does not allow, or a table longer than the video.
        """
        if frame_numbers(table) is None:
            raise DataError(
                f"{path}: NWB holds poses over time and this table is of single images; choose another format."
            )
        _check_names(path, owners(table.keypoint_names, table.animals))
        content = self._file(*_dense(path, table, video), video)
        with atomic_path(path) as temporary, self._pynwb.NWBHDF5IO(str(temporary), mode="w") as io:
            io.write(content)

    def _file(self, table: PoseTable, times: np.ndarray, video: VideoFacts) -> Any:
        file = self._pynwb.NWBFile(
            session_description=f"Poses in {video.path.name}",
            identifier=self._identifier or video.path.stem,
            session_start_time=self._start or _modified(video.path),
        )
        footage = self._footage(video, times)
        file.add_acquisition(footage)
        found = owners(table.keypoint_names, table.animals, video.skeleton)
        skeletons = {owner.is_animal: self._skeleton(owner) for owner in found[-2:]}
        behavior = file.create_processing_module(name="behavior", description="poses")
        behavior.add(self._ndx.Skeletons(skeletons=list(skeletons.values())))
        linked = f"SLEAP_VIDEO_000_{video.path.stem}".replace(":", "_")
        module = file.create_processing_module(name=linked, description="the same poses, for sleap-io")
        for owner in found:
            poses = self._poses(table, owner, skeletons[owner.is_animal], footage)
            behavior.add(poses)
            if owner.is_animal:
                module.add(poses)
        return file

    def _poses(self, table: PoseTable, owner: Owner, skeleton: Any, footage: Any) -> Any:
        with catch_warnings():  # sleap-io takes the video's name from a field ndx-pose has replaced
            filterwarnings("ignore", message=".*original_videos", category=DeprecationWarning)
            return self._ndx.PoseEstimation(
                **({"name": owner.name} if owner.name else {}),
                pose_estimation_series=self._series(table, owner, footage),
                description=f"Poses predicted by {table.scorer}",
                original_videos=list(footage.external_file),
                source_video=footage,
                scorer=table.scorer,
                source_software="lpose",
                skeleton=skeleton,
            )

    def _footage(self, video: VideoFacts, times: np.ndarray) -> Any:
        height, width = video.size
        return self._pynwb.image.ImageSeries(
            name="video", description="the video the poses were predicted in", format="external", unit="n.a.",
            external_file=[video.path.absolute().as_posix()], starting_frame=[0], dimension=[width, height],
            timestamps=times,
        )  # fmt: skip

    def _skeleton(self, owner: Owner) -> Any:
        kind = np.uint8 if len(owner.parts) <= 256 else np.uint16
        edges = np.asarray(owner.edges, dtype=kind).reshape(-1, 2)
        return self._ndx.Skeleton(name="animal" if owner.is_animal else SINGLE, nodes=list(owner.parts), edges=edges)

    def _series(self, table: PoseTable, owner: Owner, footage: Any) -> list[Any]:
        return [
            self._ndx.PoseEstimationSeries(
                name=name,
                data=table.keypoints[:, k],
                confidence=table.confidence[:, k],
                reference_frame=FRAME,
                confidence_definition="0 to 1",
                timestamps=footage,  # kept once, linked from here
            )
            for k, name in enumerate(owner.parts, owner.columns.start)
        ]


def _check_names(path: Path, found: list[Owner]) -> None:
    names = [("keypoint", part) for owner in found for part in owner.parts]
    names += [("individual", owner.name) for owner in found if owner.name]
    if bad := [(kind, name) for kind, name in names if "/" in name or ":" in name or name == "Skeletons"]:
        raise DataError(f"{path}: NWB allows no / and no : in a name; rename the {' '.join(bad[0])}.")


def _dense(path: Path, table: PoseTable, video: VideoFacts) -> tuple[PoseTable, np.ndarray]:
    """The table with a row for every frame from the first on, and their times after the first frame in seconds.

    Both readers number frames by their place in the file.
    """
    numbers = np.asarray(table.index, dtype=np.int64)
    count = numbers.max(initial=-1) + 1
    if video.times is None and not video.fps:
        raise DataError(f"{path}: NWB needs the frame rate or the time of every frame.")
    times = np.arange(count) / (video.fps or 1) if video.times is None else video.times - video.times[0]
    if count > len(times):
        raise DataError(f"{path}: the table goes up to frame {count - 1}, but {video.path} has {len(times)}.")
    keypoints = np.full((len(times), *table.keypoints.shape[1:]), np.nan)
    confidence = np.full(keypoints.shape[:2], np.nan)
    keypoints[numbers], confidence[numbers] = table.keypoints, table.confidence
    return replace(table, index=tuple(range(len(times))), keypoints=keypoints, confidence=confidence, split=None), times


def _modified(path: Path) -> datetime:
    if not path.exists():
        raise DataError(
            f"{path} is not there to tell when it was recorded; set session_start, 2025-03-01T14:00 for instance."
        )
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


@dataclass(slots=True, kw_only=True)
class NwbConfig(TableWriterConfig):
    """NWB with ndx-pose, readable by movement and sleap-io.

    Attributes:
        session_start: when recording began, in ISO 8601, in UTC unless it says otherwise; empty = when the video file was
            last changed.
        identifier: of the session, unique in your archive; movement shows it as the individual's name. Empty = the
            video's name.
    """

    session_start: str = ""
    identifier: str = ""

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> datetime | None:
        if not self.session_start:
            return None
        try:
            start = datetime.fromisoformat(self.session_start)
        except ValueError as e:
            raise ConfigError(f"session_start={self.session_start} is no time; write it like 2025-03-01T14:00.") from e
        return start if start.tzinfo else start.replace(tzinfo=UTC)

    def build(self) -> NwbWriter:
        """The writer; raises `ConfigError` where pynwb or ndx-pose is not installed."""
        libraries = [needed("nwb", name.replace("-", "_"), name, "nwb") for name in ("pynwb", "ndx-pose")]
        return NwbWriter(*libraries, self._begin(), self.identifier)
