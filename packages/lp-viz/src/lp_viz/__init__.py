"""Overlays of poses on images and videos, and figures of a training. No torch.

Names are imported when they are first used, so that `RenderOptions` brings neither OpenCV nor matplotlib.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lp_viz.colors import keypoint_colors
    from lp_viz.curves import error_plot, learning_curves
    from lp_viz.draw import draw_pose
    from lp_viz.grids import heatmaps_grid, labels_grid, limbs_grid
    from lp_viz.reliability import reliability_figure
    from lp_viz.style import PoseStyle, RenderOptions, SlowMotion
    from lp_viz.subspace import subspace_figure
    from lp_viz.video import View, render_video, render_views

_HOMES = {
    "PoseStyle": "style",
    "RenderOptions": "style",
    "SlowMotion": "style",
    "View": "video",
    "draw_pose": "draw",
    "error_plot": "curves",
    "heatmaps_grid": "grids",
    "keypoint_colors": "colors",
    "labels_grid": "grids",
    "learning_curves": "curves",
    "limbs_grid": "grids",
    "reliability_figure": "reliability",
    "render_video": "video",
    "render_views": "video",
    "subspace_figure": "subspace",
}

__all__ = [
    "PoseStyle",
    "RenderOptions",
    "SlowMotion",
    "View",
    "draw_pose",
    "error_plot",
    "heatmaps_grid",
    "keypoint_colors",
    "labels_grid",
    "learning_curves",
    "limbs_grid",
    "reliability_figure",
    "render_video",
    "render_views",
    "subspace_figure",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
