"""DeepLabCut projects: `config.yaml` and one label table per video folder."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lp_core import Animals, DataError, LabelFormatConfig, LabelSet

from lp_io.animals import SINGLE, flat_edges, part_edges
from lp_io.formats.ood import OOD
from lp_io.hdf_table import read_hdf_table
from lp_io.header_table import INDIVIDUALS, Table, read_header_table

TABLE = "CollectedData_"


class DeepLabCut:
    """Reads all label tables of `labeled-data/*` in the order of their folders, of one animal or several."""

    def detect(self, root: Path) -> bool:
        """A `config.yaml` with bodyparts, beside `labeled-data/`."""
        try:
            config = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError):
            return False
        return isinstance(config, dict) and "bodyparts" in config and (root / "labeled-data").is_dir()

    def read(self, root: Path, file: str | None = None) -> LabelSet:
        """Read every table, or only `file`; the CSV where a folder has both CSV and HDF5.

        A project of several animals that lists only one individual is read as one of a single animal.
        """
        config = self._config(root)
        paths = [root / file] if file else self._tables(root, config)
        tables = [read_hdf_table(p) if p.suffix == ".h5" else read_header_table(p) for p in paths]
        several = self._animals(root, config, tables)
        pairs = _edges(config.get("skeleton"))
        names = several.keypoint_names if several else self._names(root, config, tables)
        parts = [self._ordered(table, names) for table in tables]
        if several and len(several.individuals) == 1 and not set(several.parts) & set(several.unique):
            several, names = None, (*several.parts, *several.unique)
        return LabelSet(
            root=root,
            source=paths[0] if len(paths) == 1 else root / "labeled-data",
            images=tuple(image for table in tables for image in table.index),
            keypoint_names=names,
            keypoints=np.concatenate([p for p, _ in parts]),
            visibility=np.concatenate([v for _, v in parts]),
            skeleton=flat_edges(several, pairs) if several else part_edges(names, pairs),
            scorer=tables[0].scorer,
            animals=replace(several, skeleton=part_edges(several.parts, pairs)) if several else None,
        )

    def _config(self, root: Path) -> dict[str, Any]:
        path = root / "config.yaml"
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as e:
            raise DataError(f"{path} cannot be read as YAML: {str(e).splitlines()[0]}.") from e
        if not isinstance(config, dict):
            raise DataError(f"{path} holds no settings of a DeepLabCut project.")
        return config

    def _tables(self, root: Path, config: dict[str, Any]) -> list[Path]:
        apart = {f"{TABLE}{config.get('scorer')}{suffix}" for suffix in OOD}
        found = []
        for folder in sorted(p for p in (root / "labeled-data").iterdir() if p.is_dir()):
            found_here = (sorted(folder.glob(f"{TABLE}*{suffix}")) for suffix in (".csv", ".h5"))
            tables = next((kept for paths in found_here if (kept := [p for p in paths if p.stem not in apart])), [])
            if len(tables) > 1:
                raise DataError(f"{folder} has several label tables; choose one with data.labels=FILE.")
            found += tables
        if not found:
            raise DataError(
                f"{root / 'labeled-data'} has no CollectedData_<scorer>.csv or .h5; label some frames first."
            )
        return found

    def _animals(self, root: Path, config: dict[str, Any], tables: list[Table]) -> Animals | None:
        """What config.yaml lists, without the parts that no table has a column for."""
        path, multiple = root / "config.yaml", bool(config.get("multianimalproject"))
        for table in tables:
            if multiple != (table.owners is not None):
                raise DataError(
                    f"{table.source} has {'no' if multiple else 'a'} row {INDIVIDUALS}, but {path} says "
                    f"multianimalproject: {str(multiple).lower()}; correct one of them."
                )
        if not multiple:
            return None
        individuals, parts, unique = (
            tuple(str(name) for name in config.get(key) or [])
            for key in (INDIVIDUALS, "multianimalbodyparts", "uniquebodyparts")
        )
        listed = {(i, p) for i in individuals for p in parts} | {(SINGLE, p) for p in unique}
        labeled = {owner for table in tables for owner in table.owners or ()}
        if labeled - listed:
            raise DataError(
                f"{path} does not list {' '.join(sorted(labeled - listed)[0])}, which a table has a column for."
            )
        if not individuals or not labeled:
            raise DataError(f"{path} must list individuals and multianimalbodyparts, and some must be labeled.")
        own, single = ({p for i, p in labeled if (i == SINGLE) == alone} for alone in (False, True))
        return Animals(
            individuals=individuals, parts=tuple(p for p in parts if p in own), unique=tuple(p for p in unique if p in single)
        )  # fmt: skip

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


def _edges(skeleton: Any) -> list[tuple[str, str]]:
    return [(str(edge[0]), str(edge[1])) for edge in skeleton or [] if len(edge) == 2]


@dataclass(slots=True, kw_only=True)
class DeepLabCutConfig(LabelFormatConfig):
    """DeepLabCut, one animal or several: config.yaml and labeled-data/<video>/CollectedData_<scorer>.csv or .h5."""

    def build(self) -> DeepLabCut:
        """The reader."""
        return DeepLabCut()
