"""How good tracks are, compared with labeled ones: HOTA, CLEAR MOT and identity scores.

Computed by TrackEval (`pip install "lp-infer[mot]"`): Luiten et al. 2021, "HOTA: a higher order metric for evaluating
multi-object tracking"; Bernardin and Stiefelhagen 2008, "Evaluating multiple object tracking performance: the CLEAR MOT
metrics"; Ristani et al. 2016, "Performance measures and a data set for multi-target, multi-camera tracking".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from lp_core import ConfigError, DataError

from lp_infer.tracking import geometry

Tracks = Float[np.ndarray, "frames tracks keypoints 2"]
Labeled = Float[np.ndarray, "labeled_frames animals labeled_keypoints 2"]
SIGMA = 0.1  # of the OKS, for all keypoints
THRESHOLD = 0.5  # similarity from which an animal counts as found
SLIMMEST = 0.1  # share of the longer side of an animal's box that the shorter has at least


@dataclass(frozen=True, slots=True, kw_only=True)
class MotScores:
    """Scores from 0 to 1 (`mota` may be below 0), then counts over all frames.

    Attributes:
        hota: geometric mean of `detection` and `association`, averaged over similarity thresholds .05 to .95.
        idf1: share of poses in the right identity, for the best pairing of whole tracks.
        mota: 1 minus missed, invented and switched poses, per labeled pose.
        motp: mean similarity of the animals found.
        switches: times that a labeled animal goes on in another track.
        fragments: times that a labeled animal is found again after it was missed.
    """

    hota: float
    detection: float
    association: float
    idf1: float
    mota: float
    motp: float
    switches: int
    fragments: int
    found: int
    missed: int
    invented: int


def mot_scores(predicted: Tracks, truth: Labeled, *, gate: float | None = None) -> MotScores:
    """Compare predicted with labeled tracks; each row of their second axis is one animal throughout, NaN where it is missing.

    Args:
        gate: pixels; an animal is found if its keypoints are no further off than this on average, and similarity is
            1 − distance / (2 gate). If not given, similarity is the OKS with sigma 0.1, and must be 0.5.

    Raises:
        ConfigError: TrackEval is not installed, or animals of one keypoint are compared without a gate.
        DataError: the numbers of frames or keypoints differ, or nothing is labeled.
    """
    data = _sequence(predicted, truth, gate)
    metrics = _metrics()
    once = {"THRESHOLD": THRESHOLD, "PRINT_CONFIG": False}
    hota = metrics.HOTA().eval_sequence(data)
    clear = metrics.CLEAR(dict(once)).eval_sequence(data)
    identity = metrics.Identity(dict(once)).eval_sequence(data)
    return MotScores(
        hota=float(np.mean(hota["HOTA"])),
        detection=float(np.mean(hota["DetA"])),
        association=float(np.mean(hota["AssA"])),
        idf1=float(identity["IDF1"]),
        mota=float(clear["MOTA"]),
        motp=float(clear["MOTP"]),
        switches=int(clear["IDSW"]),
        fragments=int(clear["Frag"]),
        found=int(clear["CLR_TP"]),
        missed=int(clear["CLR_FN"]),
        invented=int(clear["CLR_FP"]),
    )


def similarities(
    predicted: Float[np.ndarray, "n keypoints 2"], truth: Float[np.ndarray, "m keypoints 2"], gate: float | None
) -> Float[np.ndarray, "m n"]:
    """From 0 to 1, see `mot_scores`; a labeled keypoint that was not predicted counts 0 in the OKS."""
    if gate is not None:
        distance = geometry.mean_distances(truth, predicted)
        return np.where(np.isfinite(distance), np.maximum(0.0, 1 - distance / (2 * gate)), 0.0)
    labeled = geometry.visible(truth)
    sides = np.nanmax(truth, axis=1, initial=-np.inf) - np.nanmin(truth, axis=1, initial=np.inf)
    area = np.maximum(sides, SLIMMEST * sides.max(-1, keepdims=True)).prod(-1)
    squared = ((truth[:, None] - predicted[None]) ** 2).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):  # an animal labeled with one keypoint has no area
        near = np.exp(-squared / (2 * area[:, None, None] * (2 * SIGMA) ** 2))
    return np.where(np.isfinite(near), near, 0.0).sum(-1) / labeled.sum(-1)[:, None]


def _sequence(predicted: Tracks, truth: Labeled, gate: float | None) -> dict[str, Any]:
    """What TrackEval computes from."""
    if predicted.shape[0] != truth.shape[0] or predicted.shape[2] != truth.shape[2]:
        raise DataError(
            f"The predictions have {predicted.shape[0]} frames of {predicted.shape[2]} keypoints per animal and the labels "
            f"{truth.shape[0]} of {truth.shape[2]}; compare the same frames and keypoints."
        )
    if gate is None and truth.shape[2] < 2:
        raise ConfigError("Animals of one keypoint have no size to measure distances by; give gate=PIXELS.")
    if gate is not None and not gate > 0:
        raise ConfigError(f"gate={gate} must be a positive number of pixels.")
    shown = [geometry.counts(poses) > 0 for poses in (predicted, truth)]
    if not shown[1].any():
        raise DataError("No animal is labeled, so tracks cannot be scored; give labels of the same frames.")
    rows = [[np.flatnonzero(frame) for frame in there[:, there.any(0)]] for there in shown]
    kept = [poses[:, there.any(0)] for poses, there in zip((predicted, truth), shown, strict=True)]
    pairs = zip(*kept, *rows, strict=True)
    return {
        "similarity_scores": [similarities(p[i], t[j], gate) for p, t, i, j in pairs],
        "tracker_ids": rows[0],
        "gt_ids": rows[1],
        "num_tracker_ids": kept[0].shape[1],
        "num_gt_ids": kept[1].shape[1],
        "num_tracker_dets": int(shown[0].sum()),
        "num_gt_dets": int(shown[1].sum()),
        "num_timesteps": len(truth),
    }


def _metrics() -> Any:
    try:
        from trackeval import metrics  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ConfigError('Scoring tracks needs TrackEval: pip install "lp-infer[mot]"') from None
    return metrics
