"""Losses for pose estimation: pure functions, and modules that follow one recipe.

from lp_losses import heatmap_mse
from lp_core import losses
loss = losses["heatmap_mse"]().build()
"""

from lp_losses.base import Loss, masked_mean
from lp_losses.factory import LossFactory
from lp_losses.heatmap import heatmap_js, heatmap_kl, heatmap_mse
from lp_losses.regression import distance, squared_error
from lp_losses.simcc import classification_kl

__all__ = [
    "Loss",
    "LossFactory",
    "classification_kl",
    "distance",
    "heatmap_js",
    "heatmap_kl",
    "heatmap_mse",
    "masked_mean",
    "squared_error",
]
