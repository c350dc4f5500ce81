"""How well a detector's boxes are the labeled animals'."""

import numpy as np
from jaxtyping import Float

from lp_train.animal_metrics import AnimalPrecision, coco_precision


def box_precision(
    found: Float[np.ndarray, "frames found 4"],
    scores: Float[np.ndarray, "frames found"],
    truth: Float[np.ndarray, "frames animals 4"],
) -> AnimalPrecision:
    """mAP and mAR of boxes (left, top, right, bottom), NaN = none, by pycocotools; of any size alike."""
    labels, boxes = _annotations(truth), _annotations(found, scores)
    if not labels:
        return AnimalPrecision(map=float("nan"), mar=float("nan"), ap={})
    return coco_precision(len(truth), labels, boxes, found.shape[1])


def _annotations(boxes: np.ndarray, scores: np.ndarray | None = None) -> list[dict]:
    result = []
    for number, (frame, animal) in enumerate(np.argwhere(np.isfinite(boxes).all(-1))):
        left, top, right, bottom = boxes[frame, animal].tolist()
        sides = [right - left, bottom - top]
        part = {"id": number + 1, "image_id": int(frame) + 1, "category_id": 1, "iscrowd": 0}
        part |= {"bbox": [left, top, *sides], "area": sides[0] * sides[1]}
        result.append(part if scores is None else {**part, "score": float(scores[frame, animal])})
    return result
