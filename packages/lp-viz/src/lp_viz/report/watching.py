"""The chapter about videos: an overview, then each with its curves and its worst moments."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lp_viz.report.about import readable
from lp_viz.report.bootstrap import digits
from lp_viz.report.markup import Chapter, Child, Markup, chapter, note, table, tag
from lp_viz.report.moments import Moment, worst_moments
from lp_viz.report.pictures import drawn, figure, gallery, pose_picture
from lp_viz.report.run import Run
from lp_viz.report.sources import Sources
from lp_viz.report.trajectories import trajectories
from lp_viz.report.videos import VideoTable, read_videos, video_files

MOST = 12  # videos that are drawn; the others are named
PICTURES = 48  # of all videos together
KINDS = 3
HEAD = [
    "video",
    "frames",
    "length",
    "median confidence",
    "median movement per frame",
    "median distance to a pose like the labels'",
]


def watching(run: Run, sources: Sources) -> Chapter:
    """Every video of the run that there are predictions of."""
    files = video_files(run)
    if not files:
        return chapter(
            "videos", "How does it do on video?", note("No video was predicted: lpose predict writes into the run.")
        )
    each = max(1, min(4, PICTURES // (KINDS * min(len(files), MOST))))
    rows, blocks = [], []
    for video in read_videos(run, files[:MOST]):
        fps, block = _video(run, video, sources, min(len(files), MOST), each)
        rows.append(_row(video, fps))
        blocks.append(block)
    left = [path.stem for path in files[MOST:]]
    words = "A video has no labels: what is shown is whether the keypoints move like an animal, and look like labeled poses."
    return chapter(
        "videos", "How does it do on video?", tag("p", words, class_="quiet"), table(HEAD, rows), *blocks,
        note(f"Only the first {MOST} videos are shown; left out: {', '.join(left)}.") if left else None,
    )  # fmt: skip


def overview_of_videos(runs: Sequence[Run]) -> Chapter | None:
    """What every run makes of the videos, without pictures; nothing where none was predicted."""
    rows = [
        [f"{video.stem} · {letter}", *_row(video, 0.0)[1:2], *_row(video, 0.0)[3:]]
        for letter, run in zip(letters(len(runs)), runs, strict=True)
        for video in read_videos(run, video_files(run)[:MOST])
    ]
    if not rows:
        return None
    words = (
        "Smaller movement and smaller distances are a good sign between models of the same videos, as long as the labels "
        "agree: a model that follows nothing is steady too. Frames of a video resemble one another, so no intervals here."
    )
    return chapter(
        "videos", "What do they make of the videos?", table([HEAD[0], HEAD[1], *HEAD[3:]], sorted(rows, key=lambda r: str(r[0]))),
        tag("p", words, class_="quiet"),
    )  # fmt: skip


def letters(count: int) -> list[str]:
    """A, B, …: what runs are called in tables."""
    return [chr(ord("A") + i) if i < 26 else f"run {i + 1}" for i in range(count)]


def _row(video: VideoTable, fps: float) -> list[Child]:
    frames, fit = len(video.table.index), video.fit
    return [
        video.stem, frames, readable(frames / fps) if fps else "–", _middle(video.table.confidence),
        _pixels(video.jump), "–" if fit is None else _pixels(fit),
    ]  # fmt: skip


def _middle(values: np.ndarray) -> str:
    return digits(float(np.nanmedian(values))) if np.isfinite(values).any() else "–"


def _pixels(values: np.ndarray) -> str:
    return f"{_middle(values)} px"


def _video(run: Run, video: VideoTable, sources: Sources, videos: int, each: int) -> tuple[float, Markup]:
    signals = {"jump": video.jump} | ({} if video.fit is None else {"fit": video.fit})
    moments = worst_moments(signals, video.table.confidence, each)
    path = sources.video(video.stem)
    fps, pictures = _frames(video, path, sources, moments)
    shown = [_figure(video, m, picture, fps) for m, picture in zip(moments, pictures, strict=False)]
    below = gallery(shown) if shown else tag("ul", *(tag("li", *_caption(video, m, fps)) for m in moments))
    missing = None if shown else note((sources.notes or ["No pictures."])[-1])
    words = (
        "Moments that most need a look: keypoints that are sure and jump, or sure and in a pose unlike the labels; then frames "
        "that it is least sure of. Keypoints less sure than 0.1 are not drawn."
    )
    block = tag(
        "div", tag("h3", video.stem), trajectories(video, moments, videos, fps),
        tag("p", words, class_="quiet"), missing, below, class_="video",
    )  # fmt: skip
    return fps, block


def _frames(
    video: VideoTable, path: Path | None, sources: Sources, moments: list[Moment]
) -> tuple[float, list[np.ndarray]]:
    if path is None:
        return 0.0, []
    return sources.frames(path, len(video.table.index), [m.frame for m in moments])


def _figure(video: VideoTable, moment: Moment, image: np.ndarray, fps: float) -> Markup:
    points, names = video.table.keypoints, video.table.keypoint_names
    before = points[moment.frame - 1] if moment.kind == "jump" else None
    marked = [] if moment.kind == "unsure" else [moment.keypoint]
    shown = drawn(points[moment.frame], video.table.confidence[moment.frame])
    shown[marked] = points[moment.frame, marked]
    picture = pose_picture(image, shown, None, names, marked, before)
    return figure(picture, f"{video.stem}, frame {moment.frame}, with predictions", *_caption(video, moment, fps))


def _caption(video: VideoTable, moment: Moment, fps: float) -> tuple[Markup, str]:
    name = video.table.keypoint_names[moment.keypoint]
    words = {
        "jump": f"{name} moved {digits(moment.value)} px since the frame before (white line)",
        "fit": f"{name} is {digits(moment.value)} px from where labeled poses would have it",
        "unsure": f"mean confidence {moment.value:.2f}, least of all {name}",
    }[moment.kind]
    when = f", {moment.frame / fps:.2f} s" if fps else ""
    return tag("strong", f"frame {moment.frame}{when}"), f" {words}"
