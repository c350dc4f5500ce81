"""Does the predicted uncertainty hold what it promises? A picture as an array, for TensorBoard and for files."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from lp_core import DataError
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import ScaledTranslation

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#777777"  # two of Okabe and Ito; shapes differ too
DPI = 130
LARGEST = 110.0  # area of the largest dot in square points
Row = tuple[float, float, float, int]


def reliability_figure(
    rows: Sequence[Row], coverage: Mapping[float, float], title: str
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Left: predicted sigma against observed error. Right: nominal level against the share of errors it covered.

    Args:
        rows: of `lp_train.calibration.reliability`: predicted sigma, observed sigma as root mean square and by the
            median, all in pixels of the original frame, and the count of labels.
        coverage: of `lp_train.calibration.coverage`: level → share of the errors within its radius.
        title: above both.

    Raises:
        DataError: there are no rows, or a predicted sigma is not above 0.
    """
    if not rows or min(row[0] for row in rows) <= 0:
        raise DataError(f"{title}: no predicted sigma above 0 to draw; pass the rows of at least one labeled frame.")
    figure = Figure(figsize=(9.6, 5.3), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title, fontsize=12)
    _draw_sigmas(left, np.array(rows, dtype=float))
    _draw_coverage(right, coverage, sum(row[3] for row in rows))
    for axis in (left, right):
        legend_below(figure, axis)
    return rendered(figure)


def rendered(figure: Figure) -> UInt8[np.ndarray, "rows columns 3"]:
    """A figure as an RGB picture, without pyplot and without a file."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def finish(axis: Axes, title: str, below: str, beside: str) -> None:
    """Title, labels, and as few lines round the data as can be."""
    axis.set_title(title, fontsize=10)
    axis.set_xlabel(below)
    axis.set_ylabel(beside)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)


def legend_below(figure: Figure, axis: Axes) -> Legend:
    """In one row under the axis and its label, where it hides no data."""
    below = axis.transAxes + ScaledTranslation(0, -0.46, figure.dpi_scale_trans)  # inches, however high the axis is
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
    return axis.legend(frameon=False, ncols=3, fontsize=9, columnspacing=1.0, **place)


def _draw_sigmas(axis: Axes, rows: Float[np.ndarray, "bins 4"]) -> None:
    low, high = _limits(rows[:, :3])
    area = LARGEST * rows[:, 3] / rows[:, 3].max()
    axis.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle="--", label="as predicted")
    axis.scatter(
        rows[:, 0], rows[:, 1], s=area, facecolors="none", edgecolors=BLUE, linewidths=1.8, label="root mean square"
    )
    axis.scatter(rows[:, 0], rows[:, 2], s=area / 3, c=VERMILION, marker="D", linewidths=0, label="median")
    _log(axis, low, high)
    few, many = int(rows[:, 3].min()), int(rows[:, 3].max())
    counts = f"{many}" if few == many else f"{few} to {many}"
    finish(axis, f"sigma per axis, {counts} labels per dot", "predicted sigma (pixels)", "observed sigma (pixels)")


def _limits(sigmas: Float[np.ndarray, "bins 3"]) -> tuple[float, float]:
    """Of both axes: round all dots, and at least a factor of ten apart, so that scatter does not look like a trend."""
    drawn = sigmas[np.isfinite(sigmas) & (sigmas > 0)]
    low, high = float(drawn.min()) / 1.4, float(drawn.max()) * 1.4
    widen = max(1.0, np.sqrt(10 * low / high))
    return low / widen, high * widen


def _log(axis: Axes, low: float, high: float) -> None:
    steps = (1, 2, 5) if high < 300 * low else (1,)
    axis.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_locator(LogLocator(subs=steps))
        one.set_major_formatter(StrMethodFormatter("{x:g}"))
        one.set_minor_formatter(NullFormatter())


def _draw_coverage(axis: Axes, coverage: Mapping[float, float], labels: int) -> None:
    p = np.linspace(0, 1, 201)
    spread = 1.96 * np.sqrt(p * (1 - p) / max(labels, 1))  # normal approximation of the binomial
    band = ((p - spread).clip(0, 1) * 100, (p + spread).clip(0, 1) * 100)
    axis.fill_between(p * 100, *band, color=GREY, alpha=0.25, linewidth=0, label=f"95% band, n = {labels}")
    axis.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle="--", label="as promised")
    levels = np.array(sorted(coverage), dtype=float)
    shares = np.array([coverage[p] for p in sorted(coverage)], dtype=float)
    axis.plot(levels * 100, shares * 100, "o-", color=BLUE, markersize=7, markeredgecolor="white", label="covered")
    axis.set(xlim=(0, 102), ylim=(0, 102))
    finish(axis, "errors inside the predicted radius", "nominal level (%)", "share covered (%)")
