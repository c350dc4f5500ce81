"""From label files to batches: datasets, splits, augmentation, and a synthetic scene (`lp_data.scene`)."""

from lp_data.dataset import BatchLoader, LabeledDataset, batch_rows, epoch_order, propose_frame_size, propose_image_size
from lp_data.frames import load_frames
from lp_data.split import Split, given_split, split_indices

__all__ = [
    "BatchLoader",
    "LabeledDataset",
    "Split",
    "batch_rows",
    "epoch_order",
    "given_split",
    "load_frames",
    "propose_frame_size",
    "propose_image_size",
    "split_indices",
]
