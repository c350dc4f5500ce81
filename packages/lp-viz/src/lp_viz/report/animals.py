"""Several animals: were they found, and told apart?"""

from typing import Any

from lp_core import Animals

from lp_viz.report.markup import Chapter, Child, chapter, table, tag
from lp_viz.report.run import Run

HEAD = ["frames", "labeled animals", "found", "missed", "invented", "mAP", "mAR"]


def animals(run: Run) -> Chapter | None:
    """A row per part of the split; nothing where a frame has one animal."""
    rows = [
        _row(entry.get("name", ""), part, scores)
        for entry in run.evaluation
        for part, scores in (entry.get("animals") or {}).items()
    ]
    if not rows:
        return None
    several = Animals.of(run.names)
    words = f"{len(several.individuals)} animals with {len(several.parts)} keypoints each. " if several else ""
    words += (
        "Missed: labeled, but no prediction near. Invented: predicted, but nobody is there. mAP is the mean average precision "
        "of COCO, 100 is perfect: it counts animals that are found with all their keypoints in place, over ten degrees of "
        "strictness; mAR is the mean recall, the share of animals found. Errors in pixels are of the prediction that "
        "is matched to each labeled animal, far off where it was missed."
    )
    return chapter("animals", "Were the animals found?", table(HEAD, rows), tag("p", words, class_="quiet"))


def _row(name: str, part: str, scores: dict[str, Any]) -> list[Child]:
    count, missed = int(scores["animals"]), int(scores["missed"])
    share = f"{count - missed} ({(count - missed) / count:.0%})" if count else "–"
    title = f"new data ({name})" if part == "new" else part
    return [title, count, share, missed, int(scores["invented"]), f"{scores['map']:.1f}", f"{scores['mar']:.1f}"]
