"""lpose view runs=[A,B] [viewer=tensorboard] [source=VIDEO] [key=value …]

Opens runs side by side in another program, in the browser.

  viewer=tensorboard     learning curves, pictures, hyper-parameters
  viewer=fiftyone        labeled frames with every run's predictions, to sort by error and to compare
                         (pip install 'lp-viz[fiftyone]'; needs MongoDB: its own, or FIFTYONE_DATABASE_URI)
  source=VIDEO           for fiftyone: a video, a folder or a glob instead of the labeled frames
  run=RUN                one run instead of runs=[…]

  viewer.port=NUMBER     of the page, and further options of the viewer: viewer.every=10, viewer.name=NAME
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lp_core import ConfigError

from lp_apps import predict
from lp_apps.lists import run_folders
from lp_apps.options import parse
from lp_apps.render import predictions

if TYPE_CHECKING:
    from lp_viz.viewers import Results


@dataclass
class Options:
    """What `lpose view` takes."""

    run: str | None = None
    runs: str | None = None
    viewer: str = "tensorboard"
    source: str | None = None
    viewer_options: dict[str, Any] = field(default_factory=dict)


def run(words: list[str]) -> None:
    """Gather what the viewer reads, and show it."""
    from lp_viz.viewers import Results, viewers

    options = parse(words, Options)
    folders = run_folders(options.run, options.runs)
    config = viewers.make(options.viewer, **options.viewer_options)
    if options.source and config.reads == "nothing":
        raise ConfigError(f"viewer={options.viewer} shows no videos; leave source out.")
    viewer = config.build()
    viewer.show(results(folders, options.source) if config.reads == "predictions" else Results(runs=folders))


def results(runs: dict[str, Path], source: str | None) -> "Results":
    """What the runs have predicted of their labeled frames, or of videos, which are predicted if need be."""
    from lp_io import read_labels, read_predictions
    from lp_train import RunDir, load
    from lp_viz.viewers import Results

    first = next(iter(runs.values()))
    data = load(RunDir(first).config).data
    pairs = tuple((a, b) for a, b in json.loads(RunDir(first).provenance.read_text())["skeleton"])
    labels = None if data.view_names else read_labels(Path(data.root), data.format, data.labels)
    pairs = labels.animals.skeleton if labels and labels.animals else pairs
    videos = predict.expand(source)[0] if source else []
    tables = {n: folder / "predictions.csv" for n, folder in runs.items()}
    return Results(
        runs=runs,
        labels=labels,
        predictions={n: read_predictions(t) for n, t in tables.items() if t.exists() and not videos},
        videos={video: {n: predictions(folder, video) for n, folder in runs.items()} for video in videos},
        skeleton=pairs,
    )
