"""How well a detector's boxes are the labeled animals'."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from pycocotools.cocoeval import COCOeval

from lp_train.animal_metrics import coco_of, quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxPrecision:
    """In percent, as COCO defines them for boxes; NaN if nothing is labeled.

    Attributes:
        map, mar: means over overlaps (intersection over union) of .50, .55, …, .95.
        ap: by overlap.
    """

    map: float
    mar: float
    ap: dict[float, float]


def box_precision(
    found: Float[np.ndarray, "frames found 4"],
    scores: Float[np.ndarray, "frames found"],
    truth: Float[np.ndarray, "frames animals 4"],
) -> BoxPrecision:
    """mAP and mAR of boxes (left, top, right, bottom), NaN = none, by pycocotools; of any size alike."""
    labels, boxes = _annotations(truth), _annotations(found, scores)
    if not labels:
        return BoxPrecision(map=float("nan"), mar=float("nan"), ap={})
    images = [{"id": i + 1} for i in range(len(truth))]
    with quiet():
        evaluation = COCOeval(coco_of(images, labels), coco_of(images, boxes), "bbox")
        evaluation.params.maxDets = [max(found.shape[1], 1)]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, np.inf]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, 0, 0].mean(-1)
    ap = {round(float(t), 2): 100 * float(p) for t, p in zip(evaluation.params.iouThrs, precision, strict=True)}
    return BoxPrecision(map=100 * float(precision.mean()), mar=100 * float(evaluation.eval["recall"].mean()), ap=ap)


def _annotations(boxes: np.ndarray, scores: np.ndarray | None = None) -> list[dict]:
    result = []
    for number, (frame, animal) in enumerate(np.argwhere(np.isfinite(boxes).all(-1))):
        left, top, right, bottom = boxes[frame, animal].tolist()
        sides = [right - left, bottom - top]
        part = {"id": number + 1, "image_id": int(frame) + 1, "category_id": 1, "iscrowd": 0}
        part |= {"bbox": [left, top, *sides], "area": sides[0] * sides[1]}
        result.append(part if scores is None else {**part, "score": float(scores[frame, animal])})
    return result
