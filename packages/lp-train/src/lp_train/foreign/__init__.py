"""Runs that other software trained: Lightning Pose, and DeepLabCut's PyTorch engine (single animal)."""

from pathlib import Path

from lp_train.foreign import deeplabcut, lightning_pose
from lp_train.network import PoseNet


def is_foreign_run(path: Path | str) -> bool:
    """Whether `path` is a run directory of Lightning Pose, or a model or project directory of DeepLabCut."""
    return lightning_pose.recognises(Path(path)) or deeplabcut.recognises(Path(path))


def load_foreign(path: Path | str, checkpoint: Path | str | None = None) -> PoseNet:
    """The trained network of such a run, in evaluation mode on the CPU, with the original decoder. Downloads nothing.

    Its keypoints are pixels of the input as the original software counts them. `resize(original_size)` of the network
    says to which size frames must be brought, and its `inverse` gives the original software's numbers.

    Args:
        path: directory of the run.
        checkpoint: another than the one that the original software would choose.

    Raises:
        ConfigError: not such a run, nothing trained yet, or a kind of model that does not run here.
    """
    origin = deeplabcut if deeplabcut.recognises(Path(path)) else lightning_pose
    return origin.load(Path(path), Path(checkpoint) if checkpoint else None)
