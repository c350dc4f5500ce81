"""What happens beside the training step, one file each."""

from lp_train.callbacks.checkpoints import ResumeCheckpoint
from lp_train.callbacks.examples import ExampleImages
from lp_train.callbacks.metrics_csv import MetricsCSV
from lp_train.callbacks.plateau import Plateau
from lp_train.callbacks.progress import Progress

__all__ = ["ExampleImages", "MetricsCSV", "Plateau", "Progress", "ResumeCheckpoint"]
