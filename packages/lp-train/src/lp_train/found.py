"""What a network finds in labeled frames, before it is compared with the labels."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from lp_core import LabelSet
from lp_core.tensors import LabeledBatch, PoseModel
from lp_data import LabeledDataset
from lp_detectors.boxes import boxes_of
from lp_detectors.conditional import ConditionalNet
from lp_detectors.poses import by_animal
from lp_detectors.top_down import TopDownNet

from lp_train.network import predict
from lp_train.unsupervised import original_keypoints

BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBoxes:
    """Boxes in input pixels, as (left, top, right, bottom); NaN = none.

    Attributes:
        found, scores: the detector's, best first.
        truth: round the labeled keypoints, with the margin that the detector is trained with.
    """

    found: Float[np.ndarray, "frames found 4"]
    scores: Float[np.ndarray, "frames found"]
    truth: Float[np.ndarray, "frames animals 4"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of every labeled frame.

    Attributes:
        keypoints, confidence: in original pixels; animals in the order that the network gives them.
        boxes: of a detector, if the network has one of its own.
    """

    keypoints: Float[np.ndarray, "frames keypoints 2"]
    confidence: Float[np.ndarray, "frames keypoints"]
    boxes: FoundBoxes | None = None


def find(model: PoseModel, dataset: LabeledDataset, labels: LabelSet) -> Found:
    """Run `model` over the frames of `labels`."""
    device = next(model.parameters()).device
    keypoints = np.full((len(labels), len(labels.keypoint_names), 2), np.nan)
    confidence = np.full(keypoints.shape[:2], np.nan)
    boxes, order = list[FoundBoxes](), list[np.ndarray]()
    with torch.inference_mode():
        for rows in torch.arange(len(dataset)).split(BATCH):
            batch = dataset.batch(rows.numpy()).to(device)
            points, sure = predict(model, batch)
            index = batch.index.cpu().numpy()
            keypoints[index] = original_keypoints(points, batch.original_size, model.image_size).double().cpu()
            confidence[index] = sure.double().cpu()
            if isinstance(model, TopDownNet) and not isinstance(model, ConditionalNet):
                boxes.append(_boxes(model, batch))
                order.append(index)
    return Found(keypoints=keypoints, confidence=confidence, boxes=_joined(boxes, order) if boxes else None)


def _joined(parts: list[FoundBoxes], order: list[np.ndarray]) -> FoundBoxes:
    rows = np.argsort(np.concatenate(order))
    names = ("found", "scores", "truth")
    return FoundBoxes(**{name: np.concatenate([getattr(part, name) for part in parts])[rows] for name in names})


def _boxes(model: TopDownNet, batch: LabeledBatch) -> FoundBoxes:
    found, scores = model.detect(batch.images)
    truth = boxes_of(by_animal(batch.keypoints, model.animals))
    found, scores, truth = (values.double().cpu().numpy() for values in (found, scores, truth))
    return FoundBoxes(found=found, scores=scores, truth=truth)
