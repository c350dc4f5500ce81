"""The subspaces of a run's labels, described for a picture: what they explain, and the label they fit worst."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import ConfigError, TrainingPoses
from lp_io import read_image, read_labels
from lp_losses import PoseSubspace, multiview_columns, pose_centering, singleview_columns

from lp_train._hydra import load
from lp_train.poses import load_poses
from lp_train.rundir import RunDir

PERCENTILE = 99.0  # of the labels' own errors: the losses' default epsilon


@dataclass(frozen=True, slots=True, kw_only=True)
class SubspaceFacts:
    """One subspace; everything in pixels of the original images.

    Attributes:
        name: of the loss that uses it.
        variances: along every direction, the largest first.
        kept: how many of them the subspace has.
        errors: mean reconstruction error of each labeled frame; NaN = not complete.
        epsilon: the 99th percentile of the errors per keypoint.
        image, labeled, reconstructed: of the frame with the largest error.
    """

    name: str
    variances: Float[np.ndarray, " components"]
    kept: int
    errors: Float[np.ndarray, " frames"]
    epsilon: float
    image: UInt8[np.ndarray, "height width 3"]
    labeled: Float[np.ndarray, "keypoints 2"]
    reconstructed: Float[np.ndarray, "keypoints 2"]


def describe_subspaces(run: Path | str) -> list[SubspaceFacts]:
    """Each subspace that the training labels of a run determine; none if they are too few, or of several cameras."""
    files = RunDir(Path(run))
    config, facts = load(files.config), json.loads(files.provenance.read_text())
    if config.data.view_names:
        return []
    labels = read_labels(Path(config.data.root), config.data.format, config.data.labels)
    rows = facts["split"]["train"]
    used = {n: config.losses[n] for n in ("pca_singleview", "pca_multiview") if n in config.losses}
    found = []
    for name, space in _spaces(files, used).items():
        errors = space.error(labels.keypoints[rows])
        per_frame = np.array([np.nanmean(e) if np.isfinite(e).any() else np.nan for e in errors])
        if not np.isfinite(per_frame).any():
            continue
        worst = rows[int(np.nanargmax(per_frame))]
        assert space.subspace is not None
        found.append(
            SubspaceFacts(
                name=name,
                variances=space.subspace.variances,
                kept=len(space.subspace.components),
                errors=per_frame,
                epsilon=float(np.nanpercentile(errors, PERCENTILE)),
                image=read_image(labels.root / labels.images[worst]),
                labeled=labels.keypoints[worst],
                reconstructed=space.reconstruct(labels.keypoints[[worst]])[0],
            )
        )
    return found


def _centering(name: str, poses: TrainingPoses, loss: Any) -> str | None:
    method = loss.centering_method if loss else None
    return pose_centering(poses, method) if name == "pca_singleview" else method


def _spaces(files: RunDir, used: dict[str, Any]) -> dict[str, PoseSubspace]:
    poses: TrainingPoses = load_poses(files.poses)
    columns = {"pca_singleview": (singleview_columns(poses), 0.99)}
    if poses.views:
        columns["pca_multiview"] = (multiview_columns(poses), 3)
    found = {}
    for name, (members, keep) in columns.items():
        loss = used.get(name)
        space = PoseSubspace(members, loss.components_to_keep if loss else keep, _centering(name, poses, loss))
        try:
            space.fit(poses.keypoints)
        except ConfigError:
            continue
        found[name] = space
    return found
