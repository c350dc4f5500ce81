"""Losses for pose estimation: pure functions, and modules that follow one recipe.

from lp_losses import heatmap_mse
from lp_core import losses
loss = losses["heatmap_mse"]().build()
"""

from lp_losses.animal_loss import AnimalLoss
from lp_losses.animals import follow
from lp_losses.base import LABELED, UNLABELED, Loss, masked_mean
from lp_losses.criterions import (
    dekr_heatmap,
    dekr_offset,
    weighted_bce,
    weighted_huber,
    weighted_kl,
    weighted_mean,
    weighted_mse,
)
from lp_losses.factory import LossFactory
from lp_losses.heatmap import heatmap_js, heatmap_kl, heatmap_mse
from lp_losses.pca import PoseSubspace, multiview_columns, pose_centering, singleview_columns
from lp_losses.regression import distance, squared_error
from lp_losses.renamed import Renamed
from lp_losses.simcc import classification_kl
from lp_losses.subspace import Subspace, fit_subspace
from lp_losses.temporal import temporal_norm

__all__ = [
    "LABELED",
    "UNLABELED",
    "AnimalLoss",
    "Loss",
    "LossFactory",
    "PoseSubspace",
    "Renamed",
    "Subspace",
    "classification_kl",
    "dekr_heatmap",
    "dekr_offset",
    "distance",
    "fit_subspace",
    "follow",
    "heatmap_js",
    "heatmap_kl",
    "heatmap_mse",
    "masked_mean",
    "multiview_columns",
    "pose_centering",
    "singleview_columns",
    "squared_error",
    "temporal_norm",
    "weighted_bce",
    "weighted_huber",
    "weighted_kl",
    "weighted_mean",
    "weighted_mse",
]
