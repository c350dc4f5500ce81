"""Curves over the frames of a video, of every keypoint, a few shown at first."""

import numpy as np
from jaxtyping import Float
from lp_core import Animals

from lp_viz.report.chart import Axis, Chart
from lp_viz.report.envelope import envelope, stride_of
from lp_viz.report.looks import keypoint_looks, swatch
from lp_viz.report.markup import Markup, tag
from lp_viz.report.moments import SURE, Moment, jumps
from lp_viz.report.pictures import FAINT
from lp_viz.report.videos import VideoTable

WIDTH, HEIGHT = 940, 140
POINTS = 700_000  # of all curves of a page
BINS = (60, 600)  # fewest and most in a curve
SHOWN = 4  # keypoints at first
FINEST = 0.1  # pixels: below, jumps and distances are drawn as this
HELP = (
    "Tick keypoints to show or hide them. Point at a curve to read it; drag across to zoom in, "
    "double-click to see all of it again. Gaps: confidence below 0.1. Dotted lines: the moments pictured below."
)
Values = Float[np.ndarray, "frames keypoints"]
Time = tuple[Axis, int]  # and the frames that a point stands for


def trajectories(video: VideoTable, moments: list[Moment], videos: int, fps: float) -> Markup:
    """Charts below one another with one axis of time, and boxes to tick for the keypoints."""
    names = video.table.keypoint_names
    panels = _panels(video)
    bins = int(np.clip(POINTS // (2 * videos * len(names) * len(panels)), *BINS))
    stride = stride_of(len(video.table.index), bins)
    shown = first_shown(video)
    last = list(panels)[-1]
    times = {title: _time(video, stride, fps, labeled=title == last) for title in panels}
    charts = [_chart(title, panels[title], names, times[title], shown, moments) for title in panels]
    boxes = [
        _box(k, name, look, k in shown) for k, (name, look) in enumerate(zip(names, keypoint_looks(names), strict=True))
    ]
    buttons = [tag("button", text, type="button", data_all=value) for text, value in (("all", "1"), ("none", "0"))]
    thin = (
        f" Each point stands for {stride} frames, of which the lowest and the highest value are drawn."
        if stride > 1
        else ""
    )
    return tag(
        "div",
        tag("p", HELP + thin, class_="quiet"),
        tag("div", *buttons, *boxes, class_="boxes"),
        *charts,
        class_="curves",
    )


def _panels(video: VideoTable) -> dict[str, Values]:
    """Title → values; small distances are lifted, so that a logarithmic axis has room for them."""
    faint = video.table.confidence < FAINT
    points = np.where(faint[..., None], np.nan, video.table.keypoints)
    fits = {
        f"distance to the nearest pose like the labels' ({name} PCA, px)": np.where(
            faint, np.nan, np.maximum(values, FINEST)
        )
        for name, values in video.fits.items()
    }
    return {
        "x (px)": points[..., 0],
        "y (px), downwards": points[..., 1],
        "confidence": video.table.confidence,
        "distance moved since the frame before (temporal norm, px)": np.maximum(jumps(points), FINEST),
        **fits,
    }


def _time(video: VideoTable, stride: int, fps: float, *, labeled: bool) -> Time:
    last = (-(-len(video.table.index) // stride) - 1) * stride
    label = f"frame ({fps:.4g} per second)" if fps else "frame"
    return Axis(0, max(last, 1), label if labeled else ""), stride


def _chart(
    title: str, values: Values, names: tuple[str, ...], time: Time, shown: set[int], moments: list[Moment]
) -> Markup:
    y = Axis(0, 1) if title == "confidence" else Axis.round(values, log="distance" in title)
    y = Axis(y.high, y.low) if "downwards" in title else y
    axis, stride = time
    chart = Chart(title, axis, y, (WIDTH, HEIGHT), units=max(1, round(axis.high / stride)))
    for moment in moments:
        chart.stroke(moment.frame, "moment")
    for k, (name, (color, dash)) in enumerate(zip(names, keypoint_looks(names), strict=True)):
        frames, points = envelope(values[:, k], stride)
        chart.line(frames, points, name, color, dash, data_k=k, hidden=k not in shown)
    return chart.svg()


def _box(k: int, name: str, look: tuple[str, str], checked: bool) -> Markup:
    return tag("label", tag("input", type="checkbox", data_k=k, checked=checked), swatch(*look), name)


def first_shown(video: VideoTable) -> set[int]:
    """One keypoint of every animal, the surest; else of those that are mostly sure the ones that jump farthest."""
    names = tuple(video.table.keypoint_names)
    animals = Animals.of(names)
    if animals:
        each = len(animals.parts)
        sure = np.nan_to_num(video.table.confidence[:, : animals.owned]).mean(0).reshape(-1, each).mean(0)
        return {a * each + int(sure.argmax()) for a in range(len(animals.individuals))}
    sure = np.nan_to_num(video.table.confidence, nan=1.0)
    known = np.where(np.isfinite(video.jump) & (sure >= FAINT), video.jump, 0)
    rank = np.percentile(known, 99, axis=0) * (np.median(sure, axis=0) >= SURE)
    return {int(k) for k in np.argsort(-rank, kind="stable")[:SHOWN]}
