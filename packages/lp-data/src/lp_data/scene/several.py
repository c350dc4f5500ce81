"""A DeepLabCut project of several animals in an arena, with the truth, identities included, for every frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from jaxtyping import Bool, Float, UInt8
from lp_core import NOT_LABELED, VISIBLE, Animals, LabelSet
from lp_io import PredictionWriter, VideoWriter
from lp_io.animals import flat_edges, named_pairs
from lp_io.label_writers.deeplabcut import DeepLabCutWriter
from lp_io.label_writers.table import write_header_table
from PIL import Image

from lp_data.scene.options import SceneOptions
from lp_data.scene.overhead import Overhead
from lp_data.scene.roaming import PARTS, SKELETON, Herd, body, heights, roam
from lp_data.scene.shapes import UNUSUAL, USUAL, moments

CORNERS = ("corner_top_left", "corner_top_right", "corner_bottom_right", "corner_bottom_left")
SCORER = "truth"


@dataclass(frozen=True, slots=True)
class Arena:
    """One session: frames in order, and the truth about them."""

    options: SceneOptions
    ood: bool

    @property
    def animals(self) -> Animals:
        """The animals are the same in every frame."""
        return Animals(
            individuals=tuple(f"animal{i + 1}" for i in range(self.options.animals)),
            parts=PARTS,
            unique=CORNERS if self.options.corners else (),
            skeleton=tuple((PARTS.index(a), PARTS.index(b)) for a, b in SKELETON),
        )

    def painter(self, *, markers: bool = False) -> Overhead:
        """The painter of this session, always the same for the same seed."""
        options = self.options
        rng = np.random.default_rng([options.seed, int(self.ood), options.animals])
        times = moments(options.ood_frames if self.ood else options.frames, options.fps)
        scale = (0.6 if self.ood else 0.68) * min(options.size) / 288
        paths = roam(rng, times, options.animals, options.size, scale=scale, tempo=1.3 if self.ood else 1.0)
        herd = Herd(
            order=heights(rng, times, paths, scale), bodies=[body(rng, times, path, scale) for path in paths],
            headings=[path.heading for path in paths], times=times, scale=scale,
        )  # fmt: skip
        return Overhead(rng, options, UNUSUAL if self.ood else USUAL, herd, markers=markers)

    def truth(self, painter: Overhead) -> Float[np.ndarray, "frames keypoints 2"]:
        """(x, y) of every keypoint in every frame, in the order of `animals.keypoint_names`."""
        return painter.keypoints()

    def frames(self, painter: Overhead) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, " keypoints"]]]:
        """Pictures and which keypoints are seen in them."""
        for index in range(len(painter.gain)):
            yield painter.frame(index)


def make_several(root: Path, options: SceneOptions) -> None:
    """Write the project into `root`; `config.yaml` comes last."""
    usual, unusual = Arena(options, ood=False), Arena(options, ood=True)
    root.mkdir(parents=True, exist_ok=True)
    facts = {
        "individuals": list(usual.animals.individuals), "parts": list(PARTS), "unique": list(usual.animals.unique),
        "skeleton": [list(edge) for edge in SKELETON], "tint": options.tint,
    }  # fmt: skip
    (root / "scene.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    new, labels = _session(root, unusual, "ood"), _session(root, usual, "session0")
    columns = [(SCORER, *pair, coord) for pair in named_pairs(unusual.animals) for coord in "xy"]
    index = [tuple(image.split("/")) for image in new.images]
    table = root / "labeled-data" / "ood" / f"CollectedData_{SCORER}_new.csv"
    write_header_table(table, columns, index, new.keypoints.reshape(len(new), -1))
    DeepLabCutWriter().write(labels, root.resolve(), ["videos/session0.mp4", "videos/ood.mp4"])


def _session(root: Path, arena: Arena, name: str) -> LabelSet:
    """Write the video, the truth and the labeled images; the labels."""
    options, painter = arena.options, arena.painter()
    truth, names = arena.truth(painter), arena.animals.keypoint_names
    rng = np.random.default_rng([options.seed, 7, int(arena.ood), options.animals])
    count = options.ood_labeled if arena.ood else options.labeled
    chosen = set(rng.choice(len(truth), count, replace=False).tolist())
    (root / "labeled-data" / name).mkdir(parents=True, exist_ok=True)
    images, rows = list[str](), list[np.ndarray]()
    with (
        VideoWriter(root / "videos" / f"{name}.mp4", options.fps, options.size, threads=1) as video,
        PredictionWriter(root / "ground_truth" / f"{name}.csv", names, SCORER, animals=arena.animals) as answers,
    ):
        for index, (picture, seen) in enumerate(arena.frames(painter)):
            video.write(picture)
            answers.write(index, truth[index : index + 1], seen[None].astype(np.float64))
            if index in chosen:
                images.append(f"labeled-data/{name}/img{index:08d}.png")
                Image.fromarray(picture).save(root / images[-1])
                left_out = ~seen & (rng.random(len(seen)) < options.hidden)
                rows.append(np.where((left_out | ~_inside(truth[index], options.size))[:, None], np.nan, truth[index]))
    return _labels(root, arena, images, np.round(rows, 3))


def _inside(points: Float[np.ndarray, "keypoints 2"], size: tuple[int, int]) -> Bool[np.ndarray, " keypoints"]:
    return np.all((points >= 0) & (points <= [size[1] - 1, size[0] - 1]), axis=-1)


def _labels(
    root: Path, arena: Arena, images: list[str], keypoints: Float[np.ndarray, "frames keypoints 2"]
) -> LabelSet:
    return LabelSet(
        root=root, source=root / "labeled-data", images=tuple(images), keypoint_names=arena.animals.keypoint_names,
        keypoints=keypoints, visibility=np.where(np.isfinite(keypoints).all(-1), VISIBLE, NOT_LABELED),
        skeleton=flat_edges(arena.animals, SKELETON), scorer=SCORER, animals=arena.animals,
    )  # fmt: skip
