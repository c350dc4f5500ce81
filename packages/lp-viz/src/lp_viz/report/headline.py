"""How good is it: the first thing on the page."""

import numpy as np

from lp_viz.report.bootstrap import Interval, digits, mean_interval, median_interval
from lp_viz.report.markup import Chapter, Child, Markup, chapter, join, note, table, tag
from lp_viz.report.run import Labeled, Run

FEW = 20  # frames: with fewer, an interval of the bootstrap is a rough guess
SAYS = {
    "train": "frames it was trained on",
    "validation": "frames that chose the best epoch",
    "test": "test frames, never seen in training",
    "new": "frames of another kind of recording, never seen in training",
    "unused": "frames left out of training",
}


def headline(run: Run) -> Chapter:
    """Large numbers for what was not trained on, and a table of every part of the split."""
    if not run.labeled:
        return chapter("good", "How good is it?", note("No errors: the run was not evaluated."))
    cards = [_card(labeled, part) for labeled in run.labeled for part in _shown(run, labeled)]
    rows = [_row(labeled, part) for labeled in run.labeled for part in labeled.parts()]
    head = ["frames", "number", "labels", "median [95% interval]", "mean [95% interval]", "90% of labels below"]
    return chapter(
        "good", "How good is it?", tag("div", *cards, class_="cards"), table(head, rows), _share(run), _explanation(run)
    )


def _shown(run: Run, labeled: Labeled) -> list[str]:
    parts = labeled.parts()
    best = [p for p in parts if p in ("test", "new")]
    anywhere = any(set(other.parts()) & {"test", "new"} for other in run.labeled)
    return best or ([] if anywhere else [p for p in parts if p == "validation"] or parts[:1])


def _card(labeled: Labeled, part: str) -> Markup:
    found = median_interval(labeled.error[labeled.part == part])
    between = f"95% interval {digits(found.low)} to {digits(found.high)}" if found.known else "one frame: no interval"
    title = labeled.title(part) + ("" if part == "new" else " frames")
    return tag(
        "div", tag("p", title, class_="of"), tag("p", f"{digits(found.value)} px", class_="big"),
        tag("p", f"median distance from label to prediction, {between}"),
        tag("p", f"{found.frames} frames, {found.labels} labels: {SAYS[part]}", class_="quiet"), class_="card",
    )  # fmt: skip


def _row(labeled: Labeled, part: str) -> list[Child]:
    errors = labeled.error[labeled.part == part]
    median, mean = median_interval(errors), mean_interval(errors)
    most = digits(float(np.nanpercentile(errors, 90)))
    return [labeled.title(part), median.frames, median.labels, guarded(median), guarded(mean), f"{most} px"]


def guarded(found: Interval) -> Markup:
    """An interval, with a mark where it is of few frames."""
    return join(str(found), tag("sup", "few", title=f"fewer than {FEW} frames") if 0 < found.frames < FEW else None)


def _share(run: Run) -> Markup | None:
    """Percentage of correct keypoints, which does not depend on how large the picture is."""
    lines = []
    for labeled in run.labeled:
        shares = run.evaluated(labeled).get("pck") or {}
        words = [f"{share:.0f}% are within {float(limit):.0%}" for limit, share in shares.items() if share is not None]
        if words:
            name = "new data" if labeled.suffix else "validation and test frames"
            lines.append(f"Of the keypoints of {name}, {' and '.join(words)} of the animal's size in the picture.")
    return tag("p", " ".join(lines)) if lines else None


def _explanation(run: Run) -> Markup:
    few = f"“few”: fewer than {FEW} frames, so that the interval is a rough guess. "
    small = any(0 < np.isfinite(e.error[e.part == p]).any(-1).sum() < FEW for e in run.labeled for p in e.parts())
    return tag(
        "p",
        "An error is the distance from a label to its prediction, in pixels (px) of the original picture. Half of the labels "
        "are closer than the median; a few large mistakes raise the mean. The 95% interval says how far the number could "
        "move with other frames of the same kind. " + (few if small else ""),
        class_="quiet",
    )
