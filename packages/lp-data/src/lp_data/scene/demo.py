"""A labeled project of the synthetic scene, with the truth for every frame; of one animal in Lightning Pose's layout."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from jaxtyping import Bool, Float, UInt8
from lp_io import PredictionWriter, VideoWriter, atomic_path
from PIL import Image

from lp_data.scene.animal import PARTS, SKELETON, animate
from lp_data.scene.options import SceneOptions
from lp_data.scene.render import VIEWS, Painter, Stage
from lp_data.scene.several import make_several
from lp_data.scene.shapes import SUBFRAMES, UNUSUAL, USUAL, moments

NAMES = tuple(f"{part}_{view}" for view in VIEWS for part in PARTS)


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
        times = moments(count, self.options.fps)
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
    last, so that a project that has them is whole. Several animals make a DeepLabCut project, with the labels of the
    out-of-distribution session in `labeled-data/ood/CollectedData_truth_new.csv`.
    """
    options = options or SceneOptions()
    if options.animals > 1:
        make_several(root, options)
        return
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
