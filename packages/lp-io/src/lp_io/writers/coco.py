"""COCO keypoints JSON of predictions: images, categories, and annotations that are also COCO results."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from lp_core import NOT_LABELED, VISIBLE, PoseTable, TableWriterConfig, VideoFacts

from lp_io.animals import Owner, owners
from lp_io.files import atomic_path
from lp_io.label_writers.coco import categories, tracked


class CocoWriter:
    """Every row is an image, and every animal predicted in it an annotation. Numbers are exact.

    A frame of a video is called `labeled-data/<video>/img00000012.png`, its place among labeled images, and has its number as
    `frame_id`. An annotation has the mean confidence as `score` and each keypoint's in `keypoint_scores`. The list of
    annotations is a COCO result as it stands. Of several animals, `track_id` counts the names in `info.individuals` from one,
    and a category `single` has the points that a frame has once.
    """

    suffix = ".json"

    def write(self, path: Path, table: PoseTable, video: VideoFacts) -> None:
        """Write `path`."""
        found = owners(table.keypoint_names, table.animals, video.skeleton)
        info: dict[str, Any] = {"description": f"Predictions of {table.scorer}", "video": video.path.as_posix()}
        if table.animals:
            info["individuals"] = list(table.animals.individuals)
        content = {
            "info": info,
            "images": [_image(row, name, video) for row, name in enumerate(table.index, 1)],
            "categories": categories(found),
            "annotations": [
                annotation for row in range(len(table.index)) for annotation in _annotations(table, row, found)
            ],
        }
        with atomic_path(path) as temporary, temporary.open("w") as file:
            json.dump(content, file, allow_nan=False)


def _annotations(table: PoseTable, row: int, found: list[Owner]) -> Iterator[dict[str, Any]]:
    for number, owner in enumerate(found):
        poses = _annotation(row + 1, table.keypoints[row, owner.columns], table.confidence[row, owner.columns])
        if poses:
            yield poses | {"id": row * len(found) + number + 1} | tracked(owner, number)


def _image(row: int, name: str | int, video: VideoFacts) -> dict[str, Any]:
    image: dict[str, Any] = {"id": row, "file_name": name, "height": video.size[0], "width": video.size[1]}
    if isinstance(name, int):
        image |= {"file_name": f"labeled-data/{video.path.stem}/img{name:08d}.png", "frame_id": name}
    return image


def _annotation(
    row: int, keypoints: Float[np.ndarray, "keypoints 2"], confidence: Float[np.ndarray, " keypoints"]
) -> dict[str, Any] | None:
    seen = np.all(np.isfinite(keypoints), axis=-1)
    if not seen.any():
        return None
    flags, scores = np.where(seen, VISIBLE, NOT_LABELED), np.where(seen, np.nan_to_num(confidence), 0)
    points = np.where(seen[:, None], keypoints, 0).tolist()
    (left, top), (width, height) = keypoints[seen].min(0).tolist(), np.ptp(keypoints[seen], axis=0).tolist()
    return {
        "id": row, "image_id": row, "category_id": 1, "iscrowd": 0, "num_keypoints": int(seen.sum()),
        "keypoints": [value for (x, y), flag in zip(points, flags.tolist(), strict=True) for value in (x, y, flag)],
        "bbox": [left, top, width, height], "area": width * height, "score": float(scores[seen].mean()),
        "keypoint_scores": scores.tolist(),
    }  # fmt: skip


@dataclass(slots=True, kw_only=True)
class CocoConfig(TableWriterConfig):
    """COCO keypoints JSON with scores."""

    def build(self) -> CocoWriter:
        """The writer."""
        return CocoWriter()
