"""Lightning Pose: `CollectedData.csv` beside `labeled-data/`; this system's own layout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from lp_core import NOT_LABELED, VISIBLE, LabelSet

from lp_io.files import atomic_path
from lp_io.formats.skeleton import SKELETON
from lp_io.label_writers.table import write_header_table


class LightningPoseWriter:
    """A column `visible` per keypoint is written only where x and y do not say the same."""

    folder = "labeled-data"
    flat = False
    several = False

    def write(self, labels: LabelSet, final: Path, videos: Sequence[str]) -> list[str]:
        """`CollectedData.csv`, and `skeleton.yaml` if there is a skeleton."""
        usual = np.where(np.isfinite(labels.keypoints).all(-1), VISIBLE, NOT_LABELED)
        flagged = bool((labels.visibility != usual).any())
        cells = [labels.keypoints, labels.visibility[..., None].astype(np.float64)] if flagged else [labels.keypoints]
        coords = ("x", "y", "visible") if flagged else ("x", "y")
        write_header_table(
            labels.root / "CollectedData.csv",
            [(labels.scorer, name, coord) for name in labels.keypoint_names for coord in coords],
            [(image,) for image in labels.images],
            np.concatenate(cells, axis=-1).reshape(len(labels), -1),
        )
        if labels.skeleton:
            names = labels.keypoint_names
            content = {"skeleton": [[names[a], names[b]] for a, b in labels.skeleton]}
            with atomic_path(labels.root / SKELETON) as temporary:
                temporary.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return []
