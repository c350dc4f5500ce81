"""A trained network of one animal that looks for it where it was."""

from pathlib import Path

from lp_core import ConfigError
from lp_core.tensors import PoseModel
from lp_detectors.dynamic import DynamicNet, DynamicOptions


def dynamic(model: PoseModel | Path, options: dict) -> DynamicNet:
    """`model`, which of most frames sees only the part round the last pose.

    Raises:
        ConfigError: it cannot see a part of a frame, or there is no such option.
    """
    if isinstance(model, Path):
        raise ConfigError(
            f"dynamic=true needs the folder of a training; {model} takes frames of one size, leave it out."
        )
    try:
        chosen = DynamicOptions(**options)
    except TypeError as e:
        known = ", ".join(f"dynamic.{name}" for name in DynamicOptions.__slots__)
        raise ConfigError(f"dynamic=true has the options {known}; {str(e).rpartition(' ')[2]} is none of them.") from e
    return DynamicNet(model, chosen)
