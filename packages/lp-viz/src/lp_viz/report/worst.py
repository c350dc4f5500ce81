"""The frames with the largest errors, to look at."""

import numpy as np

from lp_viz.report.bootstrap import digits
from lp_viz.report.markup import Chapter, Markup, chapter, note, tag
from lp_viz.report.pictures import LEGEND, NAMED, drawn, figure, gallery, pose_picture
from lp_viz.report.run import Labeled, Run
from lp_viz.report.sources import Sources

COUNT, TRAINED = 12, 6
Place = tuple[Labeled, int]


def worst(run: Run, sources: Sources) -> Chapter | None:
    """Frames that were not trained on, then those that were and still fit badly."""
    if not run.labeled:
        return None
    truth = {id(labeled): sources.labels(labeled) for labeled in run.labeled}
    fresh, trained = (ranked(run, known, count) for known, count in ((True, COUNT), (False, TRAINED)))
    blocks = [
        tag("p", LEGEND, class_="quiet"),
        _gallery("Not trained on", "The frames with the largest mean error, the worst first.", fresh, truth, sources),
        _gallery(
            "Trained on, and still wrong",
            "Look here for mistakes in the labels: swapped sides, a forgotten point, another animal.", trained, truth, sources,
        ),
    ]  # fmt: skip
    if not sources.found:
        blocks = [note(text) for text in sources.notes[:1]] + [_listed(fresh)]
    return chapter("worst", "Where is it wrong?", *blocks)


def ranked(run: Run, fresh: bool, count: int) -> list[Place]:
    """The frames of the largest mean error over their labeled keypoints, the worst first."""
    places = [(f, int(r)) for f in run.labeled for r in np.flatnonzero(_of(f, fresh)) if np.isfinite(f.error[r]).any()]
    return sorted(places, key=lambda place: -float(np.nanmean(place[0].error[place[1]])))[:count]


def _of(labeled: Labeled, fresh: bool) -> np.ndarray:
    return labeled.fresh if fresh else labeled.part == "train"


def _gallery(title: str, words: str, places: list[Place], truth: dict[int, dict], sources: Sources) -> Markup | None:
    figures = [f for labeled, row in places if (f := _figure(labeled, row, truth[id(labeled)], sources))]
    return tag("div", tag("h3", title), tag("p", words, class_="quiet"), gallery(figures)) if figures else None


def _figure(labeled: Labeled, row: int, truth: dict[str, np.ndarray], sources: Sources) -> Markup | None:
    name = str(labeled.table.index[row])
    image = sources.image(name)
    if image is None:
        return None
    errors = labeled.error[row]
    marked = by_error(errors)[:NAMED]
    labels = truth.get(name)
    points = drawn(labeled.table.keypoints[row], labeled.table.confidence[row], labels)
    picture = pose_picture(image, points, labels, labeled.table.keypoint_names, marked)
    return figure(picture, f"{name} with labels and predictions", *caption(labeled, row))


def by_error(errors: np.ndarray) -> list[int]:
    """Numbers of the labeled keypoints, the worst first."""
    return [int(k) for k in np.argsort(-np.nan_to_num(errors, nan=-1)) if np.isfinite(errors[k])]


def caption(labeled: Labeled, row: int) -> tuple[Markup, str]:
    """Error, worst keypoint, part of the split and file."""
    errors = labeled.error[row]
    k = by_error(errors)[0]
    title = labeled.title(str(labeled.part[row]))
    words = f" mean, {digits(errors[k])} px {labeled.table.keypoint_names[k]} · {title} · {labeled.table.index[row]}"
    return tag("strong", f"{digits(float(np.nanmean(errors)))} px"), words


def _listed(places: list[Place]) -> Markup:
    return tag("ol", *(tag("li", *caption(labeled, row)) for labeled, row in places))
