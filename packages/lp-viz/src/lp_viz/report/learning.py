"""Learning curves: did it learn, and did it learn for long enough?"""

from pathlib import Path

import numpy as np
from lp_core import DataError

from lp_viz.curves import Series, read_metrics
from lp_viz.report.chart import Axis, Chart
from lp_viz.report.looks import PART_COLOR, legend, swatch
from lp_viz.report.markup import Chapter, Markup, chapter, join, note, tag

STAGES = {"train": ("train", ""), "val": ("validation", "7 3")}
PLAIN = {
    "pixel_error": "distance to the labels (pixel error, px)",
    "supervised_loss": "loss on labels (supervised)",
    "unsupervised_loss": "losses on unlabeled video together (unsupervised)",
}
SKIPPED = ("_weighted", "_weight")
FIRST = ("pixel_error", "supervised_loss")


def learning(metrics: Path) -> Chapter:
    """A chart for every number that training and validation watched."""
    try:
        panels = _panels(read_metrics(metrics))
    except (DataError, ValueError) as e:
        return chapter("learning", "Did it learn?", note(f"No learning curves: {e}"))
    charts = [_chart(title, lines) for title, lines in panels.items()]
    key = legend([(name, swatch(PART_COLOR[name], dash)) for name, dash in STAGES.values()])
    words = (
        "What it should look like: everything falls and then levels off. If validation rises again while training falls, "
        "it learned its training frames by heart; if both still fall at the end, train for more epochs. "
        "Losses on unlabeled video may rise at first, while they are given more weight."
    )
    return chapter(
        "learning", "Did it learn?", key, tag("div", *charts, class_="charts"), tag("p", words, class_="quiet")
    )


def _panels(series: dict[str, Series]) -> dict[str, dict[str, Series]]:
    """Title → stage → curve; the pixel error first, then what is made smaller."""
    found: dict[str, dict[str, Series]] = {}
    for name, values in series.items():
        stage, _, rest = name.partition("_")
        if stage in STAGES and rest and not rest.endswith(SKIPPED):
            found.setdefault(rest, {})[stage] = values
    found = {
        title: lines for title, lines in found.items() if title == FIRST[1] or not _same(lines, found.get(FIRST[1]))
    }
    return dict(
        sorted(found.items(), key=lambda item: (FIRST.index(item[0]) if item[0] in FIRST else len(FIRST), item[0]))
    )


def _same(lines: dict[str, Series], others: dict[str, Series] | None) -> bool:
    """Whether curves are others by a constant factor, as is the only loss there is."""
    if not others or set(lines) != set(others):
        return False
    one, two = (np.concatenate([np.array(v[stage][1]) for stage in STAGES if stage in v]) for v in (lines, others))
    return one.shape == two.shape and bool(np.allclose(one * two[0], two * one[0], rtol=1e-3))


def _chart(title: str, lines: dict[str, Series]) -> Markup:
    values = [v for _, ys in lines.values() for v in ys]
    x = Axis.round([e for xs, _ in lines.values() for e in xs], "epoch", log=False)
    chart = Chart(PLAIN.get(title, title.replace("_", " ")), x, Axis.round(values))
    for stage, (xs, ys) in lines.items():
        name, dash = STAGES[stage]
        chart.line(xs, ys, name, PART_COLOR[name], dash)
        if len(xs) <= 12:
            hints = [f"{name}, epoch {x:g}: {y:.4g}" for x, y in zip(xs, ys, strict=True)]
            chart.dots(xs, ys, (PART_COLOR[name], "circle"), hints)
    return join(chart.svg())
