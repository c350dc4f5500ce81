"""What happens beside the training step, one file each."""

from lp_train.callbacks.checkpoints import ResumeCheckpoint, Snapshots
from lp_train.callbacks.examples import Drawers, ExampleImages
from lp_train.callbacks.keypoint_errors import KeypointErrors
from lp_train.callbacks.metrics_csv import MetricsCSV
from lp_train.callbacks.plateau import Plateau
from lp_train.callbacks.progress import Progress

__all__ = [
    "Drawers",
    "ExampleImages",
    "KeypointErrors",
    "MetricsCSV",
    "Plateau",
    "Progress",
    "ResumeCheckpoint",
    "Snapshots",
]
