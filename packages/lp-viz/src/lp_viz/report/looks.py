"""Colours, dashes and shapes: everything that differs in colour differs in one of the others too."""

from collections.abc import Sequence

from lp_core import Animals

from lp_viz.colors import pose_colors
from lp_viz.curves import STAGES
from lp_viz.report.chart import mark
from lp_viz.report.markup import Markup, join, tag

PART_COLOR = {
    "train": STAGES["train"], "validation": STAGES["val"], "test": STAGES["test"], "new": "#CC79A7", "unused": "#777777",
}  # fmt: skip
PART_SHAPE = {"train": "circle", "validation": "square", "test": "diamond", "new": "triangle", "unused": "cross"}
DASHES = ("", "7 3", "2 3", "9 3 2 3")


def keypoint_looks(names: Sequence[str]) -> list[tuple[str, str]]:
    """Colour and dash of each keypoint; of several animals the colour is the animal's and the dash the part's."""
    animals = Animals.of(tuple(names))
    period = len(animals.parts) if animals else len(names)
    colors = [f"rgb({r},{g},{b})" for r, g, b in pose_colors(names, len(names))]
    return [(color, DASHES[k % period % len(DASHES)]) for k, color in enumerate(colors)]


def swatch(color: str, dash: str) -> Markup:
    """A short piece of a curve, for a legend."""
    stroke = tag("line", x1=0, x2=26, y1=5, y2=5, stroke_dasharray=dash or None)
    return tag("svg", stroke, class_="swatch", viewBox="0 0 26 10", style=f"--c:{color}", aria_hidden="true")


def legend(entries: Sequence[tuple[str, Markup]]) -> Markup:
    """Names with what stands for them."""
    return tag("p", *(tag("span", picture, " ", name) for name, picture in entries), class_="legend")


def shape(part: str) -> Markup:
    """The mark of a part of the split, for a legend."""
    whisker = join(tag("line", x1=0, x2=26, y1=7, y2=7), mark(PART_SHAPE[part], 13, 7))
    inner = tag("g", whisker, class_="whisker", style=f"--c:{PART_COLOR[part]}")
    return tag("svg", inner, class_="swatch", viewBox="0 0 26 14", aria_hidden="true")
