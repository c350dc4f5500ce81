"""How well a subspace of poses fits the labels it was made from: one picture as an array."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import ConfigError, Size
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from lp_viz.colors import keypoint_colors
from lp_viz.reliability import BLUE, DPI, GREY, VERMILION, finish, legend_below, rendered

BINS = 30
FINEST = 1e-3  # pixels: errors below are drawn as this one
LOG_FROM = 20.0  # largest over median error from which on the axis is logarithmic
MARGIN = 0.2  # of the worst pose's longer side, shown round it
NARROWEST = 48.0  # pixels of the image that are shown at least
RING = 8.0  # pixels of the image kept beyond a point outside it
OUTLINE = [withStroke(linewidth=3.2, foreground="black")]

Errors = Float[np.ndarray, " frames"]
Worst = tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "keypoints 2"], Float[np.ndarray, "keypoints 2"]]


def subspace_figure(
    variances: Float[np.ndarray, " components"],
    kept: int,
    errors: Errors,
    epsilon: float,
    worst: Worst,
    title: str,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Left: variance explained by the kept components. Middle: reconstruction errors. Right: the worst label.

    Args:
        variances: along every direction, the largest first.
        kept: how many of them the subspace has.
        errors: of each label frame in pixels of the original frame; NaN = not complete, left out.
        epsilon: in the same pixels: errors below cost nothing.
        worst: RGB image, its labels, and what the subspace makes of them, in pixels of that image; NaN = not labeled.
        title: above all three.

    Raises:
        ConfigError: more components are kept than there are, or none.
    """
    if not 0 < kept <= len(variances):
        raise ConfigError(f"{title}: kept={kept} must be between 1 and the {len(variances)} components there are.")
    figure = Figure(figsize=(14, 4.6), dpi=DPI)
    figure.set_layout_engine("constrained", wspace=0.05)
    left, middle, right = figure.subplots(1, 3)
    figure.suptitle(title, fontsize=12)
    _draw_variances(left, variances, kept)
    _draw_errors(middle, errors[np.isfinite(errors)], epsilon)
    _draw_worst(right, *worst)
    for axis in (left, middle, right):
        legend_below(figure, axis)
    return rendered(figure)


def _draw_variances(axis: Axes, variances: Float[np.ndarray, " components"], kept: int) -> None:
    share = 100 * np.cumsum(variances) / max(float(variances.sum()), np.finfo(float).tiny)
    number = np.arange(1, len(share) + 1)
    size = 6 if len(share) <= 40 else 3.5
    axis.plot(number, share, color=GREY, linewidth=1, zorder=1)
    axis.plot(number[:kept], share[:kept], "o", color=BLUE, markersize=size, label=f"{kept} kept")
    if kept < len(share):
        axis.plot(number[kept:], share[kept:], "o", color=GREY, mfc="white", markersize=size, label="given up")
    axis.axvline(kept + 0.5, color=BLUE, linewidth=1, linestyle=":")
    axis.set(xlim=(0.3, len(share) + 0.7), ylim=(min(float(share[0]), 90) - 3, 101.5))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    name = "component explains" if kept == 1 else "components explain"
    finish(axis, f"{kept} {name} {share[kept - 1]:.1f}%", "components", "explained variance, cumulative (%)")


def _draw_errors(axis: Axes, errors: Errors, epsilon: float) -> None:
    shown = np.maximum(errors, FINEST)
    above = float((errors > epsilon).mean()) if len(errors) else 0.0
    counts, _, _ = axis.hist(shown, _edges(axis, shown, epsilon).tolist(), color=BLUE, edgecolor="white", linewidth=0.5)
    note = f"epsilon = {epsilon:.3g} pixels, {above:.0%} above"
    axis.axvline(max(epsilon, FINEST), color=VERMILION, linewidth=2, linestyle="--", label=note)
    axis.set_ylim(0, 1.05 * max(1.0, float(np.max(counts))))
    if not len(errors):
        axis.text(0.5, 0.5, "no frame has every keypoint labeled", ha="center", transform=axis.transAxes)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    finish(axis, f"labels against the subspace ({len(errors)} frames)", "reconstruction error (pixels)", "frames")


def _edges(axis: Axes, errors: Errors, epsilon: float) -> Float[np.ndarray, " edges"]:
    """Of the histogram; a long tail makes the axis logarithmic."""
    high = max([*errors.tolist(), epsilon, FINEST])
    middle = float(np.median(errors)) if len(errors) else high
    if high < LOG_FROM * middle:
        return np.linspace(0, 1.02 * high, BINS + 1)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    return np.geomspace(max(float(errors.min()), FINEST) / 1.05, 1.05 * high, BINS + 1)


def _draw_worst(
    axis: Axes,
    image: UInt8[np.ndarray, "height width 3"],
    labeled: Float[np.ndarray, "keypoints 2"],
    reconstructed: Float[np.ndarray, "keypoints 2"],
) -> None:
    axis.imshow(image)
    axis.set_facecolor("#222222")  # beyond the image
    for a, b, color in zip(labeled, reconstructed, keypoint_colors(len(labeled)), strict=True):
        rgb = tuple(c / 255 for c in color)
        line: dict[str, Any] = {"color": rgb, "path_effects": OUTLINE}
        axis.plot(*np.stack([a, b]).T, linewidth=1.6, **line)
        axis.plot(*a, marker="o", markersize=9, markeredgewidth=1.8, fillstyle="none", linestyle="none", **line)
        axis.plot(*b, marker="x", markersize=7, markeredgewidth=1.8, linestyle="none", **line)
    _zoom(axis, (image.shape[0], image.shape[1]), np.concatenate([labeled, reconstructed]))
    apart = np.linalg.norm(labeled - reconstructed, axis=-1)
    longest = f", up to {np.nanmax(apart):.3g} pixels off" if np.isfinite(apart).any() else ""
    finish(axis, f"worst label{longest}", "x (pixels)", "y (pixels)")
    axis.grid(visible=False)
    look: dict[str, Any] = {"linestyle": "none", "color": "black"}  # the legend is of shapes, not of colours
    axis.plot([], [], marker="o", fillstyle="none", markersize=9, label="label", **look)
    axis.plot([], [], marker="x", markersize=7, label="reconstruction", **look)


def _zoom(axis: Axes, size: Size, points: Float[np.ndarray, "points 2"]) -> None:
    """Show all points, and of the image what is near; the whole image if there are none."""
    points = points[np.isfinite(points).all(-1)]
    if not len(points):
        return
    low, high = points.min(0), points.max(0)
    centre, half = (low + high) / 2, max((1 + MARGIN) * float((high - low).max()), NARROWEST) / 2
    low = np.maximum(centre - half, np.minimum(low - RING, -0.5))
    high = np.minimum(centre + half, np.maximum(high + RING, np.array(size[::-1]) - 0.5))
    axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
