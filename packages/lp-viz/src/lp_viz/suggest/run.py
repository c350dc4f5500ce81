"""From evidence to suggestions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from lp_core import ConfigError, DataError
from lp_io import VideoReader

from lp_viz.check.likeness import SAME, difference
from lp_viz.suggest.choose import Candidates, choose, quotas
from lp_viz.suggest.evidence import CRITERIA, Evidence
from lp_viz.suggest.labeled import Labeled
from lp_viz.suggest.material import Material, features_of_pose, pictures_of, similarity
from lp_viz.suggest.scores import Scores, score

MOST = 4000  # frames that are compared with one another, of all videos
LEAST = 50  # of one video
SECONDS = 0.5  # that two suggestions of a video are apart, if it is long enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A frame to label.

    Attributes:
        evidence: of its video.
        time: seconds.
        score: the mean of `parts`.
        parts: per criterion the normal score; NaN = nothing known.
        novelty: 0 to 1: how unlike all labeled frames and the suggestions before.
        why: the criterion that stands out, and the keypoint behind it.
    """

    evidence: Evidence
    frame: int
    time: float
    score: float
    parts: dict[str, float]
    novelty: float
    why: str


@dataclass(frozen=True, slots=True)
class _Video:
    """Of one video: the frames compared, what they look like, which cannot be decoded, and frames per second and times."""

    frames: np.ndarray
    material: Material
    broken: frozenset[int]
    fps: float
    times: np.ndarray


def suggest(
    evidence: Sequence[Evidence], labeled: Labeled, count: int, by: Sequence[str] = (), min_gap: int | None = None
) -> list[Suggestion]:
    """The `count` frames most worth labeling, in the order of choice; fewer if the videos have no more.

    Args:
        by: criteria to use; all that are known if empty.
        min_gap: frames that two suggestions of a video, or a suggestion and a labeled frame, are apart at least; half a
            second if not given, or less in a short video.

    Raises:
        ConfigError: an option is impossible.
        DataError: predictions do not fit their video, or there is no frame to suggest.
    """
    if count < 1 or (min_gap is not None and min_gap < 1):
        raise ConfigError(f"n={count} and min_gap={min_gap} must be at least 1.")
    scores = score(evidence, by)
    most = max(LEAST, MOST // len(evidence))
    videos = [_video(one, own, most) for one, own in zip(evidence, scores, strict=True)]
    material = Material(*(np.concatenate([getattr(v.material, f) for v in videos]) for f in ("pictures", "poses")))
    number = np.repeat(np.arange(len(videos)), [len(v.frames) for v in videos])
    rooms = [_room(one, video, labeled) for one, video in zip(evidence, videos, strict=True)]
    quota = quotas([_need(own) for own in scores], rooms, count)
    candidates = Candidates(
        video=number,
        frame=np.concatenate([v.frames for v in videos]),
        hardness=np.concatenate([own.hardness[v.frames] for own, v in zip(scores, videos, strict=True)]),
        allowed=np.concatenate([_allowed(one, v, min_gap, labeled) for one, v in zip(evidence, videos, strict=True)]),
    )
    covered = similarity(material, labeled.material, number).max(1, initial=0.0)
    gaps = [min_gap or _gap(v.fps, len(v.times), share) for v, share in zip(videos, quota, strict=True)]
    rows, novelty = choose(candidates, similarity(material, material, number), covered, quota, gaps)
    if not rows:
        raise DataError(
            "There is no frame to suggest: every frame of these videos is labeled, or looks like one that is."
        )
    return [
        _suggestion(evidence[v], scores[v], videos[v], int(candidates.frame[row]), new)
        for row, new in zip(rows, novelty, strict=True)
        for v in [int(number[row])]
    ]


def _video(evidence: Evidence, scores: Scores, most: int) -> _Video:
    """The frames to compare: all, or of a long video the hardest in each of `most` equal pieces."""
    total = len(scores.total)
    with VideoReader(evidence.video) as reader:
        if reader.frame_count != total:
            raise DataError(
                f"{evidence.video} has {reader.frame_count} frames but its predictions have {total} rows; predict it again."
            )
        size, fps, times = np.array(reader.original_size[::-1], float), reader.fps, reader.times
    pieces = np.array_split(np.arange(total), min(total, most))
    frames = np.array([piece[scores.total[piece].argmax()] for piece in pieces])
    pictures, broken = pictures_of(evidence.video, frames.tolist())
    poses = features_of_pose(evidence.table.keypoints[frames], size, evidence.table.animals)
    return _Video(frames, Material(pictures, poses), broken, fps, times)


def _need(scores: Scores) -> float:
    """Frames times how wrong they are in the mean, in ranks (Neyman, Journal of the Royal Statistical Society 1934)."""
    return float(scores.rank.sum())


def _room(evidence: Evidence, video: _Video, labeled: Labeled) -> int:
    known = labeled.numbers.get(evidence.video.stem, set()) | video.broken
    return len(set(video.frames.tolist()) - known)


def _gap(fps: float, frames: int, marks: int) -> int:
    """Half a second, or a quarter of the distance of `marks` evenly spread frames, if that is less."""
    return max(1, min(round(SECONDS * fps), frames // (4 * max(marks, 1))))


def _allowed(evidence: Evidence, video: _Video, min_gap: int | None, labeled: Labeled) -> np.ndarray:
    """Not labeled, nor near in time to what is, nor the same picture; and decodable."""
    allowed = ~np.isin(video.frames, list(video.broken))
    known = labeled.numbers.get(evidence.video.stem, set())
    gap = min_gap or _gap(video.fps, len(video.times), len(known))
    for number in known:
        allowed &= np.abs(video.frames - number) >= gap
    return allowed & ~_seen(video.material.pictures, labeled.material.pictures)


def _seen(pictures: Float[np.ndarray, "frames h w"], known: Float[np.ndarray, "labeled h w"]) -> np.ndarray:
    """Whether a picture is one of the known ones; the names of these may say nothing about video and frame."""
    seen = np.zeros(len(pictures), bool)
    for row, picture in enumerate(pictures):
        distance = np.abs(known - picture).mean((1, 2)) if len(known) else np.zeros(0)
        near = known[distance <= SAME]
        seen[row] = any(difference(picture, one) <= SAME for one in near)
    return seen


def _suggestion(evidence: Evidence, scores: Scores, video: _Video, frame: int, novelty: float) -> Suggestion:
    parts = {name: float(values[frame]) for name, values in scores.parts.items()}
    return Suggestion(
        evidence=evidence, frame=frame, time=float(video.times[frame]), score=float(scores.total[frame]), parts=parts,
        novelty=novelty, why=_why(evidence, parts, frame, float(scores.total[frame]), novelty),
    )  # fmt: skip


def _why(evidence: Evidence, parts: dict[str, float], frame: int, score: float, novelty: float) -> str:
    """The strongest criterion and the keypoint behind it, if one stands out."""
    known = {name: z for name, z in parts.items() if np.isfinite(z)}
    if not known or max(known.values()) < 1:
        return "new" if novelty > 0.5 else "like many hard frames" if score > 0 else "nothing stands out"
    name = max(known, key=lambda n: known[n])
    values = evidence.values[name]
    usual = [np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else 0.0 for c in values.T]
    unusual = values[frame] - np.array(usual)
    if not np.isfinite(unusual).any():
        return CRITERIA[name]
    return f"{CRITERIA[name]}: {evidence.table.keypoint_names[int(np.nanargmax(unusual))]}"
