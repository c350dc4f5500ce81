"""Can its confidence be trusted?"""

from itertools import pairwise
from typing import Any

import numpy as np

from lp_viz.reliability import BLUE, VERMILION
from lp_viz.report.bootstrap import digits, median_interval
from lp_viz.report.chart import Axis, Chart
from lp_viz.report.headline import guarded
from lp_viz.report.looks import legend, swatch
from lp_viz.report.markup import Chapter, Child, Markup, chapter, join, note, table, tag
from lp_viz.report.run import Labeled, Run

MOST = 2500  # dots
EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)
MEDIAN = np.sqrt(2 * np.log(2))  # of the length of a plane Gaussian of scale 1
SIZE = (460, 330)


def confidence(run: Run) -> Chapter | None:
    """Error against confidence, of frames that were not trained on, and whether the calibration held."""
    known = [f for f in run.labeled if np.isfinite(f.error[f.fresh]).any()]
    if not known:
        return None
    blocks = [_file(run, labeled) for labeled in known]
    words = (
        "Only frames that were not trained on. If it knows when it is unsure, large errors are only at the left of the first "
        "chart, where confidence is low."
    )
    return chapter("confidence", "Can its confidence be trusted?", tag("p", words, class_="quiet"), *blocks)


def _file(run: Run, labeled: Labeled) -> Markup:
    error, sure = labeled.error[labeled.fresh], labeled.table.confidence[labeled.fresh]
    parts = [p for p in labeled.parts() if (labeled.fresh & (labeled.part == p)).any()]
    title = tag("h3", " and ".join(labeled.title(p) for p in parts))
    charts = [_scatter(run, error, sure), _reliability(run.evaluated(labeled))]
    missing = None if run.calibration else note("No calibration: it needs at least 20 labels in the validation frames.")
    return join(
        title, tag("div", *charts, class_="charts"), missing, _binned(error, sure), _covered(run.evaluated(labeled))
    )


def _scatter(run: Run, error: np.ndarray, sure: np.ndarray) -> Markup:
    known = np.isfinite(error) & np.isfinite(sure)
    x, y = sure[known], error[known]
    if len(x) > MOST:
        chosen = np.random.default_rng(0).choice(len(x), MOST, replace=False)
        x, y = x[chosen], y[chosen]
    title = f"error and confidence of {len(x)} labels" + (f" of {known.sum()}" if known.sum() > len(x) else "")
    chart = Chart(title, Axis(0, 1, "confidence"), Axis.round(np.maximum(y, 0.05), "error (px)"), SIZE)
    chart.dots(x, np.maximum(y, 0.05), (BLUE, "circle"), radius=2.4)
    one = tag("svg", tag("circle", cx=13, cy=5, r=3), class_="swatch dot", viewBox="0 0 26 10", style=f"--c:{BLUE}")
    entries = [("one label", one)]
    if run.calibration:
        at = np.linspace(0.01, 0.99, 99)
        chart.line(at, expected_median(run.calibration, at), "calibrated median", VERMILION, "7 3")
        entries.append(("median error to expect, from calibration.json", swatch(VERMILION, "7 3")))
    return tag("div", chart.svg(), legend(entries))


def expected_median(calibration: dict[str, Any], confidence: np.ndarray) -> np.ndarray:
    """Median error in pixels of the average keypoint: log sigma = a + b · log(c / (1 − c)), a plane Gaussian."""
    intercept = float(np.mean(calibration["intercepts"]))
    return MEDIAN * np.exp(intercept + float(calibration["slope"]) * (np.log(confidence) - np.log1p(-confidence)))


def _reliability(evaluated: dict[str, Any]) -> Markup | None:
    """What was predicted against what was found, as in calibration.png."""
    rows = np.array(evaluated.get("reliability") or [], dtype=float)
    if not len(rows):
        return None
    both = Axis.round(rows[:, :3], "expected error per axis, sigma (px)", log=True)
    chart = Chart("expected and found", both, Axis(both.low, both.high, "found (px)", log=True), SIZE)
    chart.rule([both.low, both.high], [both.low, both.high])
    for predicted, _, median, count in rows:
        hint = f"expected {digits(predicted)} px, found {digits(median)} px, {count:.0f} labels"
        chart.dots([predicted], [median], (BLUE, "circle"), [hint], 6)
    words = (
        "On the dashed line, errors are as large as the calibration says; above it, larger. Each dot is a group of labels of "
        "similar confidence; point at it for its numbers."
    )
    return tag("div", chart.svg(), tag("p", words, class_="quiet"))


def _binned(error: np.ndarray, sure: np.ndarray) -> Markup:
    rows: list[list[Child]] = []
    for low, high in pairwise(EDGES):
        inside = np.where((sure >= low) & (sure < high), error, np.nan)
        if np.isfinite(inside).any():
            found, most = median_interval(inside), float(np.nanpercentile(inside, 90))
            rows.append([f"{low:.1f} to {min(high, 1):.1f}", found.labels, guarded(found), f"{digits(most)} px"])
    return table(["confidence", "labels", "median error [95% interval]", "90% of labels below"], rows, "narrow")


def _covered(evaluated: dict[str, Any]) -> Markup | None:
    shares = evaluated.get("coverage") or {}
    words = [f"{share:.0%} instead of {float(level):.0%}" for level, share in shares.items() if share == share]
    text = "Share of the errors inside the radius that the calibration gives, of frames it was not fitted to: "
    return tag("p", text + ", ".join(words) + ".") if words else None
