"""COCO keypoints JSON: `annotations/train.json` and `images/`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lp_core import LabelSet, Size

from lp_io.animals import SINGLE, Owner, owners
from lp_io.files import atomic_path
from lp_io.images import image_size
from lp_io.label_writers.losses import across, hidden

NOBODY = "lp"  # the scorer of formats that name none
MARGIN = 20  # pixels round the keypoints, as DeepLabCut makes its boxes


class CocoWriter:
    """One category, one annotation per animal with a label; image paths are relative to `images/`.

    Of several animals, `track_id` counts the names in `info.individuals` from one, and a category `single` has the points that
    an image has once.
    """

    folder = "images"
    flat = False
    several = True

    def write(self, labels: LabelSet, final: Path, videos: Sequence[str]) -> list[str]:
        """`annotations/train.json`."""
        found = owners(labels.keypoint_names, labels.animals, labels.skeleton)
        images, annotations = [], []
        for row, name in enumerate(labels.images):
            size = image_size(labels.root / name)
            images.append(_image(row + 1, name.removeprefix(f"{self.folder}/"), size))
            for number, owner in enumerate(found):
                points, flags = labels.keypoints[row, owner.columns], labels.visibility[row, owner.columns]
                annotation = _annotation(row + 1, points, flags, size)
                annotation |= {"id": row * len(found) + number + 1} | tracked(owner, number)
                annotations += [annotation] if annotation["num_keypoints"] else []
        content = {
            "info": {"contributor": labels.scorer} | _named(labels), "licenses": [], "categories": categories(found),
            "images": images, "annotations": annotations,
        }  # fmt: skip
        path = labels.root / "annotations" / "train.json"
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        return hidden(labels, "COCO") + _nameless(labels) + across(labels, "COCO")


def categories(found: Sequence[Owner]) -> list[dict[str, Any]]:
    """The animals' category, and one for unique points if there are any."""
    kinds = [found[0], *(owner for owner in found if not owner.is_animal)]
    return [
        {
            "id": number, "name": "animal" if owner.is_animal else SINGLE, "supercategory": "animal",
            "keypoints": list(owner.parts), "skeleton": [[a + 1, b + 1] for a, b in owner.edges],  # COCO counts from one
        }
        for number, owner in enumerate(kinds, 1)
    ]  # fmt: skip


def tracked(owner: Owner, number: int) -> dict[str, Any]:
    """What an annotation says about whom it is of."""
    if not owner.is_animal:
        return {"category_id": 2}
    return {} if owner.name is None else {"track_id": number + 1}


def _named(labels: LabelSet) -> dict[str, Any]:
    return {"individuals": list(labels.animals.individuals)} if labels.animals else {}


def _nameless(labels: LabelSet) -> list[str]:
    if labels.scorer == NOBODY:
        return []
    return [f"COCO does not say who labeled; to convert back, give scorer={labels.scorer}."]


def _image(number: int, name: str, size: Size) -> dict[str, Any]:
    return {"id": number, "file_name": name, "height": size[0], "width": size[1]}


def _annotation(image: int, points: np.ndarray, visibility: np.ndarray, size: Size) -> dict[str, Any]:
    known = (visibility > 0) & np.isfinite(points).all(-1)
    x_y_v = np.where(known[:, None], np.column_stack([points, visibility]), 0)
    box = _box(points[known], size) if known.any() else [0.0] * 4
    return {
        "id": image, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": box, "area": box[2] * box[3],
        "num_keypoints": int(known.sum()),
        "keypoints": [v for x, y, flag in x_y_v.tolist() for v in (x, y, int(flag))],
    }  # fmt: skip


def _box(points: np.ndarray, size: Size) -> list[float]:
    """x, y, width, height round the points, inside the image."""
    low = (points.min(0) - MARGIN).clip(0)
    high = np.minimum(points.max(0) + MARGIN, [size[1] - 1, size[0] - 1])
    return [*low.tolist(), *(high - low).clip(0).tolist()]
