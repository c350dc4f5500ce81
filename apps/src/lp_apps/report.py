"""lpose report run=RUN [out=FILE.html] [data.root=DIR]
lpose report 'runs=[A,B]' out=FILE.html

One HTML file about a trained run, to open in a browser, print or send: how good it is and how sure that is, learning
curves, errors per keypoint, its worst frames and moments of video as pictures, whether its confidence can be trusted.
Of several runs: how each differs from the first on the same labels. The file needs no server and no network.
FILE is RUN/report.html if not given.

  data.root=DIR          where the labeled project is now, if it was moved since the training
"""

from dataclasses import dataclass, field
from pathlib import Path

from lp_core import ConfigError

from lp_apps.lists import run_folders
from lp_apps.options import parse


@dataclass
class Options:
    """What `lpose report` takes."""

    run: str | None = None
    runs: str | None = None
    out: str | None = None
    data_options: dict = field(default_factory=dict)


def run(words: list[str]) -> None:
    """Write the report, and say where it is and what is missing in it."""
    from lp_viz.report import write_comparison, write_report

    options = parse(words, Options)
    if unknown := sorted(set(options.data_options) - {"root"}):
        raise ConfigError(f"There is no option data.{unknown[0]}; lpose report takes data.root=DIRECTORY.")
    folders, root = list(run_folders(options.run, options.runs).values()), options.data_options.get("root")
    if options.runs is not None and options.out is None:
        raise ConfigError("out=FILE.html must be given with runs=[…].")
    out = Path(options.out or folders[0] / "report.html")
    notes = write_comparison(folders, out, root) if options.runs is not None else write_report(folders[0], out, root)
    for note in dict.fromkeys(notes):
        print(f"note    {note}")
    print(f"report  {out} ({out.stat().st_size / 1e6:.1f} MB)")
