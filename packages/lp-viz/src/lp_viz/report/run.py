"""What a run directory holds, as far as a report needs it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float
from lp_core import DataError, PoseTable
from lp_io import read_metric, read_predictions

PARTS = ("train", "validation", "test", "new", "unused")
KNOWN = ("validation", "test", "new")  # frames that the network was not trained on
ERROR = "_pixel_error"


@dataclass(frozen=True, slots=True)
class Labeled:
    """Predictions of one label file of one camera.

    Attributes:
        camera: its name where there are several, else empty.
        suffix: of the label file: empty for the file trained on, `_new` or `_test` for data of another kind.
        error: in pixels of the original frame; NaN = not labeled, or not found.
        part: of the split, per frame; "new" throughout for other label files.
    """

    camera: str
    suffix: str
    table: PoseTable
    error: Float[np.ndarray, "frames keypoints"]
    part: np.ndarray

    @property
    def fresh(self) -> np.ndarray:
        """Which frames the network was not trained on."""
        return np.isin(self.part, KNOWN)

    def parts(self) -> list[str]:
        """Those that have a labeled frame, in the usual order."""
        labeled = np.isfinite(self.error).any(-1)
        return [p for p in PARTS if (labeled & (self.part == p)).any()]

    def title(self, part: str) -> str:
        """What `part` of this file is called."""
        return " · ".join(w for w in (_named(part, self.suffix), self.camera) if w)


def _named(part: str, suffix: str) -> str:
    if part != "new":
        return part
    return "new data" if suffix in ("", "_new") else f"new data ({suffix.removeprefix('_')})"


@dataclass(slots=True)
class Run:
    """A run directory.

    Attributes:
        config: of config.yaml; `provenance` of provenance.json; `evaluation` of evaluation.json, per label file.
        calibration: of calibration.json; None if there is none.
        notes: what is missing, one sentence each.
    """

    root: Path
    config: dict[str, Any]
    provenance: dict[str, Any]
    evaluation: list[dict[str, Any]]
    calibration: dict[str, Any] | None
    labeled: list[Labeled] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the directory."""
        return self.root.resolve().name

    @property
    def names(self) -> tuple[str, ...]:
        """Of the keypoints."""
        return tuple(
            self.provenance.get("keypoint_names") or (self.labeled[0].table.keypoint_names if self.labeled else ())
        )

    @property
    def skeleton(self) -> list[list[int]]:
        """Pairs of keypoint numbers."""
        count = len(self.names)
        return [list(pair) for pair in self.provenance.get("skeleton") or [] if max(pair) < count]

    def evaluated(self, labeled: Labeled) -> dict[str, Any]:
        """What evaluation.json says of one label file; empty if nothing."""
        if not self.evaluation or labeled.camera:
            return {}
        name = self.evaluation[0].get("name", "") + labeled.suffix
        return next((entry for entry in self.evaluation if entry.get("name") == name), {})


def read_run(root: Path | str) -> Run:
    """Everything but the videos.

    Raises:
        DataError: `root` is not a run directory, or a table in it is damaged.
    """
    root = Path(root)
    if not (root / "config.yaml").is_file():
        raise DataError(f"{root} is not a run directory: it has no config.yaml; give one that lpose train wrote.")
    notes: list[str] = []
    config = yaml.safe_load((root / "config.yaml").read_text()) or {}
    provenance, evaluation = _json(root / "provenance.json", {}, notes), _json(root / "evaluation.json", [], notes)
    calibration = _json(root / "calibration.json", None, notes)
    if (status := _json(root / "train_status.json", {}, []).get("status", "COMPLETED")) != "COMPLETED":
        notes.append(
            f"The run is not complete ({status}): what follows is of a training that goes on or was interrupted."
        )
    run = Run(root, config, provenance, evaluation, calibration, notes=notes)
    for camera in (config.get("data") or {}).get("view_names") or [""]:
        run.labeled += _labeled(root, camera)
    if not run.labeled:
        notes.append(f"{root} has no predictions_pixel_error.csv: run lpose evaluate run={root} to have errors here.")
    return run


def _json(path: Path, default: Any, notes: list[str]) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        notes.append(f"{path.name} is not there: what it would tell is left out.")
    except ValueError:
        notes.append(f"{path.name} is damaged: what it would tell is left out.")
    return default


def _labeled(root: Path, camera: str) -> list[Labeled]:
    """Of the file trained on first, then of the others."""
    stem = f"predictions_{camera}" if camera else "predictions"
    suffixes = sorted(p.stem.removeprefix(stem + ERROR) for p in root.glob(f"{stem}{ERROR}*.csv"))
    return [_read_labeled(root, stem, camera, suffix) for suffix in suffixes if (root / f"{stem}{suffix}.csv").exists()]


def _read_labeled(root: Path, stem: str, camera: str, suffix: str) -> Labeled:
    table, error = read_predictions(root / f"{stem}{suffix}.csv"), read_metric(root / f"{stem}{ERROR}{suffix}.csv")
    if len(error.index) != len(table.index) or error.names != table.keypoint_names:
        raise DataError(
            f"{root / f'{stem}{ERROR}{suffix}.csv'} does not belong to {stem}{suffix}.csv; evaluate the run again."
        )
    part = np.array(table.split or ["new"] * len(table.index), dtype=object)
    return Labeled(camera, suffix, table, error.values, part)
