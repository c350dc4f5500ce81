"""Charts as SVG: they take the page's colours, light or dark, and `report.js` reads values back out of their paths."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from lp_viz.report.markup import Markup, join, tag

UNITS = 1000  # steps across a chart, in which paths are written
LEFT, RIGHT, TOP, BELOW = 64, 12, 24, 38  # margins in pixels
Look = tuple[str, str]  # colour and shape
Values = Sequence[float] | Float[np.ndarray, "..."]


@dataclass(frozen=True, slots=True)
class Axis:
    """From numbers to places along an axis, 0 to 1."""

    low: float
    high: float
    label: str = ""
    log: bool = False

    @classmethod
    def round(cls, values: Values, label: str = "", *, zero: bool = False, log: bool | None = None) -> "Axis":
        """An axis with room for `values`; logarithmic if they are above 0 and 30-fold apart, unless `log` says."""
        known = np.asarray(values, dtype=float).ravel()
        known = known[np.isfinite(known)]
        if not len(known):
            return cls(0, 1, label)
        low, high = float(known.min()), float(known.max())
        if log is None:
            log = low > 0 and high > 30 * low
        if log:
            positive = known[known > 0]
            return cls(float(positive.min()) / 1.15, high * 1.15, label, log=True)
        room = 0.04 * (high - low) or 0.5 * abs(high) or 1.0
        return cls(min(0.0, low) if zero and low >= 0 else low - room, high + room, label)

    def place(self, values: Values) -> Float[np.ndarray, " points"]:
        """0 at `low`, 1 at `high`."""
        values = np.asarray(values, dtype=float)
        if not self.log:
            return (values - self.low) / (self.high - self.low)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(np.maximum(values, self.low) / self.low) / np.log(self.high / self.low)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers along it."""
        if self.log:
            return _log_ticks(self.low, self.high, most)
        low, high = sorted((self.low, self.high))
        step = _round_up((high - low) / most)
        first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
        return [float(n * step) + 0.0 for n in np.arange(first, last + 1)]


def _round_up(step: float) -> float:
    size = 10.0 ** np.floor(np.log10(step))
    return float(next(f for f in (1, 2, 5, 10) if f * size >= step * (1 - 1e-9)) * size)


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(found) <= most:
            return found
    return found[:: -(-len(found) // most)]


def number(value: float) -> str:
    """As short as can be without losing what a tick says."""
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3g}"


@dataclass(slots=True)
class Chart:
    """Lines, dots and whiskers between two axes.

    Attributes:
        title: above it, and what a screen reader says.
        size: width and height in pixels; the page may scale it.
        units: steps across it in which x of a line is written.
        rows: names along the y axis at 0, 1, … from the top, instead of numbers.
    """

    title: str
    x: Axis
    y: Axis
    size: tuple[int, int] = (460, 240)
    units: int = UNITS
    left: int = LEFT
    rows: Sequence[str] = ()
    lines: list[Markup] = field(default_factory=list)
    marks: list[Markup] = field(default_factory=list)

    def line(
        self, xs: Values, ys: Values, name: str, color: str, dash: str = "", **data: str | float | bool | None
    ) -> None:
        """A curve, with gaps where `ys` is NaN; `name` and the value are shown under the mouse."""
        path = path_of(self.x.place(xs) * self.units, (1 - self.y.place(ys)) * UNITS)
        style = f"--c:{color}"
        self.lines.append(tag("path", d=path, style=style, stroke_dasharray=dash or None, data_name=name, **data))

    def stroke(self, x: float, class_: str) -> None:
        """A line from top to bottom, which moves with the curves."""
        across = round(float(self.x.place([x])[0]) * self.units, 1)
        self.lines.append(tag("path", d=f"M{across:g} 0V{UNITS}", class_=class_))

    def dots(self, xs: Values, ys: Values, look: Look, names: Sequence[str] = (), radius: float = 3) -> None:
        """Marks of one colour and shape; `names` are shown under the mouse."""
        found = []
        for number, (x, y) in enumerate(zip(*self.at(xs, ys), strict=True)):
            one = mark(look[1], x, y, radius)
            found.append(tag("g", tag("title", names[number]), one) if names else one)
        self.marks.append(tag("g", *found, class_="dot", style=f"--c:{look[0]}"))

    def whisker(self, y: float, ends: tuple[float, float, float], look: Look, hint: str) -> None:
        """A mark at the middle of `ends` with a line from the first to the last, in row `y`."""
        xs, (row, *_) = self.at(ends, [y] * 3)
        line = tag("line", x1=xs[0], x2=xs[2], y1=row, y2=row) if np.isfinite(xs).all() else None
        parts = tag("title", hint), line, mark(look[1], xs[1], row)
        self.marks.append(tag("g", *parts, class_="whisker", style=f"--c:{look[0]}"))

    def rule(self, xs: Values, ys: Values) -> None:
        """A grey dashed line for comparison."""
        (x1, x2), (y1, y2) = self.at(xs, ys)
        self.marks.append(tag("line", x1=x1, x2=x2, y1=y1, y2=y2, class_="rule"))

    def at(self, xs: Values, ys: Values) -> tuple[list[float], list[float]]:
        """Pixels of the chart."""
        width, height = self._inner()
        across, down = self.left + self.x.place(xs) * width, TOP + (1 - self.y.place(ys)) * height
        return across.round(1).tolist(), down.round(1).tolist()

    def svg(self) -> Markup:
        """The finished chart."""
        width, height = self._inner()
        ground = tag("rect", width=self.units, height=UNITS, class_="ground")
        area = tag(
            "svg", ground, *self.lines, class_="area", x=self.left, y=TOP, width=width, height=height,
            viewBox=f"0 0 {self.units} {UNITS}", preserveAspectRatio="none", data_units=self.units,
            data_x=_range(self.x), data_y=_range(self.y), data_what=self.x.label.partition(" ")[0] or "frame",
        )  # fmt: skip
        title = tag("text", self.title, x=0, y=14, class_="title")
        box = f"0 0 {self.size[0]} {self.size[1]}"
        parts = (title, self._grid(), area if self.lines else None, *self.marks)
        style = f"max-width:{self.size[0]}px"
        return tag("svg", *parts, class_="chart", viewBox=box, role="img", aria_label=self.title, style=style)

    def _inner(self) -> tuple[int, int]:
        return self.size[0] - self.left - RIGHT, self.size[1] - TOP - (BELOW if self.x.label else BELOW // 2)

    def _grid(self) -> Markup:
        width, height = self._inner()
        foot = TOP + height
        across = self.x.ticks(max(3, width // 70))
        down = [float(i) for i in range(len(self.rows))] or self.y.ticks(max(4, height // 34))
        texts = self.rows or [number(v) for v in down]
        xs, ys = self.at(across, [self.y.low] * len(across))[0], self.at([self.x.low] * len(down), down)[1]
        upright = [tag("line", x1=x, x2=x, y1=TOP, y2=foot) for x in xs]
        level = [tag("line", x1=self.left, x2=self.left + width, y1=y, y2=y) for y in ys]
        below = [
            tag("text", number(v), x=x, y=foot + 15, text_anchor="middle") for x, v in zip(xs, across, strict=True)
        ]
        beside = [tag("text", t, x=self.left - 6, y=y + 4, text_anchor="end") for y, t in zip(ys, texts, strict=True)]
        named = tag("text", self.x.label, x=self.left + width / 2, y=foot + 32, text_anchor="middle", class_="label")
        turn = f"rotate(-90 11 {TOP + height / 2})"
        aside = tag(
            "text", self.y.label, x=11, y=TOP + height / 2, text_anchor="middle", class_="label", transform=turn
        )
        grids = tag("g", *level, class_="grid"), tag("g", *upright, *below, class_="grid across")
        return join(*grids, tag("g", *beside, named, aside))


def _range(axis: Axis) -> str:
    return f"{axis.low:.9g} {axis.high:.9g} {int(axis.log)}"


def path_of(xs: Float[np.ndarray, " points"], ys: Float[np.ndarray, " points"]) -> str:
    """Relative whole steps, `m` after a gap and `l` else; what is outside 0 … UNITS is put on the edge."""
    known = np.isfinite(xs) & np.isfinite(ys)
    points = np.stack([xs, np.clip(ys, 0, UNITS)], -1)[known].round().astype(int)
    if not len(points):
        return ""
    steps = np.diff(points, axis=0, prepend=0)
    starts = np.diff(np.flatnonzero(known), prepend=-2) > 1
    words = (f"{'m' if s else 'l'}{x} {y}" for s, (x, y) in zip(starts, steps.tolist(), strict=True))
    return "".join(words).replace(" -", "-")


def mark(shape: str, x: float, y: float, size: float = 5.5) -> Markup:
    """circle, square, diamond or triangle: what tells parts of the split apart beside their colours."""
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=size * 0.85)
    corners = {
        "square": ((-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75)),
        "diamond": ((0, -1), (1, 0), (0, 1), (-1, 0)),
        "triangle": ((0, -1), (0.95, 0.75), (-0.95, 0.75)),
        "cross": ((-1, -0.4), (1, -0.4), (1, 0.4), (-1, 0.4)),
    }[shape]
    return tag("polygon", points=" ".join(f"{x + a * size:.1f},{y + b * size:.1f}" for a, b in corners))
