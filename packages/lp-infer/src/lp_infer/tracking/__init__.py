"""Give every animal of a video its own column: trackers frame by frame, and stitching over the whole video. No torch."""

from lp_infer.tracking.config import BoxConfig, EllipseConfig, SkeletonConfig
from lp_infer.tracking.follow import Follower
from lp_infer.tracking.looks import looks_of, video_looks
from lp_infer.tracking.mot import MotScores, mot_scores
from lp_infer.tracking.stitch import Stitched, stitch
from lp_infer.tracking.track import TrackingReport, track

__all__ = [
    "BoxConfig",
    "EllipseConfig",
    "Follower",
    "MotScores",
    "SkeletonConfig",
    "Stitched",
    "TrackingReport",
    "looks_of",
    "mot_scores",
    "stitch",
    "track",
    "video_looks",
]
