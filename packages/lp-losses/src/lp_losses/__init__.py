"""Losses for pose estimation: pure functions, and modules that follow one recipe.

from lp_losses import heatmap_mse
from lp_core import losses
loss = losses["heatmap_mse"]().build()
"""

from lp_losses.base import LABELED, UNLABELED, Loss, masked_mean
from lp_losses.factory import LossFactory
from lp_losses.heatmap import heatmap_js, heatmap_kl, heatmap_mse
from lp_losses.pca import PoseSubspace, multiview_columns, singleview_columns
from lp_losses.regression import distance, squared_error
from lp_losses.renamed import Renamed
from lp_losses.simcc import classification_kl
from lp_losses.subspace import Subspace, fit_subspace
from lp_losses.temporal import temporal_norm

__all__ = [
    "LABELED",
    "UNLABELED",
    "Loss",
    "LossFactory",
    "PoseSubspace",
    "Renamed",
    "Subspace",
    "classification_kl",
    "distance",
    "fit_subspace",
    "heatmap_js",
    "heatmap_kl",
    "heatmap_mse",
    "masked_mean",
    "multiview_columns",
    "singleview_columns",
    "squared_error",
    "temporal_norm",
]
