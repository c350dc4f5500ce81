"""Parquet: one row per frame, one column per number."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lp_core import PoseTable, TableWriterConfig, VideoFacts

from lp_io.files import atomic_path
from lp_io.tables import COORDS
from lp_io.writers.frames import frame_numbers
from lp_io.writers.optional import needed


class ParquetWriter:
    """Columns `frame` (or `image`), then `<keypoint>.x`, `.y` and `.likelihood` in float64, and `set` if the split is known.

    NaN is written as null: pandas reads it as NaN, and averages in polars or DuckDB pass over it. The file's metadata
    has under `lp` a JSON object with keypoints, scorer, video, size (height, width), fps and skeleton. Of several animals, a
    keypoint is called `<animal>/<part>`, and the object has individuals, parts and unique too.
    """

    suffix = ".parquet"

    def __init__(self, pyarrow: Any, parquet: Any) -> None:
        self._pyarrow, self._parquet = pyarrow, parquet

    def write(self, path: Path, table: PoseTable, video: VideoFacts) -> None:
        """Write `path`."""
        columns: dict[str, Any] = {"image" if frame_numbers(table) is None else "frame": table.index}
        for k, name in enumerate(table.keypoint_names):
            numbers = (table.keypoints[:, k, 0], table.keypoints[:, k, 1], table.confidence[:, k])
            for coord, values in zip(COORDS, numbers, strict=True):
                columns[f"{name}.{coord}"] = self._pyarrow.array(values, from_pandas=True)
        if table.split is not None:
            columns["set"] = table.split
        content = self._pyarrow.table(columns).replace_schema_metadata({"lp": json.dumps(_facts(table, video))})
        with atomic_path(path) as temporary:
            self._parquet.write_table(content, temporary)


def _facts(table: PoseTable, video: VideoFacts) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "keypoints": table.keypoint_names, "scorer": table.scorer, "video": video.path.as_posix(), "size": video.size,
        "fps": video.fps, "skeleton": video.skeleton,
    }  # fmt: skip
    if table.animals:
        animals = table.animals
        facts |= {"individuals": animals.individuals, "parts": animals.parts, "unique": animals.unique}
    return facts


@dataclass(slots=True, kw_only=True)
class ParquetConfig(TableWriterConfig):
    """Parquet, a column per number: paw.x, paw.y, paw.likelihood."""

    def build(self) -> ParquetWriter:
        """The writer; raises `ConfigError` where pyarrow is not installed."""
        names = ("pyarrow", "pyarrow.parquet")
        return ParquetWriter(*(needed("parquet", name, "pyarrow", "parquet") for name in names))
