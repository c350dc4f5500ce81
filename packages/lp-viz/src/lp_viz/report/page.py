"""The page itself: chapters in the order of the questions, style and script inside it, no request to anywhere."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from lp_core import ConfigError
from lp_io import atomic_path

from lp_viz.report.about import about
from lp_viz.report.animals import animals
from lp_viz.report.compare import against, overview, settings
from lp_viz.report.confidence import confidence
from lp_viz.report.errors import errors
from lp_viz.report.headline import headline
from lp_viz.report.learning import learning
from lp_viz.report.markup import Chapter, Markup, chapter, tag
from lp_viz.report.pairs import paired
from lp_viz.report.run import Run, read_run
from lp_viz.report.sources import Sources
from lp_viz.report.watching import overview_of_videos, watching
from lp_viz.report.worst import worst

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_report(run: Path | str, out: Path | str, root: Path | str | None = None) -> list[str]:
    """Write everything that is known about the run directory `run` to the HTML file `out`.

    Args:
        run: of `lpose train`.
        out: the file to write; it appears when it is complete.
        root: where the labeled project is now; where it was at training if not given.

    Returns:
        what is missing in the report, one sentence each.

    Raises:
        DataError: `run` is no run directory, or a table in it is damaged.
    """
    found = read_run(run)
    sources = Sources.of(found, root)
    chapters = [
        headline(found), animals(found), about(found), learning(found.root / "metrics.csv"), errors(found),
        worst(found, sources), confidence(found), watching(found, sources),
    ]  # fmt: skip
    notes = found.notes + sources.notes
    _write(out, found.name, f"Report on a run: {found.root.resolve()}", [*chapters, _notes(notes)])
    return notes


def write_comparison(runs: Sequence[Path | str], out: Path | str, root: Path | str | None = None) -> list[str]:
    """Write how two or more runs differ on the same labels, each against the first, to the HTML file `out`.

    Raises:
        ConfigError: fewer than two runs.
        DataError: as `write_report`.
    """
    if len(runs) < 2:
        raise ConfigError("A comparison needs at least two runs: runs=[A,B].")
    found = [read_run(run) for run in runs]
    sources, notes = Sources.of(found[0], root), [note for run in found for note in run.notes]
    chapters = [overview(found), settings(found), *_pairs(found, sources, notes), overview_of_videos(found)]
    notes += sources.notes
    title = " and ".join(run.name for run in found)
    _write(
        out, title, "Comparison of runs: " + ", ".join(str(r.root.resolve()) for r in found), [*chapters, _notes(notes)]
    )
    return notes


def _pairs(runs: Sequence[Run], sources: Sources, notes: list[str]) -> list[Chapter]:
    chapters = []
    for other in runs[1:]:
        for pair in paired(runs[0], other, notes):
            where = pair.one.title("new") if pair.one.suffix else pair.one.camera
            which = f"{runs[0].name} or {other.name}: which" if len(runs) > 2 else "Which"
            title = f"{which} is better{f' on {where}' if where else ''}?"
            chapters.append(against(pair, (runs[0].name, other.name), sources, title))
    return chapters


def _notes(notes: list[str]) -> Chapter | None:
    unique = list(dict.fromkeys(notes))
    return chapter("missing", "What is missing here", tag("ul", *(tag("li", n) for n in unique))) if unique else None


def _write(out: Path | str, title: str, subtitle: str, chapters: Sequence[Chapter | None]) -> None:
    shown = [one for one in chapters if one is not None]
    links = tag("nav", *(tag("a", one.title, href=f"#{one.name}") for one in shown), aria_label="Contents")
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width"), tag("title", f"{title}: lpose report"),
        tag("style", _asset("report.css")),
    )  # fmt: skip
    body = tag(
        "body", tag("header", tag("h1", title), tag("p", subtitle, class_="quiet")), links,
        tag("main", *(one.html for one in shown)), tag("script", _asset("report.js")),
    )  # fmt: skip
    with atomic_path(out) as temporary:
        temporary.write_text("<!doctype html>\n" + tag("html", head, body, lang="en"), encoding="utf-8")


def _asset(name: str) -> Markup:
    return Markup(files("lp_viz.report").joinpath(name).read_text(encoding="utf-8"))
