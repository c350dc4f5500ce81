"""Poses stay in the subspace that the labels lie in."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from lp_core import ConfigError, LossConfig, TrainingPoses
from torch import Tensor

from lp_losses.animal_loss import AnimalLoss, Complete
from lp_losses.base import LABELED, UNLABELED, Loss
from lp_losses.regression import NEAR
from lp_losses.subspace import CENTERINGS, Subspace, centred_poses, fit_subspace

Poses = Float[Tensor, "frames keypoints 2"]


class PoseSubspace:
    """How keypoints are arranged into observations, and the subspace fitted to them; everything in original pixels.

    Args:
        columns: keypoints of one observation, one row per observation of a frame: a single row with all of them for
            the joint pose, one row per animal, or one row per body part with the columns of its views.
        centering: None, "mean" or "median": of each observation's own keypoints, which makes it free of position.
    """

    columns: Int[np.ndarray, "groups members"]
    keep: float
    centering: str | None

    def __init__(self, columns: Int[np.ndarray, "groups members"], keep: float, centering: str | None = None) -> None:
        self.columns, self.keep, self.centering = columns, keep, centering
        self.subspace: Subspace | None = None

    def observations(self, keypoints: Float[np.ndarray, "frames keypoints 2"]) -> Float[np.ndarray, "rows dims"]:
        """Frames and groups one after the other; columns x₀, y₀, x₁, y₁, …"""
        groups = keypoints[:, self.columns].reshape(-1, self.columns.shape[1], 2)
        return centred_poses(groups, self.centering).reshape(len(groups), -1)

    def fit(self, keypoints: Float[np.ndarray, "frames keypoints 2"]) -> Subspace:
        """Fit it to labels; raises ConfigError where they are too few. Nothing is known of animals that are not there."""
        rows = self.observations(keypoints)
        self.subspace = fit_subspace(rows[np.isfinite(rows).any(1)], self.keep)
        return self.subspace

    def reconstruct(
        self, keypoints: Float[np.ndarray, "frames keypoints 2"]
    ) -> Float[np.ndarray, "frames keypoints 2"]:
        """The nearest poses of the subspace; NaN for keypoints that are not part of it."""
        assert self.subspace is not None
        groups = keypoints[:, self.columns].reshape(-1, self.columns.shape[1], 2)
        centred = centred_poses(groups, self.centering)
        near = self.subspace.reconstruct(centred.reshape(len(groups), -1)).reshape(groups.shape) + (groups - centred)
        out = np.full_like(keypoints, np.nan, dtype=np.float64)
        out[:, self.columns] = near.reshape(len(keypoints), *self.columns.shape, 2)
        return out

    def error(self, keypoints: Float[np.ndarray, "frames keypoints 2"]) -> Float[np.ndarray, "frames keypoints"]:
        """Distance of each keypoint from its reconstruction in px; NaN for keypoints that are not part of it."""
        return np.linalg.norm(keypoints - self.reconstruct(keypoints), axis=-1)


class PCALoss(Loss):
    """`mean relu(‖x_k - x̂_k‖ - ε)`, x̂ the nearest pose in the subspace, over frames and keypoints, in original pixels.

    Biderman, Whiteway et al., "Lightning Pose", Nature Methods 2024, "Pose PCA" and "multi-view PCA".

    Args:
        space: fitted.
        epsilon: px; the error of labels that is normal.
    """

    needs = frozenset({"keypoints_pred", "valid"})
    columns: Tensor
    mean: Tensor
    components: Tensor
    centering: str | None

    def __init__(self, name: str, space: PoseSubspace, *, epsilon: float, on_labeled: bool, log_weight: float) -> None:
        super().__init__(epsilon=epsilon, log_weight=log_weight)
        assert space.subspace is not None
        self.name, self.centering = name, space.centering
        self.streams = UNLABELED | LABELED if on_labeled else UNLABELED
        self.register_buffer("columns", torch.from_numpy(space.columns))
        self.register_buffer("mean", torch.from_numpy(space.subspace.mean).float())  # not every device has float64
        self.register_buffer("components", torch.from_numpy(space.subspace.components).float())

    def remove_nans(
        self, *, keypoints_pred: Poses, valid: Bool[Tensor, " frames"]
    ) -> Bool[Tensor, "frames groups members"]:
        """Frames that are not padding."""
        return valid[:, None, None].expand(-1, *self.columns.shape)

    def compute_loss(
        self, *, keypoints_pred: Poses, valid: Bool[Tensor, " frames"]
    ) -> Float[Tensor, "frames groups members"]:
        """Reconstruction error per keypoint."""
        poses, components = keypoints_pred[:, self.columns], self.components.to(keypoints_pred.dtype)
        if self.centering:
            poses = poses - self._centre(poses)
        flat = poses.flatten(-2) - self.mean
        residual = flat - flat @ components.T @ components
        return residual.unflatten(-1, (-1, 2)).square().sum(-1).clamp_min(NEAR).sqrt()

    def _centre(self, poses: Float[Tensor, "frames groups members 2"]) -> Float[Tensor, "frames groups 1 2"]:
        if self.centering == "mean":
            return poses.mean(-2, keepdim=True)
        ordered = poses.sort(-2).values  # numpy's median: the mean of the two middle values
        count = poses.shape[-2]
        return 0.5 * (ordered[..., [(count - 1) // 2], :] + ordered[..., [count // 2], :])


@dataclass(slots=True, kw_only=True)
class PCASingleviewConfig(LossConfig):
    """All keypoints of an animal together stay in the subspace of the labeled poses.

    Attributes:
        components_to_keep: a number of directions, or the share of the variance (below 1) that they explain.
        epsilon: px of reconstruction error that are normal; taken from the labels if not given.
        empirical_epsilon_percentile, empirical_epsilon_multiplier: this percentile of the labels' own errors, times this.
        centering_method: mean or median: poses relative to their own centre; null = as they are, or mean where there are
            several animals.
        on_labeled: labeled frames count too, which teaches keypoints that are not labeled.
    """

    log_weight: float = 5.0
    components_to_keep: float = 0.99
    epsilon: float | None = None
    empirical_epsilon_percentile: float = 99.0
    empirical_epsilon_multiplier: float = 1.0
    centering_method: str | None = None
    on_labeled: bool = True

    def __post_init__(self) -> None:
        if self.centering_method not in CENTERINGS:
            raise ConfigError(f"losses.pca: centering_method={self.centering_method} must be mean, median or null.")
        if not 0 < self.empirical_epsilon_percentile <= 100:
            raise ConfigError(
                f"losses.pca: empirical_epsilon_percentile={self.empirical_epsilon_percentile} must lie in (0, 100]."
            )

    def build(self, poses: TrainingPoses | None = None) -> PCALoss | AnimalLoss:
        """The loss, fitted to `poses`.

        Raises:
            ConfigError: there are no labels to fit it to, or too few.
        """
        space = self._space(singleview_columns(poses), pose_centering(poses, self.centering_method)) if poses else None
        return self._built("pca_singleview", poses, space)

    def _space(self, columns: Int[np.ndarray, "groups members"], centering: str | None) -> PoseSubspace:
        return PoseSubspace(columns, self.components_to_keep, centering)

    def _built(self, name: str, poses: TrainingPoses | None, space: PoseSubspace | None) -> PCALoss | AnimalLoss:
        if poses is None or space is None:
            raise ConfigError(f"losses.{name} is fitted to labels; build it with build(poses).")
        try:
            space.fit(poses.keypoints)
        except ConfigError as e:
            raise ConfigError(f"losses.{name} cannot be fitted: {e}; label more frames or leave the loss out.") from e
        epsilon = self.epsilon
        if epsilon is None:
            errors = space.error(poses.keypoints)
            epsilon = self.empirical_epsilon_multiplier * float(
                np.nanpercentile(errors, self.empirical_epsilon_percentile)
            )
        loss = PCALoss(name, space, epsilon=epsilon, on_labeled=self.on_labeled, log_weight=self.log_weight)
        return Complete(loss, poses.animals) if poses.animals else loss


@dataclass(slots=True, kw_only=True)
class PCAMultiviewConfig(PCASingleviewConfig):
    """Each body part, seen in several mirrored views at once, moves in three dimensions only."""

    components_to_keep: float = 3

    def build(self, poses: TrainingPoses | None = None) -> PCALoss | AnimalLoss:
        """The loss, fitted to `poses`.

        Raises:
            ConfigError: there is one view only, there are no labels to fit it to, or too few.
        """
        if poses is not None and not poses.views:
            raise ConfigError(
                "losses.pca_multiview needs keypoints seen in several views; give data.mirrored_column_matches=[[…],[…]], "
                "one list of keypoint numbers per view."
            )
        space = self._space(multiview_columns(poses), self.centering_method) if poses else None
        return self._built("pca_multiview", poses, space)


def singleview_columns(poses: TrainingPoses) -> Int[np.ndarray, "animals members"]:
    """One observation per frame and animal, of `poses.singleview` or of every keypoint; of several animals, each has the
    parts that `poses.singleview` has of any of them.
    """
    if poses.animals is None:
        return np.array([poses.singleview or range(len(poses.keypoint_names))], dtype=np.int64)
    owned, count = poses.animals.owned, len(poses.animals.parts)
    members = sorted({c % count for c in poses.singleview if c < owned}) or list(range(count))
    return np.arange(0, owned, count)[:, None] + np.array(members, dtype=np.int64)


def pose_centering(poses: TrainingPoses, method: str | None) -> str | None:
    """`method`; where that is None and there are several animals, "mean": wherever one is, its pose counts."""
    return method or ("mean" if poses.animals else None)


def multiview_columns(poses: TrainingPoses) -> Int[np.ndarray, "parts views"]:
    """One observation per body part and frame."""
    return np.array(poses.views, dtype=np.int64).T
