"""A labeled project of the synthetic scene, in Lightning Pose's layout, with the truth for every frame."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from jaxtyping import Bool, Float, UInt8
from lp_core import ConfigError
from lp_io import PredictionWriter, VideoWriter, atomic_path
from PIL import Image

from lp_data.scene.animal import PARTS, SKELETON, animate
from lp_data.scene.render import SHUTTER, SUBFRAMES, VIEWS, Look, Painter, Stage

NAMES = tuple(f"{part}_{view}" for view in VIEWS for part in PARTS)
HIDDEN_AND_UNLABELED = 0.7  # labelers leave out most of what they cannot see
USUAL = Look(fur=(168, 140, 112), floor=(112, 116, 124), contrast=0.28, noise=5.0, flicker=0.07)
UNUSUAL = Look(fur=(150, 128, 106), floor=(122, 122, 124), contrast=0.34, noise=7.0, flicker=0.12)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneOptions:
    """How much to make.

    Attributes:
        size: (height, width) of the frames.
        labeled, frames: labeled frames, and frames of the video they come from.
        ood_labeled, ood_frames: the same for the out-of-distribution session: another animal, light and background.
        hidden: share of keypoints that cannot be seen and are left without a label.
    """

    seed: int = 0
    size: tuple[int, int] = (288, 320)
    labeled: int = 100
    frames: int = 600
    ood_labeled: int = 50
    ood_frames: int = 200
    fps: float = 30.0
    hidden: float = HIDDEN_AND_UNLABELED

    def __post_init__(self) -> None:
        if not 0 < self.labeled <= self.frames or not 0 < self.ood_labeled <= self.ood_frames:
            raise ConfigError("A session cannot have more labeled frames than frames, nor none.")


@dataclass(frozen=True, slots=True)
class Session:
    """One session: frames in order, and the truth about them."""

    options: SceneOptions
    ood: bool

    def painter(self, *, markers: bool = False) -> Painter:
        """The painter of this session, always the same for the same seed."""
        rng = np.random.default_rng([self.options.seed, int(self.ood)])
        height, width = self.options.size
        count = self.options.ood_frames if self.ood else self.options.frames
        frame = np.repeat(np.arange(count), SUBFRAMES)
        within = np.tile(np.linspace(-0.5, 0.5, SUBFRAMES), count) * SHUTTER
        times = (frame + within) / self.options.fps
        size = 0.9 if self.ood else 1.1
        motion = animate(rng, times, (width / 2, 0.0), size=size, tempo=1.4 if self.ood else 1.0)
        look = UNUSUAL if self.ood else USUAL
        return Painter(rng, Stage(height, width), motion, look, fps=self.options.fps, markers=markers)

    def truth(self, painter: Painter) -> Float[np.ndarray, "frames keypoints 2"]:
        """(x, y) of every keypoint in every frame, the direct view's first."""
        points = painter.motion.keypoints()[SUBFRAMES // 2 :: SUBFRAMES]
        return np.concatenate([painter.stage.project(points)[:, :, view] for view in range(2)], axis=1)

    def frames(self, painter: Painter) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, " keypoints"]]]:
        """Pictures and which keypoints are seen in them."""
        for index in range(len(painter.gain)):
            picture, seen = painter.frame(index)
            yield picture, seen.reshape(-1)


def make_demo(root: Path, options: SceneOptions | None = None) -> None:
    """Write the project into `root`: labels, images, videos, and `ground_truth/<video>.csv` for every frame.

    Ground truth has likelihood 1 where a keypoint is seen and 0 where something hides it. The label files are written
    last, so that a project that has them is whole.
    """
    options = options or SceneOptions()
    ordinary, unusual = Session(options, ood=False), Session(options, ood=True)
    tables = [(unusual, "ood", "CollectedData_new.csv"), (ordinary, "session0", "CollectedData.csv")]
    facts = {
        "keypoint_names": list(NAMES),
        "skeleton": [[f"{a}_{v}", f"{b}_{v}"] for v in VIEWS for a, b in SKELETON],
        "mirrored_column_matches": [list(range(len(PARTS))), list(range(len(PARTS), 2 * len(PARTS)))],
    }
    root.mkdir(parents=True, exist_ok=True)
    (root / "scene.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    for session, name, table in tables:
        _write_session(root, session, name, table)


def _write_session(root: Path, session: Session, name: str, table: str) -> None:
    options, painter = session.options, session.painter()
    truth = session.truth(painter)
    rng = np.random.default_rng([options.seed, 7, int(session.ood)])
    count = options.ood_labeled if session.ood else options.labeled
    chosen = set(rng.choice(len(truth), count, replace=False).tolist())
    folder = root / "labeled-data" / name
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, np.ndarray]] = []
    height, width = options.size
    with (
        VideoWriter(root / "videos" / f"{name}.mp4", options.fps, options.size, threads=1) as video,
        PredictionWriter(root / "ground_truth" / f"{name}.csv", NAMES, "truth") as answers,
    ):
        for index, (picture, seen) in enumerate(session.frames(painter)):
            video.write(picture)
            answers.write(index, truth[index : index + 1], seen[None].astype(np.float64))
            if index in chosen:
                image = f"labeled-data/{name}/img{index:08d}.png"
                Image.fromarray(picture).save(root / image)
                left_out = ~seen & (rng.random(len(seen)) < options.hidden)
                inside = ((truth[index] >= 0) & (truth[index] <= [width - 1, height - 1])).all(-1)
                rows.append((image, np.where((left_out | ~inside)[:, None], np.nan, truth[index])))
    _write_labels(root / table, rows)


def _write_labels(path: Path, rows: list[tuple[str, np.ndarray]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scorer", *["truth"] * (2 * len(NAMES))])
        writer.writerow(["bodyparts", *[name for name in NAMES for _ in "xy"]])
        writer.writerow(["coords", *["x", "y"] * len(NAMES)])
        for image, points in rows:
            writer.writerow([image, *["" if np.isnan(v) else f"{v:.3f}" for v in points.reshape(-1)]])
