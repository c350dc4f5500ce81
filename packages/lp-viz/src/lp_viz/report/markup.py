"""HTML and SVG from Python, escaped unless it was made here. Names of keypoints and files are not to be trusted."""

from dataclasses import dataclass
from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | float | None


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element. `class_` becomes class and `data_x` data-x; True is an attribute without a value; None is left out."""
    words = [_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False]
    start = " ".join([name, *words])
    return Markup(f"<{start}/>" if name in EMPTY else f"<{start}>{join(*children)}</{name}>")


EMPTY = frozenset({"img", "line", "path", "circle", "rect", "input", "br", "meta", "polygon"})


def join(*children: Child) -> Markup:
    """One after the other; what is not `Markup` is escaped; None is left out."""
    return Markup("".join(_safe(child) for child in children if child is not None))


def _safe(child: Child) -> str:
    return child if isinstance(child, Markup) else escape(_text(child))


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _attribute(key: str, value: object) -> str:
    key = key.rstrip("_").replace("_", "-")
    return key if value is True else f'{key}="{escape(_text(value))}"'


def table(head: list[str], rows: list[list[Child]], class_: str | None = None) -> Markup:
    """A table whose first column names the rows."""
    titles = join(*(tag("th", title, scope="col") for title in head))
    lines = (join(tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows)
    body = join(*(tag("tr", line) for line in lines))
    inner = tag("table", tag("thead", tag("tr", titles)), tag("tbody", body), class_=class_)
    return tag("div", inner, class_="scroll")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the page that its table of contents leads to; `name` is its anchor."""

    name: str
    title: str
    body: Markup

    @property
    def html(self) -> Markup:
        """Heading and body."""
        return tag("section", tag("h2", self.title), self.body, id=self.name)


def chapter(name: str, title: str, *children: Child) -> Chapter:
    """A chapter of these elements."""
    return Chapter(name, title, join(*children))


def note(text: str) -> Markup:
    """One line about what is missing, or to be careful with."""
    return tag("p", text, class_="note")


def folded(title: str, *children: Child) -> Markup:
    """Shown when clicked, and when printed."""
    return tag("details", tag("summary", title), *children)
