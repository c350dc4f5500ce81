"""COCO keypoints JSON, one animal per image."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lp_core import NOT_LABELED, DataError, LabelFormatConfig, LabelSet


class Coco:
    """Reads `annotations/*.json` (or a JSON in the root) with images in `images/` or relative to the root."""

    def detect(self, root: Path) -> bool:
        """A JSON file whose beginning looks like COCO."""
        return bool(self._files(root))

    def read(self, root: Path, file: str | None = None) -> LabelSet:
        """Read `root/file`, by default the only annotation file or the one named `train.json`."""
        path = root / file if file else self._default(root)
        content = _load(path)
        category = self._category(path, content)
        names = tuple(category["keypoints"])
        images = content["images"]
        keypoints = np.full((len(images), len(names), 2), np.nan)
        visibility = np.zeros((len(images), len(names)), dtype=np.int64)
        rows = {image["id"]: row for row, image in enumerate(images)}
        seen: set[int] = set()
        for annotation in content["annotations"]:
            row = self._row(path, annotation, rows, seen)
            flat = np.asarray(annotation.get("keypoints", []), dtype=np.float64)
            if flat.size != 3 * len(names):
                raise DataError(
                    f"{path}: annotation {annotation.get('id')} has {flat.size} keypoint values, not {3 * len(names)}."
                )
            x_y_v = flat.reshape(-1, 3)
            visibility[row] = x_y_v[:, 2]
            keypoints[row] = np.where(x_y_v[:, 2:] > NOT_LABELED, x_y_v[:, :2], np.nan)
        edges = tuple((a - 1, b - 1) for a, b in category.get("skeleton") or [])  # COCO counts from one
        return LabelSet(
            root=root, source=path, images=tuple(_image_path(root, i["file_name"]) for i in images), keypoint_names=names,
            keypoints=keypoints, visibility=visibility, skeleton=edges,
        )  # fmt: skip

    def _files(self, root: Path) -> list[Path]:
        candidates = sorted([*root.glob("annotations/*.json"), *root.glob("*.json")])
        return [p for p in candidates if _looks_like_coco(p)]

    def _default(self, root: Path) -> Path:
        files = self._files(root)
        named = [p for p in files if p.stem == "train"]
        if len(files) != 1 and len(named) != 1:
            raise DataError(f"{root} has {len(files)} COCO files; choose one with data.labels=FILE.")
        return (named or files)[0]

    def _category(self, path: Path, content: dict[str, Any]) -> dict[str, Any]:
        found = [c for c in content.get("categories", []) if c.get("keypoints")]
        if len(found) != 1:
            raise DataError(f"{path} must have exactly one category with keypoints, not {len(found)}.")
        return found[0]

    def _row(self, path: Path, annotation: dict[str, Any], rows: dict[int, int], seen: set[int]) -> int:
        image = annotation.get("image_id")
        if image not in rows:
            raise DataError(
                f"{path}: annotation {annotation.get('id')} is of image {image}, which the file does not list."
            )
        if image in seen:
            raise DataError(f"{path}: image {image} shows several animals, which is not supported yet.")
        seen.add(image)
        return rows[image]


def _looks_like_coco(path: Path) -> bool:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give the annotation file with data.labels=FILE.") from None
    except ValueError as e:
        raise DataError(f"{path} is not valid JSON: {e}.") from e
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
        raise DataError(f"{path} is not a COCO file: it needs images, annotations and categories.")
    return content


def _image_path(root: Path, name: str) -> str:
    return name if Path(name).is_absolute() or not (root / "images" / name).exists() else f"images/{name}"


@dataclass(slots=True, kw_only=True)
class CocoConfig(LabelFormatConfig):
    """COCO keypoints JSON, one animal per image."""

    def build(self) -> Coco:
        """The reader."""
        return Coco()
