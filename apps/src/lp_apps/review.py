"""lpose review run=RUN [source=VIDEO] [runs=[A,B]] [key=value …]

A page in your browser, on this computer only: look at RUN's predictions, find the worst frames, correct points, and add
frames to the labels. Prints the page's address; Ctrl-C ends it. Every edit is kept at once in review_journal.jsonl beside
the labels, and gets into the label files, in the project's own layout, when you save.

  source=VIDEO           a video, folder or glob; predicted first if RUN has not; all predicted videos if not given
  runs=[A,B]             further runs, or folders that lpose ensemble wrote, to compare
  data.root=DIR          the labeled project, if it is not where the run was trained
  data.labels=FILE       the label file in it, where there are several
  port=0                 0 takes a free one; give one to forward it: ssh -L 8700:localhost:8700 …
  host=127.0.0.1         0.0.0.0 lets other computers in, which then need the address with its token, over plain http
  open=false             true opens your browser
  cache_mb=192           memory for decoded frames
"""

import webbrowser
from dataclasses import dataclass, field
from pathlib import Path

from lp_core import ConfigError, DataError, listed, nearest

from lp_apps.options import parse


@dataclass
class Options:
    """What `lpose review` takes."""

    run: str
    source: str | None = None
    runs: str | None = None
    data_options: dict = field(default_factory=dict)
    port: int = 0
    host: str = "127.0.0.1"
    open: bool = False
    cache_mb: int = 192


def run(words: list[str]) -> None:
    """Serve the page until Ctrl-C."""
    options = parse(words, Options)
    try:
        from lp_viz.review.project import ReviewOptions
        from lp_viz.review.serve import serve
    except ModuleNotFoundError as e:
        raise ConfigError(f"The review page needs {e.name}; install it with pip install 'lp-viz[review]'.") from e
    if strange := sorted(set(options.data_options) - {"root", "labels"}):
        raise ConfigError(f"There is no option data.{strange[0]}{nearest(strange[0], ['root', 'labels'])}")
    root, labels = (options.data_options.get(key) for key in ("root", "labels"))
    runs = [Path(name) for name in listed(options.runs or "")]
    review = ReviewOptions(
        run=Path(options.run), runs=runs, videos=_videos(options), cache_mb=options.cache_mb,
        root=Path(str(root)) if root else None, labels=str(labels) if labels else None,
    )  # fmt: skip

    def ready(address: str, remarks: list[str]) -> None:
        print("\n".join([*(f"note  {remark}" for remark in remarks), f"page  {address}"]), flush=True)
        if options.open:
            webbrowser.open(address)

    left = serve(review, options.host, options.port, ready)
    if left:
        print(
            f"{left} corrected frames are not saved; they are in the journal and come back with the next lpose review."
        )


def _videos(options: Options) -> list[Path]:
    """The videos that are named, predicted if they are not."""
    if options.source is None:
        return []
    from lp_viz.review.model import Model

    from lp_apps import predict

    videos = predict.distinct(predict.expand(options.source)[0])
    if not videos:
        raise DataError(f"source={options.source} holds no video; give a video, a folder or a glob of videos.")
    model = Model.at(Path(options.run))
    for video in videos:
        if model.table(video.stem) is None:
            predict.run([f"run={options.run}", f"source={video}"])
    return videos
