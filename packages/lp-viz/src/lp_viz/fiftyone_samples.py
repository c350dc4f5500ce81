"""Labels and predictions as samples of FiftyOne. Nothing here needs its database."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from lp_core import Animals, ConfigError, DataError, LabelSet, PoseTable, Size
from lp_io import VideoReader, image_size

from lp_viz.rows import Row, Rows, Span

GROUND_TRUTH = "ground_truth"
TAKEN = {"id", "filepath", "tags", "metadata", "created_at", "last_modified_at", "frames", "media_type", GROUND_TRUTH}
Points = Float[np.ndarray, "keypoints 2"]


def fiftyone() -> Any:
    """The library, imported when it is first needed.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module("fiftyone")
    except ImportError as e:
        raise ConfigError("viewer=fiftyone needs FiftyOne; pip install 'lp-viz[fiftyone]'.") from e


def field_names(names: Sequence[str], taken: frozenset[str] = frozenset()) -> dict[str, str]:
    """Names that FiftyOne takes for fields, all different: letters, digits and underscores, first a letter."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "field"
        plain = plain if plain[0].isalpha() and plain not in TAKEN else f"run_{plain}"
        used, number, free = {*found.values(), *taken}, 2, plain
        while free in used:
            free, number = f"{plain}_{number}", number + 1
        found[name] = free
    return found


def relative(points: Points, size: Size) -> list[tuple[float, float]]:
    """Pixels, the centre of the first at (0, 0), → shares of the picture from its left and upper edge; NaN stays."""
    height, width = size
    return [((x + 0.5) / width, (y + 0.5) / height) for x, y in points.tolist()]


def keypoints(
    points: Points,
    size: Size,
    confidence: Float[np.ndarray, " keypoints"] | None = None,
    animals: Animals | None = None,
) -> Any:
    """One `fo.Keypoints`: an instance per animal, with all its parts, and one per unique point.

    An animal of which nothing is known is left out; in the others NaN stands for what is missing.
    """
    fo, every = fiftyone(), []
    for label, rows in _instances(len(points), animals):
        if not np.isfinite(points[rows]).any():
            continue
        sure = {} if confidence is None else {"confidence": np.asarray(confidence, dtype=float)[rows].tolist()}
        every.append(fo.Keypoint(label=label, points=relative(points[rows], size), **sure))
    return fo.Keypoints(keypoints=every)


def _instances(count: int, animals: Animals | None) -> list[tuple[str, slice]]:
    if animals is None:
        return [("animal", slice(0, count))]
    parts = len(animals.parts)
    owned = [(name, slice(n * parts, (n + 1) * parts)) for n, name in enumerate(animals.individuals)]
    return [*owned, *((name, slice(animals.owned + n, animals.owned + n + 1)) for n, name in enumerate(animals.unique))]


def skeleton(names: Sequence[str], pairs: Sequence[Sequence[int]], animals: Animals | None = None) -> Any:
    """The dataset's `default_skeleton`: of one animal."""
    labels = list(animals.parts if animals else names)
    within = [list(pair) for pair in pairs if max(pair) < len(labels)]
    return fiftyone().KeypointSkeleton(labels=labels, edges=within)


def image_samples(labels: LabelSet, predictions: Mapping[str, PoseTable]) -> Iterator[Any]:
    """A sample per labeled frame: `ground_truth`, a field per model, its errors to sort by, and the split as tag.

    `error_<model>` is the mean pixel error, `errors_<model>.<keypoint>` that of each keypoint, `confidence_<model>` the mean
    confidence; with several models `disagreement` is how far apart in pixels those lie that lie farthest apart, in the mean.

    Raises:
        DataError: an image is missing, or a table has other keypoints than the labels.
    """
    fo, fields = fiftyone(), field_names(list(predictions))
    parts = field_names(labels.keypoint_names)
    rows = {name: _rows_by_image(name, table, labels) for name, table in predictions.items()}
    for number, image in enumerate(labels.images):
        path = labels.root / image
        size, truth = image_size(path), labels.keypoints[number]
        values: dict[str, Any] = {GROUND_TRUTH: keypoints(truth, size, None, labels.animals)}
        found = {n: (predictions[n], rows[n][image]) for n in predictions if image in rows[n]}
        for name, (table, row) in found.items():
            poses, sure = table.keypoints[row], table.confidence[row]
            values[fields[name]] = keypoints(poses, size, sure, labels.animals)
            values |= _errors(fields[name], poses, truth, list(parts.values()))
            values[f"confidence_{fields[name]}"] = mean(sure)
        if len(found) > 1:
            values["disagreement"] = disagreement([table.keypoints[row] for table, row in found.values()])
        metadata = fo.ImageMetadata(width=size[1], height=size[0])
        tags = _tags({n: t.split[r] for n, (t, r) in found.items() if t.split})
        yield fo.Sample(filepath=str(path.resolve()), tags=tags, metadata=metadata, **values)


def _rows_by_image(name: str, table: PoseTable, labels: LabelSet) -> dict[str, int]:
    if table.keypoint_names != labels.keypoint_names:
        raise DataError(f"{name} predicts other keypoints than {labels.source} has; compare runs of the same project.")
    return {str(image): row for row, image in enumerate(table.index)}


def _errors(field: str, predicted: Points, truth: Points, parts: Sequence[str]) -> dict[str, Any]:
    error = np.linalg.norm(predicted - truth, axis=-1)
    each = {part: float(value) for part, value in zip(parts, error, strict=True) if np.isfinite(value)}
    return {f"error_{field}": mean(error), f"errors_{field}": fiftyone().DynamicEmbeddedDocument(**each)}


def mean(values: Float[np.ndarray, " values"]) -> float | None:
    """Of those that are numbers; None if there are none, which FiftyOne sorts last."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def disagreement(poses: Sequence[Points]) -> float | None:
    """The largest distance between two models, averaged over keypoints that at least two predict."""
    apart = np.stack([np.linalg.norm(a - b, axis=-1) for a, b in combinations(poses, 2)])
    return mean(np.fmax.reduce(apart))


def _tags(splits: Mapping[str, str]) -> list[str]:
    """The split; where models have split differently, whose."""
    if len({*splits.values()}) <= 1:
        return sorted({*splits.values()})
    return [f"{name}: {split}" for name, split in splits.items()]


def video_sample(video: Path, tables: Mapping[str, Path | PoseTable], every: int = 1) -> Any:
    """A sample with a field per model in every `every`-th frame, and `confidence_<model>`, `jump_<model>`, `disagreement`.

    Frame n of ours, which counts from 0, is frame n + 1 of FiftyOne.

    Raises:
        DataError: a table has not one row per frame of the video.
    """
    fo, fields = fiftyone(), field_names(list(tables))
    rows = {name: Rows.of(table) for name, table in tables.items()}
    with VideoReader(video) as reader:
        size, count, fps = reader.size, reader.frame_count, reader.fps
    for table in rows.values():
        if len(table) != count:
            raise DataError(f"{table.name} has {len(table)} rows but {video} has {count} frames; predict it again.")
    metadata = fo.VideoMetadata(
        frame_width=size[1], frame_height=size[0], frame_rate=fps, total_frame_count=count, duration=count / fps
    )
    sample = fo.Sample(filepath=str(video.resolve()), metadata=metadata)
    animals = {name: Animals.of(table.keypoint_names) for name, table in rows.items()}
    before: dict[str, Points] = {}
    together = zip(*(table.within([Span(0, count)]) for table in rows.values()), strict=True)
    for number, found in enumerate(together):
        poses = dict(zip(rows, found, strict=True))
        if number % every == 0:
            values: dict[str, Any] = {
                fields[n]: keypoints(points, size, sure, animals[n]) for n, (points, sure) in poses.items()
            }
            sample.frames[number + 1] = fo.Frame(**values, **_frame_values(poses, before, fields))
        before = {name: points for name, (points, _) in poses.items()}
    return sample


def _frame_values(
    poses: Mapping[str, Row], before: Mapping[str, Points], fields: Mapping[str, str]
) -> dict[str, float | None]:
    values = {f"confidence_{fields[name]}": mean(sure) for name, (_, sure) in poses.items()}
    for name, (points, _) in poses.items():
        if name in before:
            values[f"jump_{fields[name]}"] = mean(np.linalg.norm(points - before[name], axis=-1))
    if len(poses) > 1:
        values["disagreement"] = disagreement([points for points, _ in poses.values()])
    return values
