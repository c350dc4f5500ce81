"""One model against another, frame by frame."""

from collections.abc import Sequence

import numpy as np

from lp_viz.report.bootstrap import Interval, digits, mean_interval, median_interval
from lp_viz.report.chart import Axis, Chart
from lp_viz.report.errors import forest
from lp_viz.report.headline import FEW, guarded
from lp_viz.report.looks import PART_COLOR, PART_SHAPE, legend, shape
from lp_viz.report.markup import Chapter, Child, Markup, chapter, folded, join, note, table, tag
from lp_viz.report.pairs import Pair, frame_means
from lp_viz.report.pictures import LEGEND, drawn, embedded, gallery, pose_picture
from lp_viz.report.run import Run
from lp_viz.report.sources import Sources
from lp_viz.report.watching import letters
from lp_viz.report.worst import by_error

COUNT = 4  # frames pictured for each side
HEAD = [
    "frames",
    "number",
    "A, mean",
    "B, mean",
    "B − A, mean [95% interval]",
    "B − A, median [95% interval]",
    "B is nearer in",
    "so",
]


def overview(runs: Sequence[Run]) -> Chapter:
    """Medians of every run and part of the split, beside one another."""
    titles = dict.fromkeys(f.title(p) for run in runs for f in run.labeled for p in f.parts())
    rows: list[list[Child]] = [[title, *(_median(run, title) for run in runs)] for title in titles]
    names = [f"{letter}: {run.name}" for letter, run in zip(letters(len(runs)), runs, strict=True)]
    words = "Median error in pixels with its 95% interval. Intervals that overlap do not mean that runs are equal: see the pairs."
    return chapter("good", "How good are they?", table(["frames", *names], rows), tag("p", words, class_="quiet"))


def _median(run: Run, title: str) -> Markup | str:
    for labeled in run.labeled:
        for part in labeled.parts():
            if labeled.title(part) == title:
                return guarded(median_interval(labeled.error[labeled.part == part]))
    return "–"


def settings(runs: Sequence[Run]) -> Chapter:
    """What differs in the configurations."""
    flat = [flattened(run.config) for run in runs]
    keys = [
        k for k in dict.fromkeys(k for f in flat for k in f) if len({f.get(k, "–") for f in flat}) > 1 and k != "out"
    ]
    rows: list[list[Child]] = [[key, *(f.get(key, "–") for f in flat)] for key in keys]
    head = ["setting", *letters(len(runs))]
    body = table(head, rows) if rows else tag("p", "Their configurations are the same.")
    return chapter("settings", "What differs between them?", body)


def flattened(config: object, prefix: str = "") -> dict[str, str]:
    """`{"a": {"b": 1}}` → `{"a.b": "1"}`."""
    if not isinstance(config, dict):
        return {prefix: ", ".join(map(str, config)) or "none" if isinstance(config, list) else str(config)}
    return {k: v for key, value in config.items() for k, v in flattened(value, f"{prefix}.{key}".strip(".")).items()}


def against(pair: Pair, names: tuple[str, str], sources: Sources, title: str) -> Chapter:
    """One label file: differences per part of the split, per keypoint, and frames to look at.

    Args:
        pair: errors of both.
        names: of the two runs, the first one A in what is written.
        sources: of the pictures.
        title: of the chapter.
    """
    words = (
        f"Here A is {names[0]} and B is {names[1]}. Both are measured on the same labels, and each frame, which counts by the "
        "mean error of its labels, is compared with itself. Below 0, B is nearer to the labels. If the interval contains 0, so "
        "few frames do not tell which is better."
    )
    parts = [p for p in pair.parts() if p not in ("train", "unused")] or pair.parts()
    cards = tag(
        "div", *(_card(pair, part) for part in parts if part != "validation" or parts == [part]), class_="cards"
    )
    tables = table(HEAD, [_row(pair, part) for part in pair.parts()]), legend([(p, shape(p)) for p in parts])
    blocks = tag("p", words), cards, *tables, _scatter(pair, parts), _keypoints(pair, parts), _frames(pair, sources)
    return chapter(f"pair-{names[1]}-{pair.one.suffix}{pair.one.camera}", title, *blocks)


def _card(pair: Pair, part: str) -> Markup:
    """The answer for one part of the split."""
    found = mean_interval(pair.per_frame[pair.part == part][:, None])
    between = f"95% interval {digits(found.low)} to {digits(found.high)}" if found.known else "one frame: no interval"
    lines = f"B − A: {digits(found.value)} px on average over {found.frames} frames, {between}"
    return tag(
        "div",
        tag("p", f"{pair.one.title(part)} frames", class_="of"),
        tag("p", verdict(found), class_="big"),
        tag("p", lines),
        class_="card",
    )


def _row(pair: Pair, part: str) -> list[Child]:
    chosen = pair.part == part
    frames = pair.per_frame[chosen][:, None]
    mean, median = mean_interval(frames), median_interval(frames)
    nearer = f"{int((frames < 0).sum())} of {mean.frames}"
    means = [digits(float(np.nanmean(frame_means(e[chosen])))) for e in (pair.first, pair.second)]
    so = f"{verdict(mean)} on what it was trained on" if part == "train" and mean.excludes_zero else verdict(mean)
    return [pair.one.title(part), mean.frames, *means, guarded(mean), guarded(median), nearer, so]


def verdict(difference: Interval) -> str:
    """What an interval of B − A says, in words."""
    if not difference.excludes_zero:
        return "no clear difference"
    how = "is" if difference.frames >= FEW else "seems"
    return f"{'B' if difference.value < 0 else 'A'} {how} better"


def _scatter(pair: Pair, parts: list[str]) -> Markup:
    one, two = frame_means(pair.first), frame_means(pair.second)
    chosen = np.isin(pair.part, parts)
    both = Axis.round(np.concatenate([one[chosen], two[chosen]]), "A: mean error of the frame (px)", log=True)
    chart = Chart("every frame: B against A", both, Axis(both.low, both.high, "B (px)", log=True), (460, 440))
    chart.rule([both.low, both.high], [both.low, both.high])
    for part in parts:
        rows = np.flatnonzero((pair.part == part) & np.isfinite(one))
        hints = [f"{pair.one.table.index[pair.rows[r][0]]}: A {digits(one[r])} px, B {digits(two[r])} px" for r in rows]
        chart.dots(one[rows], two[rows], (PART_COLOR[part], PART_SHAPE[part]), hints, 4)
    words = (
        "Each mark is a frame; point at it for its name. Below the dashed line B is nearer to the labels, above it A."
    )
    return tag("div", chart.svg(), tag("p", words, class_="quiet"), class_="charts")


def _keypoints(pair: Pair, parts: list[str]) -> Markup:
    rows = [
        [(p, mean_interval(pair.difference[pair.part == p][:, [k]])) for p in parts] for k in range(len(pair.names))
    ]
    lines: list[list[Child]] = [
        [name, *(join(guarded(i), f" ({i.labels}): {verdict(i)}") for _, i in row)]
        for name, row in zip(pair.names, rows, strict=True)
    ]
    words = (
        f"{len(pair.names)} keypoints are {len(pair.names)} chances to be misled: "
        "about one interval in twenty is beside 0 by luck."
    )
    title = "difference by keypoint: left of 0 B is nearer, right of it A"
    head = ["keypoint", *(f"{p} (labels)" for p in parts)]
    chart = forest(title, pair.names, rows, "B − A, mean (px)", zero=True)
    return join(chart, tag("p", words, class_="quiet"), folded("the numbers by keypoint", table(head, lines)))


def _frames(pair: Pair, sources: Sources) -> Markup:
    """Where B gains most, and where A does, of frames that neither was trained on."""
    if not sources.found:
        return note(sources.notes[0])
    change = np.where(pair.fresh if pair.fresh.any() else np.full(len(pair.part), True), pair.per_frame, np.nan)
    order = [int(r) for r in np.argsort(change) if np.isfinite(change[r])]
    better = [r for r in order[:COUNT] if change[r] < 0]
    worse = [r for r in order[::-1][:COUNT] if change[r] > 0]
    truth = sources.labels(pair.one)
    galleries = [
        (f"Frames where {who} is better most", [f for r in rows if (f := _both(pair, r, truth, sources))])
        for who, rows in (("B", better), ("A", worse))
    ]
    shown = [
        join(tag("h3", title), tag("div", gallery(figures), class_="wide")) for title, figures in galleries if figures
    ]
    return join(tag("p", f"{LEGEND} A is on the left, B on the right.", class_="quiet"), *shown)


def _both(pair: Pair, row: int, truth: dict[str, np.ndarray], sources: Sources) -> Markup | None:
    places, name = pair.rows[row], str(pair.one.table.index[pair.rows[row][0]])
    image = sources.image(name)
    if image is None:
        return None
    labels, sides = truth.get(name), []
    for letter, labeled, place in zip("AB", (pair.one, pair.two), places, strict=True):
        marked = by_error(labeled.error[place])[:2]
        same = labels if labeled.table.keypoint_names == pair.one.table.keypoint_names else None
        points = drawn(labeled.table.keypoints[place], labeled.table.confidence[place], same)
        picture = pose_picture(image, points, same, labeled.table.keypoint_names, marked)
        sides.append(embedded(picture, f"{name}, predictions of {letter}"))
    means = [digits(float(frame_means(e)[row])) for e in (pair.first, pair.second)]
    caption = tag("strong", f"A {means[0]} px, B {means[1]} px"), f" · {pair.one.title(str(pair.part[row]))} · {name}"
    return tag("figure", tag("div", *sides, class_="sides"), tag("figcaption", *caption))
