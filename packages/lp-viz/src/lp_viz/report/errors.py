"""Which keypoints, and which animals, are hard."""

from collections.abc import Callable, Sequence

import numpy as np
from lp_core import Animals

from lp_viz.report.bootstrap import Errors, Interval, median_interval
from lp_viz.report.chart import RIGHT, Axis, Chart
from lp_viz.report.headline import guarded
from lp_viz.report.looks import PART_COLOR, PART_SHAPE, legend, shape
from lp_viz.report.markup import Chapter, Child, Markup, chapter, folded, join, table, tag
from lp_viz.report.run import Labeled, Run

Row = list[tuple[str, Interval]]  # part of the split → number
WIDTH = 940
LETTERS = 34


def errors(run: Run) -> Chapter | None:
    """Medians with intervals, per keypoint and part of the split; where there are several animals, of each too."""
    if not run.labeled:
        return None
    parts = list(dict.fromkeys(p for labeled in run.labeled for p in labeled.parts()))
    animals = Animals.of(run.names)
    blocks = []
    if animals:
        each = len(animals.parts)
        blocks += [
            _block(run, "body part", animals.parts, lambda e, p: e[:, p : animals.owned : each]),
            _block(run, "animal", animals.individuals, lambda e, a: e[:, a * each : (a + 1) * each]),
        ]
    blocks.append(_block(run, "keypoint", run.names, lambda e, k: e[:, [k]]))
    key = legend([("new data" if p == "new" else p, shape(p)) for p in parts])
    words = "Each mark is the median error, its line the 95% interval. Point at a mark for its numbers."
    return chapter("keypoints", "Which keypoints are hard?", key, tag("p", words, class_="quiet"), *blocks)


def _block(run: Run, kind: str, names: Sequence[str], of: Callable[[Errors, int], Errors]) -> Markup:
    """One chart and its table per label file: that of the training, and new data beside it."""
    blocks = []
    for camera in dict.fromkeys(labeled.camera for labeled in run.labeled):
        files = [labeled for labeled in run.labeled if labeled.camera == camera]
        rows = [_intervals(files, lambda e, k=k: of(e, k)) for k in range(len(names))]
        title = f"median error by {kind}" + (f", camera {camera}" if camera else "")
        blocks += [forest(title, names, rows), folded(f"the numbers by {kind}", _numbers(kind, names, rows))]
    return join(*blocks)


def _intervals(files: list[Labeled], of: Callable[[Errors], Errors]) -> Row:
    return [(p, median_interval(of(f.error[f.part == p]))) for f in files for p in f.parts()]


def _numbers(kind: str, names: Sequence[str], rows: Sequence[Row]) -> Markup:
    head = [kind, *(f"{part} (labels)" for part, _ in rows[0])]
    lines: list[list[Child]] = [
        [name, *(join(guarded(i), f" ({i.labels})") for _, i in row)] for name, row in zip(names, rows, strict=True)
    ]
    return table(head, lines)


def forest(
    title: str, names: Sequence[str], rows: Sequence[Row], label: str = "median error (px)", *, zero: bool = False
) -> Markup:
    """A row per name, a mark with its interval per part.

    Args:
        title: of the chart.
        names: of the rows.
        rows: what to mark in each.
        label: of the x axis.
        zero: draw a line at 0, on an axis that is not logarithmic.
    """
    found = [v for row in rows for _, i in row for v in (i.low, i.value, i.high) if np.isfinite(v)]
    x = Axis.round([*found, 0.0], label, log=False) if zero else Axis.round([max(v, 0.01) for v in found], label)
    short = [n if len(n) <= LETTERS else n[: LETTERS - 1] + "…" for n in names]
    left, height = 26 + round(6.6 * max(map(len, short))), 16 + 11 * max(1, len(rows[0]))
    y = Axis(len(names) - 0.5, -0.5)
    chart = Chart(title, x, y, (WIDTH, 62 + height * len(names)), left=min(left, WIDTH // 2 - RIGHT), rows=short)
    if zero:
        chart.rule([0, 0], [-0.5, len(names) - 0.5])
    for place, (name, row) in enumerate(zip(names, rows, strict=True)):
        for number, (part, i) in enumerate(row):
            if np.isfinite(i.value):
                at = place + (number - (len(row) - 1) / 2) * 11 / height
                hint = f"{name}, {part}: {i} px, {i.labels} labels"
                chart.whisker(at, (i.low, i.value, i.high), (PART_COLOR[part], PART_SHAPE[part]), hint)
    return chart.svg()
