"""DeepLabCut projects: `config.yaml` and one label table per video folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lp_core import DataError, LabelFormatConfig, LabelSet

from lp_io.hdf_table import read_hdf_table
from lp_io.header_table import Table, read_header_table


class DeepLabCut:
    """Reads single-animal projects; all label tables of `labeled-data/*` in the order of their folders."""

    def detect(self, root: Path) -> bool:
        """A `config.yaml` with bodyparts, beside `labeled-data/`."""
        try:
            config = yaml.safe_load((root / "config.yaml").read_text())
        except (OSError, yaml.YAMLError, UnicodeDecodeError):
            return False
        return isinstance(config, dict) and "bodyparts" in config and (root / "labeled-data").is_dir()

    def read(self, root: Path, file: str | None = None) -> LabelSet:
        """Read every table, or only `file`; the CSV where a folder has both CSV and HDF5."""
        config = self._config(root)
        paths = [root / file] if file else self._tables(root)
        tables = [read_hdf_table(p) if p.suffix == ".h5" else read_header_table(p) for p in paths]
        names = self._names(root, config, tables)
        parts = [self._ordered(table, names) for table in tables]
        return LabelSet(
            root=root,
            source=paths[0] if len(paths) == 1 else root / "labeled-data",
            images=tuple(image for table in tables for image in table.index),
            keypoint_names=names,
            keypoints=np.concatenate([p for p, _ in parts]),
            visibility=np.concatenate([v for _, v in parts]),
            skeleton=_skeleton(config.get("skeleton"), names),
            scorer=tables[0].scorer,
        )

    def _config(self, root: Path) -> dict[str, Any]:
        path = root / "config.yaml"
        try:
            config = yaml.safe_load(path.read_text())
        except (OSError, yaml.YAMLError) as e:
            raise DataError(f"{path} cannot be read as YAML: {str(e).splitlines()[0]}.") from e
        if config.get("multianimalproject"):
            raise DataError(f"{path} is of a project with several animals, which are not supported yet.")
        return config

    def _tables(self, root: Path) -> list[Path]:
        found = []
        for folder in sorted(p for p in (root / "labeled-data").iterdir() if p.is_dir()):
            tables = sorted(folder.glob("CollectedData_*.csv")) or sorted(folder.glob("CollectedData_*.h5"))
            if len(tables) > 1:
                raise DataError(f"{folder} has several label tables; choose one with data.labels=FILE.")
            found += tables
        if not found:
            raise DataError(
                f"{root / 'labeled-data'} has no CollectedData_<scorer>.csv or .h5; label some frames first."
            )
        return found

    def _names(self, root: Path, config: dict[str, Any], tables: list[Table]) -> tuple[str, ...]:
        names = tuple(str(n) for n in config.get("bodyparts") or [])
        labeled = set(dict.fromkeys(name for table in tables for name, _ in table.columns))
        if labeled - set(names):
            raise DataError(
                f"{root / 'config.yaml'} does not list the labeled bodyparts {', '.join(sorted(labeled - set(names)))}."
            )
        if not labeled:
            raise DataError(f"{root} has no labeled bodypart.")
        return tuple(n for n in names if n in labeled)

    def _ordered(self, table: Table, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates and visibility in the order of `names`; bodyparts a table lacks are not labeled in it."""
        own, points, flags = table.keypoints()
        keypoints = np.full((len(points), len(names), 2), np.nan)
        visibility = np.zeros((len(points), len(names)), dtype=np.int64)
        for k, name in enumerate(names):
            if name in own:
                keypoints[:, k], visibility[:, k] = points[:, own.index(name)], flags[:, own.index(name)]
        return keypoints, visibility


def _skeleton(edges: Any, names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    pairs = [tuple(map(str, edge)) for edge in edges or [] if len(edge) == 2]
    return tuple((names.index(a), names.index(b)) for a, b in pairs if a in names and b in names)


@dataclass(slots=True, kw_only=True)
class DeepLabCutConfig(LabelFormatConfig):
    """DeepLabCut, single animal: config.yaml and labeled-data/<video>/CollectedData_<scorer>.csv or .h5."""

    def build(self) -> DeepLabCut:
        """The reader."""
        return DeepLabCut()
