"""Metrics of poses of several animals: pure functions of arrays. An animal or keypoint that is absent is NaN."""

import contextlib
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment

Predicted = Float[np.ndarray, "frames found parts 2"]
Labeled = Float[np.ndarray, "frames animals parts 2"]
Sure = Float[np.ndarray, "frames found parts"]

SIGMA = 0.1  # of every part, for the OKS
SLIMMEST = 0.1  # share of the longer side of an animal's box that the shorter has at least
FAR = 1e8  # pixels; where COCO is told that a keypoint is which was not predicted


def present(poses: Float[np.ndarray, "*poses parts 2"]) -> Bool[np.ndarray, "*poses"]:
    """Which animals have a keypoint."""
    return _seen(poses).sum(-1) > 0


def box_areas(
    poses: Float[np.ndarray, "*poses parts 2"], margin: float = 0.0, slimmest: float = SLIMMEST
) -> Float[np.ndarray, "*poses"]:
    """Of the boxes round the keypoints, in pixels², grown by `margin` pixels on each side; 0 of fewer than two keypoints.

    Args:
        slimmest: the shorter side counts as at least this share of the longer, as an animal in a straight line has area.
    """
    seen = _seen(poses)[..., None]
    low, high = np.where(seen, poses, np.inf).min(-2), np.where(seen, poses, -np.inf).max(-2)
    enough = seen[..., 0].sum(-1) >= 2
    sides = np.where(enough[..., None], high, 0.0) - np.where(enough[..., None], low, 0.0)
    area = np.maximum(sides + 2 * margin, slimmest * sides.max(-1, keepdims=True)).prod(-1)
    return np.where(enough, area, 0.0)


def oks(
    predicted: Predicted,
    truth: Labeled,
    areas: Float[np.ndarray, "frames animals"] | None = None,
    sigma: float | Float[np.ndarray, " parts"] = SIGMA,
) -> Float[np.ndarray, "frames found animals"]:
    """Object keypoint similarity of every predicted with every labeled animal of a frame.

    The mean over labeled keypoints of exp(−d² / (2 area (2 sigma)²)), where one that was not predicted counts 0: the
    definition of the COCO keypoint challenge. NaN for animals with fewer than two labeled keypoints, which have no area.

    Args:
        areas: in pixels²; of the boxes round the labeled keypoints if not given.
    """
    areas = box_areas(truth) if areas is None else areas
    squared = ((predicted[:, :, None] - truth[:, None]) ** 2).sum(-1)
    scale = 2 * areas[:, None, :, None] * (2 * np.asarray(sigma)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.exp(-squared / scale)
        labeled = _seen(truth)
        score = np.where(np.isfinite(near), near, 0.0).sum(-1) / labeled.sum(-1)[:, None]
    return np.where((areas > 0)[:, None] & (labeled.sum(-1) >= 2)[:, None], score, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnimalPrecision:
    """Mean average precision and recall in percent, as COCO defines them; NaN if nothing is labeled.

    Attributes:
        map, mar: mean over thresholds .50, .55, …, .95 of OKS, or of boxes' overlap (intersection over union).
        ap: by threshold.
    """

    map: float
    mar: float
    ap: dict[float, float]


def average_precision(
    predicted: Predicted,
    confidence: Sure,
    truth: Labeled,
    *,
    sigma: float | Float[np.ndarray, " parts"] = SIGMA,
    margin: float = 0.0,
) -> AnimalPrecision:
    """mAP and mAR of OKS, by pycocotools. An animal's score is the mean confidence of its keypoints.

    Animals with fewer than two labeled keypoints do not count, and what was predicted in their place is no mistake.

    Args:
        margin: pixels that the box round an animal is grown by on each side.
    """
    labels, found = _coco_labels(truth, margin), _coco_found(predicted, confidence)
    if not any(label["num_keypoints"] for label in labels):
        return AnimalPrecision(map=float("nan"), mar=float("nan"), ap={})
    sigmas = np.broadcast_to(sigma, truth.shape[2]).astype(float)
    return coco_precision(len(truth), labels, found, predicted.shape[1], sigmas)


def coco_precision(
    frames: int, labels: list[dict], found: list[dict], most: int, sigmas: Float[np.ndarray, " parts"] | None = None
) -> AnimalPrecision:
    """By pycocotools, of animals of any size.

    Args:
        frames: how many; annotations count them from 1.
        most: animals found in a frame at most.
        sigmas: of the parts, for the similarity of keypoints; boxes are compared if not given.
    """
    images = [{"id": i + 1} for i in range(frames)]
    with quiet():
        evaluation = COCOeval(
            coco_of(images, labels), coco_of(images, found), "bbox" if sigmas is None else "keypoints"
        )
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = sigmas
        evaluation.params.maxDets = [max(most, 1)]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, np.inf]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, 0, 0].mean(-1)
    ap = {round(float(t), 2): 100 * float(p) for t, p in zip(evaluation.params.iouThrs, precision, strict=True)}
    return AnimalPrecision(map=100 * float(precision.mean()), mar=100 * float(evaluation.eval["recall"].mean()), ap=ap)


def _coco_labels(truth: Labeled, margin: float) -> list[dict]:
    areas = box_areas(truth, margin)
    typical = float(np.median(areas[areas > 0])) if (areas > 0).any() else 1.0
    labels = []
    for number, (frame, animal) in enumerate(np.argwhere(present(truth))):
        pose, area = truth[frame, animal], float(areas[frame, animal])
        seen = _seen(pose)
        points = np.column_stack([np.where(seen[:, None], pose, 0.0), 2 * seen])
        low, high = pose[seen].min(0), pose[seen].max(0)
        labels.append(
            {
                "id": number + 1,
                "image_id": int(frame) + 1,
                "category_id": 1,
                "keypoints": points.ravel().tolist(),
                "num_keypoints": int(seen.sum()) if area else 0,  # 0: ignored, and so is what was found there
                "area": area or typical,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "iscrowd": 0,
            }
        )
    return labels


def _coco_found(predicted: Predicted, confidence: Sure) -> list[dict]:
    found = []
    for number, (frame, animal) in enumerate(np.argwhere(present(predicted))):
        pose = predicted[frame, animal]
        seen = _seen(pose)
        points = np.column_stack([np.where(seen[:, None], pose, FAR), np.ones(len(pose))])
        score = float(np.nan_to_num(confidence[frame, animal][seen]).mean())
        image = int(frame) + 1
        found.append(
            {"id": number + 1, "image_id": image, "category_id": 1, "keypoints": points.ravel().tolist()}
            | {"score": score, "area": 1.0}
        )
    return found


def quiet() -> contextlib.AbstractContextManager:
    """pycocotools prints what it does."""
    return contextlib.redirect_stdout(io.StringIO())


def coco_of(images: list[dict], annotations: list[dict]) -> COCO:
    """A data set of one category."""
    coco = COCO()
    coco.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "animal"}]}
    coco.createIndex()
    return coco


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Labeled animals with the predicted ones they were paired with.

    Attributes:
        partner: row of the predicted animal; −1 = missed, or not labeled.
        error: pixels between labeled and predicted keypoint; NaN where either is absent.
        missed: labeled animals without a partner.
        invented: predicted animals without a partner.
    """

    partner: Int[np.ndarray, "frames animals"]
    error: Float[np.ndarray, "frames animals parts"]
    missed: int
    invented: int


def match(predicted: Predicted, truth: Labeled, gate: float = np.inf) -> Matched:
    """Pair predicted with labeled animals: as many pairs as there can be, with the smallest sum of mean distances.

    Args:
        gate: pixels; animals further apart than this on average are no pair. The default pairs all that can be.
    """
    partner = np.full(truth.shape[:2], -1)
    for frame, (found, labeled) in enumerate(zip(predicted, truth, strict=True)):
        rows, columns = _pairs(mean_distances(found, labeled), gate)
        partner[frame, columns] = rows
    return _matched(predicted, truth, partner)


def mean_distances(
    found: Float[np.ndarray, "found parts 2"], labeled: Float[np.ndarray, "animals parts 2"]
) -> Float[np.ndarray, "found animals"]:
    """Mean distance in pixels of the keypoints that both have; NaN if there is none."""
    distance = np.linalg.norm(found[:, None] - labeled[None], axis=-1)
    both = np.isfinite(distance)
    total = np.where(both, distance, 0.0).sum(-1)
    return np.where(both.any(-1), total / np.maximum(both.sum(-1), 1), np.nan)


def _pairs(distance: Float[np.ndarray, "found animals"], gate: float) -> tuple[np.ndarray, np.ndarray]:
    good = distance <= gate  # NaN compares false
    worst = 1 + np.where(good, distance, 0.0).max(initial=0.0) * (1 + min(distance.shape, default=0))
    rows, columns = linear_sum_assignment(np.where(good, distance, worst))
    kept = good[rows, columns]
    return rows[kept], columns[kept]


def _matched(predicted: Predicted, truth: Labeled, partner: Int[np.ndarray, "frames animals"]) -> Matched:
    paired = np.full(truth.shape, np.nan)
    frames, animals = np.nonzero(partner >= 0)
    paired[frames, animals] = predicted[frames, partner[frames, animals]]
    return Matched(
        partner=partner,
        error=np.linalg.norm(paired - truth, axis=-1),
        missed=int((present(truth) & (partner < 0)).sum()),
        invented=int(present(predicted).sum() - len(frames)),
    )


def animal_pck(matched: Matched, truth: Labeled, threshold: float) -> float:
    """Percentage of labeled keypoints with an error of at most `threshold` times the diagonal of the animal's box.

    A missed animal's keypoints are wrong. Animals with fewer than two labeled keypoints do not count.
    """
    seen = _seen(truth)
    counts = seen & (seen.sum(-1) >= 2)[..., None]
    if not counts.any():
        return float("nan")
    low = np.where(seen[..., None], truth, np.inf).min(-2)
    high = np.where(seen[..., None], truth, -np.inf).max(-2)
    diagonal = np.linalg.norm(np.where(np.isfinite(high), high - low, 0.0), axis=-1)
    correct = matched.error <= threshold * diagonal[..., None]  # NaN compares false
    return float(100 * correct[counts].mean())


def identity_accuracy(
    matched: Matched, individuals: Int[np.ndarray, "frames found parts"] | None = None
) -> Float[np.ndarray, " parts"]:
    """For each part the percentage of paired keypoints that are said to be the right individual's; NaN without any.

    Args:
        individuals: whose each predicted keypoint is said to be, as a row of the labels; −1 = not said. The row of the
            predicted animal if not given, for a network or tracker that gives each individual its own row.
    """
    frames, animals = np.nonzero(matched.partner >= 0)
    rows = matched.partner[frames, animals]
    said = (
        np.broadcast_to(rows[:, None], (len(rows), matched.error.shape[2]))
        if individuals is None
        else individuals[frames, rows]
    )
    counts = np.isfinite(matched.error[frames, animals]) & (said >= 0)
    right = (counts & (said == animals[:, None])).sum(0)
    total = counts.sum(0)
    return np.where(total > 0, 100 * right / np.maximum(total, 1), np.nan)


def dlc_match(predicted: Predicted, truth: Labeled, *, sigma: float = SIGMA, margin: float = 0.0) -> Matched:
    """Pair animals as DeepLabCut 3 does before it reports what it calls RMSE.

    Predicted animals in the order given each try the labeled one of highest OKS only, and have no partner if that one is
    taken or the OKS is below 1e-6. Labeled animals with fewer than two keypoints do not take part.
    """
    partner = np.full(truth.shape[:2], -1)
    if not partner.size:
        return _matched(predicted, truth, partner)
    scores = np.nan_to_num(oks(predicted, truth, box_areas(truth, margin, slimmest=0.0), sigma), nan=-1.0)
    for frame, row in np.argwhere(present(predicted)):
        best = int(scores[frame, row].argmax())
        if scores[frame, row, best] > 1e-6 and partner[frame, best] < 0:
            partner[frame, best] = row
    return _matched(predicted, truth, partner)


def dlc_rmse(matched: Matched, confidence: Sure, pcutoff: float = 0.0) -> float:
    """What DeepLabCut 3 calls RMSE: the mean distance of all paired keypoints of confidence `pcutoff` or more.

    Pass what `dlc_match` returns. Animals that were missed do not enter it, so that finding fewer may look better.
    """
    frames, animals = np.nonzero(matched.partner >= 0)
    error = matched.error[frames, animals]
    sure = confidence[frames, matched.partner[frames, animals]] >= pcutoff
    values = error[np.isfinite(error) & (sure | (pcutoff <= 0))]
    return float(values.mean()) if values.size else float("nan")


def root_mean_square(matched: Matched) -> float:
    """The root of the mean squared error in pixels of all paired keypoints."""
    values = matched.error[np.isfinite(matched.error)]
    return float(np.sqrt((values**2).mean())) if values.size else float("nan")


def _seen(poses: Float[np.ndarray, "*poses parts 2"]) -> Bool[np.ndarray, "*poses parts"]:
    return np.isfinite(poses[..., 0] + poses[..., 1])
