"""A small project, a run and a video whose frames say their number, for the tests of the review page."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from lp_core import PoseTable
from lp_io import VideoWriter, read_labels, write_metric, write_predictions
from lp_io.label_writers.frame_hdf import write_frame_hdf
from PIL import Image

NAMES = ("nose", "tail", "paw")
BITS, BLOCK, HEIGHT, COUNT = 12, 8, 48, 60
SIZE = (HEIGHT, BITS * BLOCK)
LABELED = (3, 10, 40)


def numbered(number: int) -> np.ndarray:
    """A frame that shows its number in binary: a white or black column for each bit."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.where(bits, 220, 30), BLOCK).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (*SIZE, 3))


def number_in(image: np.ndarray) -> int:
    """The number a frame shows."""
    columns = image[..., :3].mean((0, 2)).reshape(BITS, BLOCK).mean(1)
    return sum(1 << bit for bit, level in enumerate(columns) if level > 125)


def write_video(path: Path, count: int = COUNT) -> None:
    with VideoWriter(path, 25.0, SIZE, crf=12, threads=1) as writer:
        for number in range(count):
            writer.write(np.ascontiguousarray(numbered(number)))


def predictions() -> PoseTable:
    """Points that move; the tail is doubtful in frames 20 to 22, and jumps at 30."""
    t = np.arange(COUNT)
    points = np.stack(
        [np.stack([10 + t, 8 + 0 * t], -1), np.stack([20 + t, 20 + 0 * t], -1), np.stack([5 + t, 40 + 0 * t], -1)], 1
    )
    points = points.astype(float)
    points[30, 1] += (0, 15)
    confidence = np.full((COUNT, 3), 0.9)
    confidence[20:23, 1] = (0.3, 0.02, 0.3)
    return PoseTable(keypoint_names=NAMES, index=tuple(range(COUNT)), keypoints=points, confidence=confidence)


@dataclass
class World:
    root: Path
    run: Path
    video: Path

    def labels(self):
        return read_labels(self.root)

    def pose(self, image: str):
        """Keypoints and visibility as training reads them."""
        labels = self.labels()
        row = labels.images.index(image)
        return labels.keypoints[row].tolist(), labels.visibility[row].tolist()


def _images(root: Path, digits: int) -> list[str]:
    folder = root / "labeled-data" / "mouse"
    folder.mkdir(parents=True)
    names = [f"img{frame:0{digits}d}.png" for frame in LABELED]
    for frame, name in zip(LABELED, names, strict=True):
        Image.fromarray(np.ascontiguousarray(numbered(frame))).save(folder / name)
    return names


def _run(root: Path, run: Path) -> None:
    table = predictions()
    (run / "video_preds").mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump({"data": {"root": str(root), "format": "auto", "labels": None}}))
    write_predictions(run / "video_preds" / "mouse.csv", table)
    step = np.vstack([np.full((1, 3), np.nan), np.linalg.norm(np.diff(table.keypoints, axis=0), axis=-1)])
    write_metric(run / "video_preds" / "mouse_temporal_norm.csv", NAMES, step, table.index)
    images = [f"labeled-data/mouse/img{frame:04d}.png" for frame in LABELED]
    error = np.array([[1.0, np.nan, 2.0], [9.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
    write_metric(run / "predictions_pixel_error.csv", NAMES, error, images, ["train", "test", "train"])


@pytest.fixture(scope="session")
def scene() -> SimpleNamespace:
    """What the project is made of."""
    return SimpleNamespace(
        names=NAMES, size=SIZE, count=COUNT, numbered=numbered, number_in=number_in, predictions=predictions
    )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A Lightning Pose project with three labeled frames of the video, and a run on it."""
    root, run = tmp_path / "project", tmp_path / "run"
    names = _images(root, 4)
    (root / "videos").mkdir()
    write_video(root / "videos" / "mouse.mp4")
    lines = ["scorer," + ",".join(["me"] * 6), "bodyparts,nose,nose,tail,tail,paw,paw", "coords,x,y,x,y,x,y"]
    lines += [f"labeled-data/mouse/{name},{i + 10}.50,8.0,,,{i + 5}.25,40.125" for i, name in enumerate(names)]
    (root / "CollectedData.csv").write_text("\n".join(lines) + "\n")
    _run(root, run)
    return World(root, run, root / "videos" / "mouse.mp4")


@pytest.fixture
def deeplabcut(tmp_path: Path) -> World:
    """The same as a DeepLabCut project, with two tables for one of its two videos."""
    root, run = tmp_path / "dlc", tmp_path / "run"
    names = _images(root, 2)
    (root / "videos").mkdir()
    for name in ("mouse", "new"):
        write_video(root / "videos" / f"{name}.mp4")
    columns = [("me", name, coord) for name in NAMES for coord in ("x", "y")]
    values = np.array(
        [[10.5, 8, np.nan, np.nan, 5.25, 40], [11.5, 8, 3, 3, 6.25, 40], [12.5, 8, np.nan, np.nan, 7, 40]]
    )
    heads = ["scorer,,," + ",".join(["me"] * 6), "bodyparts,,,nose,nose,tail,tail,paw,paw", "coords,,,x,y,x,y,x,y"]
    rows = [
        ",".join(["labeled-data", "mouse", n, *("" if c != c else str(c) for c in r)])
        for n, r in zip(names, values, strict=True)
    ]
    stem = root / "labeled-data" / "mouse" / "CollectedData_me"
    stem.with_suffix(".csv").write_text("\n".join([*heads, *rows]) + "\n")
    write_frame_hdf(
        stem.with_suffix(".h5"), "df_with_missing", columns, [("labeled-data", "mouse", n) for n in names], values
    )
    (root / "config.yaml").write_text(
        "# my project\nTask: t\nscorer: me\nmultianimalproject: false\nvideo_sets:\n"
        f"  {root}/videos/mouse.mp4:\n    crop: 0, 96, 0, 48   # all of it\nbodyparts:\n- nose\n- tail\n- paw\nskeleton: []\n"
    )
    _run(root, run)
    write_predictions(run / "video_preds" / "new.csv", predictions())
    return World(root, run, root / "videos" / "mouse.mp4")
