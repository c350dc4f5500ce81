"""Label formats, prediction tables and frame-exact video, without torch."""

from lp_io.ahead import ahead
from lp_io.clips import ClipChange, ClipSchedule, clip_change, remarks_on_lengths
from lp_io.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, atomic_path
from lp_io.images import image_size, read_image
from lp_io.labels import ood_label_files, read_labels
from lp_io.live_source import LiveSource
from lp_io.metric_tables import MetricTable, read_metric
from lp_io.progress import Progress
from lp_io.resize import FrameResizer
from lp_io.shuffles import find_shuffle, read_shuffle, shuffle_images
from lp_io.table_rows import PredictionRows
from lp_io.tables import PredictionWriter, read_predictions, write_metric, write_predictions
from lp_io.video_encoders import Encoder, pick_encoder
from lp_io.video_reader import VideoReader
from lp_io.video_writer import VideoWriter

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "ClipChange",
    "ClipSchedule",
    "Encoder",
    "FrameResizer",
    "LiveSource",
    "MetricTable",
    "PredictionRows",
    "PredictionWriter",
    "Progress",
    "VideoReader",
    "VideoWriter",
    "ahead",
    "atomic_path",
    "clip_change",
    "find_shuffle",
    "image_size",
    "ood_label_files",
    "pick_encoder",
    "read_image",
    "read_labels",
    "read_metric",
    "read_predictions",
    "read_shuffle",
    "remarks_on_lengths",
    "shuffle_images",
    "write_metric",
    "write_predictions",
]
